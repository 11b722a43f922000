/**
 * A mesh of many control cores in virtual time: a network that loses, repeats and reorders, and a dataplane that
 * connects two nodes once both hold each other's description. Deterministic from its seed.
 */
import { createHash } from 'node:crypto';
import type { Environment } from '../control/core/environment.ts';
import { hex } from '../control/core/environment.ts';
import type { Channel, Effect, MeshEvent } from '../control/core/events.ts';
import { nextDeadline, step } from '../control/core/mesh.ts';
import type { Policy } from '../control/core/policy.ts';
import { type Mesh, newMesh } from '../control/core/state.ts';
import type { LinkReport } from '../protocol/dataplane.ts';
import type { NeighborMessage, Route } from '../protocol/signaling.ts';

export interface Faults {
  /** Probabilities in [0, 1) for each message between neighbors. */
  readonly loss: number;
  readonly repeat: number;
  /** Milliseconds a message may take, uniformly from 1. */
  readonly delay: number;
}

export const reliable: Faults = { loss: 0, repeat: 0, delay: 20 };

interface Connection {
  readonly negotiation: string;
  readonly route: Route;
  remote: boolean;
  open: boolean;
}

export interface SimulatedNode {
  readonly id: string;
  mesh: Mesh;
  env: () => Environment;
  running: boolean;
  dataplane: boolean;
  /** What the dataplane has, by peer. */
  readonly connections: Map<string, Connection[]>;
  /** Peers with an interface. */
  readonly interfaces: Set<string>;
  readonly sockets: Map<Channel, SimulatedNode>;
  /** Messages sent to neighbors. */
  sent: number;
  floods: number;
  notices: string[];
}

export class Simulation {
  now = 1_700_000_000_000;
  readonly nodes = new Map<string, SimulatedNode>();
  faults: Faults;
  /** Pairs (`a b`, sorted) that no shared path connects. */
  readonly unreachable = new Set<string>();
  readonly #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  #seed: number;
  #sockets = 0;

  constructor(seed: number, faults: Faults = reliable) {
    this.#seed = seed >>> 0 || 1;
    this.faults = faults;
  }

  add(id: string, options: { policy?: Policy; turn?: boolean; key?: string } = {}): SimulatedNode {
    const key = createHash('sha256').update(options.key ?? `key of ${id}`).digest();
    const env = () => this.#environment(key);
    const node: SimulatedNode = {
      id,
      mesh: this.#newMesh(id, key, options),
      env,
      running: true,
      dataplane: true,
      connections: new Map(),
      interfaces: new Set(),
      sockets: new Map(),
      sent: 0,
      floods: 0,
      notices: [],
    };
    this.nodes.set(id, node);
    this.happen(node, { type: 'dataplane-up', links: [] });
    return node;
  }

  /** Control stops without a word and starts again; the dataplane stays. */
  restartControl(node: SimulatedNode, options: { policy?: Policy; turn?: boolean } = {}): void {
    for (const channel of [...node.sockets.keys()]) this.disconnect(node, channel);
    const key = node.mesh.self.key;
    node.mesh = this.#newMesh(node.id, key, options);
    this.happen(node, { type: 'dataplane-up', links: this.#reports(node) });
  }

  /** The dataplane dies, and another starts. The peers notice after `noticed` milliseconds, if at all. */
  restartDataplane(node: SimulatedNode, noticed: number): void {
    const lost = [...node.connections];
    node.connections.clear();
    node.interfaces.clear();
    this.happen(node, { type: 'dataplane-down' });
    this.at(50, () => this.happen(node, { type: 'dataplane-up', links: [] }));
    for (const [peer, connections] of lost) {
      for (const { negotiation } of connections) {
        this.at(noticed, () => this.#end(this.nodes.get(peer)!, node.id, negotiation, 'timed out'));
      }
    }
  }

  /** The node vanishes with everything it has. */
  kill(node: SimulatedNode, noticed: number): void {
    for (const channel of [...node.sockets.keys()]) this.disconnect(node, channel);
    node.running = false;
    for (const [peer, connections] of node.connections) {
      for (const { negotiation } of connections) {
        this.at(noticed, () => this.#end(this.nodes.get(peer)!, node.id, negotiation, 'timed out'));
      }
    }
    node.connections.clear();
    this.nodes.delete(node.id);
  }

  connect(a: SimulatedNode, b: SimulatedNode): Channel {
    const channel = `ws:${++this.#sockets}`;
    a.sockets.set(channel, b);
    b.sockets.set(channel, a);
    this.happen(a, { type: 'neighbor-up', channel, id: b.id });
    this.happen(b, { type: 'neighbor-up', channel, id: a.id });
    return channel;
  }

  disconnect(node: SimulatedNode, channel: Channel): void {
    const other = node.sockets.get(channel);
    if (other === undefined) return;
    node.sockets.delete(channel);
    other.sockets.delete(channel);
    this.happen(node, { type: 'neighbor-down', channel });
    this.happen(other, { type: 'neighbor-down', channel });
  }

  random(): number {
    // xorshift32, Marsaglia 2003.
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    this.#seed >>>= 0;
    return this.#seed / 0x1_0000_0000;
  }

  at(delay: number, run: () => void): void {
    this.#queue.push({ at: this.now + delay, order: this.#order++, run });
  }

  happen(node: SimulatedNode, event: MeshEvent): void {
    if (!node.running) return;
    for (const effect of step(node.mesh, event, node.env())) this.#run(node, effect);
  }

  /** Lets virtual time pass until `done`, at most `limit` milliseconds; returns how many passed. */
  until(done: () => boolean, limit: number): number {
    const start = this.now;
    while (!done()) {
      if (this.now - start > limit) return Number.POSITIVE_INFINITY;
      this.#advance();
    }
    return this.now - start;
  }

  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    this.until(() => this.now >= end, milliseconds * 2);
  }

  #advance(): void {
    let at = Number.POSITIVE_INFINITY;
    let due: SimulatedNode | undefined;
    for (const node of this.nodes.values()) {
      const deadline = nextDeadline(node.mesh).at;
      if (deadline < at) {
        at = deadline;
        due = node;
      }
    }
    let index = -1;
    this.#queue.forEach((entry, i) => {
      const best = this.#queue[index];
      if (entry.at <= at && (best === undefined || entry.at < best.at || (entry.at === best.at && entry.order < best.order))) {
        index = i;
      }
    });
    if (index >= 0) {
      const [entry] = this.#queue.splice(index, 1);
      this.now = Math.max(this.now, entry!.at);
      entry!.run();
      return;
    }
    if (due === undefined) throw new Error('nothing will ever happen again');
    this.now = Math.max(this.now, at);
    this.happen(due, { type: 'tick' });
  }

  #newMesh(id: string, key: Uint8Array, options: { policy?: Policy; turn?: boolean }): Mesh {
    return newMesh(
      { id, key, epoch: Math.round(this.now) + this.#order++, turn: options.turn ?? false },
      {
        policy: options.policy ?? { allow: [], deny: [] },
        checkInterval: 10_000,
        forgetAfter: 60_000,
        aliveInterval: 20_000,
      },
      new Map(),
      this.#environment(key),
    );
  }

  #environment(key: Uint8Array): Environment {
    const digest = (message: Uint8Array) => createHash('sha256').update(message).digest();
    // Not a signature, but one that nobody in a simulation forges: a hash of key and message, twice.
    const sign = (signer: Uint8Array, message: Uint8Array) => {
      const half = createHash('sha256').update(signer).update(message).digest();
      return Buffer.concat([half, half]);
    };
    return {
      now: this.now,
      random: () => this.random(),
      sign: (message) => sign(key, message),
      verify: (signer, message, signature) => sign(signer, message).equals(signature),
      digest,
    };
  }

  #run(node: SimulatedNode, effect: Effect): void {
    switch (effect.type) {
      case 'send':
        node.sent++;
        if (effect.message.type === 'flood') node.floods++;
        this.#transmit(node, effect.channel, effect.message);
        return;
      case 'offer':
      case 'answer': {
        const { peer, negotiation, route } = effect;
        for (const old of this.#of(node, peer).filter((c) => c.route === route)) {
          this.#close(node, peer, old.negotiation);
        }
        this.#of(node, peer).push({ negotiation, route, remote: effect.type === 'answer', open: false });
        this.at(5, () => {
          if (!this.#of(node, peer).some((c) => c.negotiation === negotiation)) return;
          this.happen(node, { type: 'described', peer, negotiation, sdp: `sdp of ${node.id}` });
          this.happen(node, { type: 'candidate', peer, negotiation, candidate: 'candidate:1' });
          this.#tryOpen(node, peer, negotiation);
        });
        return;
      }
      case 'accept': {
        const connection = this.#of(node, effect.peer).find((c) => c.negotiation === effect.negotiation);
        if (connection !== undefined) connection.remote = true;
        this.#tryOpen(node, effect.peer, effect.negotiation);
        return;
      }
      case 'close':
        this.#close(node, effect.peer, effect.negotiation);
        return;
      case 'remove':
        for (const connection of [...this.#of(node, effect.peer)]) this.#close(node, effect.peer, connection.negotiation);
        node.connections.delete(effect.peer);
        node.interfaces.delete(effect.peer);
        return;
      case 'notice':
        node.notices.push(`${effect.level} ${effect.message}`);
    }
  }

  #transmit(from: SimulatedNode, channel: Channel, message: NeighborMessage): void {
    const isLink = channel.startsWith('link:');
    const to = isLink ? this.nodes.get(channel.slice(5)) : from.sockets.get(channel);
    if (to === undefined) return;
    if (isLink && !this.#isOpen(from, to.id)) return;
    const copies = this.random() < this.faults.repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.random() < this.faults.loss) continue;
      this.at(1 + this.random() * this.faults.delay, () => {
        const arrives = isLink ? this.#isOpen(to, from.id) : to.sockets.get(channel) === from;
        if (!arrives) return;
        const back = isLink ? `link:${from.id}` : channel;
        this.happen(to, { type: 'message', channel: back, message: structuredClone(message) });
      });
    }
  }

  #tryOpen(node: SimulatedNode, peer: string, negotiation: string): void {
    const other = this.nodes.get(peer);
    if (other === undefined) return;
    const ours = this.#of(node, peer).find((c) => c.negotiation === negotiation);
    const theirs = this.#of(other, node.id).find((c) => c.negotiation === negotiation);
    if (ours?.remote !== true || theirs?.remote !== true) return;
    const pair = [node.id, peer].sort().join(' ');
    if (ours.route === 'shared' && this.unreachable.has(pair)) return;
    this.at(30, () => {
      const both = [ours, theirs];
      if (!this.#of(node, peer).includes(ours) || !this.#of(other, node.id).includes(theirs)) return;
      for (const connection of both) connection.open = true;
      node.interfaces.add(peer);
      other.interfaces.add(node.id);
      this.#report(node, peer);
      this.#report(other, node.id);
    });
  }

  /** Closing one end is seen at the other after a while. */
  #close(node: SimulatedNode, peer: string, negotiation: string): void {
    const list = this.#of(node, peer);
    const index = list.findIndex((c) => c.negotiation === negotiation);
    if (index < 0) return;
    const [closed] = list.splice(index, 1);
    this.#report(node, peer);
    const other = this.nodes.get(peer);
    if (closed!.open && other !== undefined) {
      this.at(20, () => this.#end(other, node.id, negotiation, 'closed by the peer'));
    }
  }

  #end(node: SimulatedNode, peer: string, negotiation: string, reason: string): void {
    const list = this.#of(node, peer);
    const index = list.findIndex((c) => c.negotiation === negotiation);
    if (index < 0) return;
    list.splice(index, 1);
    this.happen(node, { type: 'ended', peer, negotiation, reason });
    this.#report(node, peer);
  }

  #report(node: SimulatedNode, peer: string): void {
    this.at(0, () => {
      if (node.connections.has(peer)) this.happen(node, { type: 'link', report: this.#reportOf(node, peer) });
    });
  }

  #reports(node: SimulatedNode): LinkReport[] {
    return [...node.connections.keys()].map((peer) => this.#reportOf(node, peer));
  }

  #reportOf(node: SimulatedNode, peer: string): LinkReport {
    const connections = this.#of(node, peer);
    const active = connections.find((c) => c.open && c.route === 'shared') ?? connections.find((c) => c.open);
    return {
      peer,
      state: active === undefined ? 'lost' : 'up',
      reason: '',
      active: active?.negotiation ?? null,
      connections: connections.map(({ negotiation, route, open }) => ({ negotiation, route, open })),
      path: active === undefined ? null : 'datachannel',
      pair: null,
      interface: null,
    };
  }

  #of(node: SimulatedNode, peer: string): Connection[] {
    let list = node.connections.get(peer);
    if (list === undefined) {
      list = [];
      node.connections.set(peer, list);
    }
    return list;
  }

  #isOpen(node: SimulatedNode, peer: string): boolean {
    return this.#of(node, peer).some((c) => c.open);
  }

  /** True where every pair of nodes has one open link, seen from both ends. */
  isFullMesh(): boolean {
    for (const a of this.nodes.values()) {
      for (const b of this.nodes.values()) {
        if (a !== b && !this.linked(a, b)) return false;
      }
    }
    return true;
  }

  linked(a: SimulatedNode, b: SimulatedNode): boolean {
    const open = this.#of(a, b.id).filter((c) => c.open);
    return open.length === 1 && a.mesh.links.get(b.id)?.shown === 'up' && this.#of(b, a.id).some((c) => c.open && c.negotiation === open[0]!.negotiation);
  }
}

export function keyText(node: SimulatedNode): string {
  return hex(node.mesh.self.key);
}
