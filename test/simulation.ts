/**
 * A mesh of many control cores in virtual time: a network that loses, repeats and reorders, WebSockets that are dialed
 * again, and a dataplane that connects two nodes once both hold each other's description. Deterministic from its seed.
 */
import { admit } from '../control/core/costs.ts';
import type { Channel, Effect, MeshEvent } from '../control/core/events.ts';
import { judge } from '../control/core/identity.ts';
import { nextDeadline, step } from '../control/core/mesh.ts';
import { type Mesh, newMesh } from '../control/core/state.ts';
import { signedStatements } from '../control/core/statements.ts';
import type { LinkReport } from '../protocol/dataplane.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import { answeredKeys, offeredKeys } from './descriptions.ts';
import { keyOf, testEnvironment } from './environment.ts';
import { EventQueue } from './event-queue.ts';
import { freeze, sizeOf } from './simulated-message.ts';
import {
  type Connection,
  configOf,
  type Faults,
  type NodeOptions,
  newNode,
  type Own,
  reliable,
  type SimulatedNode,
} from './simulated-node.ts';

/** Milliseconds, at least, until a node that was refused dials again. */
const refusedPause = 5000;

interface Takes {
  readonly describe: () => number;
  readonly open: () => number;
  readonly hear: (node: SimulatedNode) => number;
}

export class Simulation {
  now = 1_700_000_000_000;
  readonly nodes = new Map<string, SimulatedNode>();
  faults: Faults;
  /** Pairs (`pairOf`) that no shared path connects. */
  readonly unreachable = new Set<string>();
  /** Nodes whose dataplane cannot answer an offer. */
  readonly cannotAnswer = new Set<string>();
  /** Pairs whose packets have a direct path, whatever becomes of their connections. */
  readonly direct = new Set<string>();
  /** Pairs between which WebSockets cannot be dialed. */
  readonly cut = new Set<string>();
  /** True where a node keeps to itself what its mesh would send to the neighbor `to`. */
  swallows: ((node: SimulatedNode, message: NeighborMessage, to: string) => boolean) | undefined;
  /** Milliseconds that a dataplane takes to describe a connection, that both ends together take to open one, and that a
   *  message waits for the node that it has reached. */
  takes: Takes = { describe: () => 5, open: () => 30, hear: () => 0 };
  /** Sees every step of every node. */
  watch: ((node: SimulatedNode, event: MeshEvent, effects: readonly Effect[]) => void) | undefined;
  readonly #queue = new EventQueue();
  readonly #dials = new Map<Channel, { from: SimulatedNode; to: string }>();
  #seed: number;
  #counter = 0;
  #ticks = 0;

  constructor(seed: number, faults: Faults = reliable) {
    this.#seed = seed >>> 0 || 1;
    this.faults = faults;
  }

  add(id: string, options: NodeOptions = {}): SimulatedNode {
    const key = keyOf(options.key ?? id);
    const own = { id, key, pins: new Map<string, string>(), statements: [] };
    const node = newNode({ ...own, mesh: this.#newMesh(own, options) });
    if (!options.apart) this.nodes.set(id, node);
    this.happen(node, { type: 'dataplane-up', links: [] });
    return node;
  }

  /** Control stops without a word and starts again; the dataplane stays, WebSockets are dialed again. */
  restartControl(node: SimulatedNode, options: NodeOptions = {}): void {
    for (const channel of [...node.sockets.keys()]) this.disconnect(node, channel);
    node.mesh = this.#newMesh(node, options);
    this.happen(node, {
      type: 'dataplane-up',
      links: [...node.connections.keys()].map((peer) => this.#reportOf(node, peer)),
    });
  }

  /** The dataplane dies, and another starts. The peers notice after `noticed` milliseconds, if at all. */
  restartDataplane(node: SimulatedNode, noticed: number): void {
    this.#forsake(node, noticed);
    this.happen(node, { type: 'dataplane-down' });
    this.at(50, () => this.happen(node, { type: 'dataplane-up', links: [] }));
  }

  /** The node vanishes with everything it has. */
  kill(node: SimulatedNode, noticed: number): void {
    node.running = false;
    for (const channel of [...node.sockets.keys()]) this.disconnect(node, channel);
    this.#forsake(node, noticed);
    if (this.nodes.get(node.id) === node) this.nodes.delete(node.id);
  }

  /** The node says goodbye and stops. */
  stop(node: SimulatedNode): void {
    this.happen(node, { type: 'stop' });
    this.at(100, () => this.kill(node, 20));
  }

  /** The path of a link dies; both ends notice after `noticed` milliseconds. */
  loseLink(a: SimulatedNode, b: SimulatedNode, noticed: number): void {
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const connection of this.#of(node, peer.id)) {
        connection.alive = false;
        this.#endLater(node, peer.id, connection.negotiation, noticed);
      }
    }
  }

  /** By a handshake, in which either may refuse the other: undefined then. */
  connect(a: SimulatedNode, b: SimulatedNode): Channel | undefined {
    for (const [judging, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const refusal = judge(judging.mesh, other.id, other.key, this.environmentOf(judging).digest);
      if (refusal === undefined) continue;
      this.happen(judging, { type: 'claim', id: other.id, key: other.key });
      this.happen(other, { type: 'refused', by: judging.id, refusal });
      return undefined;
    }
    const channel = `ws:${++this.#counter}`;
    a.sockets.set(channel, b);
    b.sockets.set(channel, a);
    this.happen(a, { type: 'neighbor-up', channel, id: b.id, key: b.key });
    this.happen(b, { type: 'neighbor-up', channel, id: a.id, key: a.key });
    return channel;
  }

  disconnect(node: SimulatedNode, channel: Channel): void {
    const other = node.sockets.get(channel);
    if (other === undefined) return;
    node.sockets.delete(channel);
    other.sockets.delete(channel);
    this.happen(node, { type: 'neighbor-down', channel });
    this.happen(other, { type: 'neighbor-down', channel });
    const dial = this.#dials.get(channel);
    this.#dials.delete(channel);
    if (dial !== undefined) this.#dialLater(dial.from, dial.to);
  }

  /** Connects to the node of that ID, and again whenever the WebSocket is lost. */
  dial(from: SimulatedNode, to: string): void {
    const server = this.nodes.get(to);
    if (!from.running) return;
    if (server?.running !== true || server === from || this.cut.has(pairOf(from.id, to))) {
      this.#dialLater(from, to);
      return;
    }
    const channel = this.connect(from, server);
    if (channel === undefined) this.#dialLater(from, to, refusedPause);
    else this.#dials.set(channel, { from, to });
  }

  /** Cuts every WebSocket between two nodes, for as long as `cut` holds the pair. */
  cutSockets(a: SimulatedNode, b: SimulatedNode): void {
    this.cut.add(pairOf(a.id, b.id));
    for (const [channel, other] of [...a.sockets]) if (other === b) this.disconnect(a, channel);
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
    this.#queue.add(this.now + delay, run);
  }

  /** One step of one node; its effects are run and returned. */
  happen(node: SimulatedNode, event: MeshEvent): readonly Effect[] {
    if (!node.running) return [];
    const effects = step(node.mesh, event, this.environmentOf(node));
    this.watch?.(node, event, effects);
    for (const effect of effects) this.#run(node, effect);
    // A timer fires a little late, never early.
    node.deadline = node.mesh.stopped ? Number.POSITIVE_INFINITY : nextDeadline(node.mesh).at + this.random();
    return effects;
  }

  /** A message arrives, and is looked at if its neighbor may cost us that. */
  deliver(node: SimulatedNode, channel: Channel, message: NeighborMessage): readonly Effect[] {
    if (!admit(node.mesh, channel, sizeOf(message), this.now)) return [];
    return this.happen(node, { type: 'message', channel, message });
  }

  environmentOf(node: SimulatedNode) {
    return testEnvironment(node.key, this.now, () => this.random());
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
    this.at(milliseconds, () => {});
    this.until(() => this.now >= end, milliseconds);
  }

  #advance(): void {
    let due: SimulatedNode | undefined;
    for (const node of this.nodes.values())
      if (node.deadline < (due?.deadline ?? Number.POSITIVE_INFINITY)) due = node;
    const at = Math.min(this.#queue.next, due?.deadline ?? Number.POSITIVE_INFINITY);
    if (at === Number.POSITIVE_INFINITY) throw new Error('nothing will ever happen again');
    this.#ticks = at > this.now ? 0 : this.#ticks + 1;
    if (this.#ticks > 10_000)
      throw new Error(`time stands still: ${JSON.stringify(due && nextDeadline(due.mesh))}`);
    this.now = Math.max(this.now, at);
    if (this.#queue.next <= at) this.#queue.take()!();
    else this.happen(due!, { type: 'tick' });
  }

  #newMesh({ id, key, pins, statements }: Own, options: NodeOptions): Mesh {
    const epoch = options.epoch ?? Math.round(this.now) + ++this.#counter;
    const self = { id, key, epoch, turn: options.turn ?? false };
    const env = testEnvironment(key, this.now, () => this.random());
    return newMesh(self, configOf(options), pins, env, statements);
  }

  #run(node: SimulatedNode, effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (this.swallows?.(node, effect.message, node.mesh.neighbors.get(effect.channel)?.id ?? '')) return;
        node.sent[effect.message.type]++;
        this.#transmit(node, effect.channel, effect.message);
        return;
      case 'offer':
      case 'answer': {
        const { peer, negotiation, route, replaces } = effect;
        if (effect.type === 'answer' && this.cannotAnswer.has(node.id)) {
          this.at(5, () =>
            this.happen(node, { type: 'ended', peer, negotiation, reason: 'bad description' }),
          );
          return;
        }
        for (const old of this.#of(node, peer).filter((c) => c.route === route && c.negotiation !== replaces))
          this.#close(node, peer, old.negotiation);
        this.#of(node, peer).push({
          negotiation,
          route,
          remote: effect.type === 'answer',
          open: false,
          alive: true,
        });
        const keys = effect.type === 'offer' ? offeredKeys : answeredKeys;
        this.at(this.takes.describe(), () => {
          if (this.#find(node, peer, negotiation) === undefined) return;
          this.happen(node, { type: 'described', peer, negotiation, sdp: `sdp of ${node.id}`, keys });
          this.happen(node, { type: 'candidate', peer, negotiation, candidate: 'candidate:1' });
          this.#tryOpen(node, peer, negotiation);
        });
        return;
      }
      case 'accept': {
        const connection = this.#find(node, effect.peer, effect.negotiation);
        if (connection !== undefined) connection.remote = true;
        this.#tryOpen(node, effect.peer, effect.negotiation);
        return;
      }
      case 'close':
        this.#close(node, effect.peer, effect.negotiation);
        return;
      case 'remove':
        for (const { negotiation } of [...this.#of(node, effect.peer)])
          this.#close(node, effect.peer, negotiation);
        node.connections.delete(effect.peer);
        node.interfaces.delete(effect.peer);
        return;
      case 'pin':
        if (effect.key === null) node.pins.delete(effect.id);
        else node.pins.set(effect.id, effect.key);
        return;
      case 'statements':
        node.statements = signedStatements(node.mesh.membership.statements);
        return;
      case 'refuse-neighbors': {
        const { digest } = this.environmentOf(node);
        for (const [channel, other] of [...node.sockets])
          if (judge(node.mesh, other.id, other.key, digest) !== undefined) this.disconnect(node, channel);
        return;
      }
      case 'epoch':
        node.keptEpoch = effect.epoch;
        return;
      case 'warning': {
        const key = `${effect.subject} ${effect.about ?? ''}`.trim();
        if (effect.message === null) node.warnings.delete(key);
        else node.warnings.set(key, effect.message);
        return;
      }
      case 'measure':
        return;
      case 'publish':
        node.published.push(effect.event);
        return;
      case 'notice':
        node.notices.push(`${effect.level} ${effect.message} ${effect.fields.peer ?? ''}`.trim());
    }
  }

  #transmit(from: SimulatedNode, channel: Channel, message: NeighborMessage): void {
    const isLink = channel.startsWith('link:');
    const to = isLink ? this.nodes.get(channel.slice(5)) : from.sockets.get(channel);
    const carrier = isLink ? this.#active(from, channel.slice(5)) : undefined;
    if (to === undefined || (isLink && carrier === undefined)) return;
    freeze(message);
    const copies = this.random() < this.faults.repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.random() < this.faults.loss) continue;
      this.at(1 + this.random() * this.faults.delay + this.takes.hear(to), () => {
        const end = carrier === undefined ? undefined : this.#find(to, from.id, carrier.negotiation);
        const arrives = isLink ? end?.open === true && end.alive : to.sockets.get(channel) === from;
        if (!arrives) return;
        this.deliver(to, isLink ? `link:${from.id}` : channel, message);
      });
    }
  }

  #tryOpen(node: SimulatedNode, peer: string, negotiation: string): void {
    const other = this.nodes.get(peer);
    if (other === undefined) return;
    const ours = this.#find(node, peer, negotiation);
    const theirs = this.#find(other, node.id, negotiation);
    if (ours?.remote !== true || theirs?.remote !== true) return;
    if (ours.route === 'shared' && this.unreachable.has(pairOf(node.id, peer))) return;
    if (ours.route === 'websocket' && ![...node.sockets.values()].includes(other)) return;
    this.at(this.takes.open(), () => {
      if (!this.#of(node, peer).includes(ours) || !this.#of(other, node.id).includes(theirs)) return;
      if (!ours.alive || !theirs.alive || ours.open) return;
      for (const [end, at, to] of [
        [ours, node, peer],
        [theirs, other, node.id],
      ] as const) {
        end.open = true;
        at.interfaces.add(to);
        this.#report(at, to);
      }
    });
  }

  /** Closing one end is seen at the other after a while. */
  #close(node: SimulatedNode, peer: string, negotiation: string): void {
    const list = this.#of(node, peer);
    const closed = this.#find(node, peer, negotiation);
    if (closed === undefined) return;
    list.splice(list.indexOf(closed), 1);
    this.#report(node, peer);
    const other = this.nodes.get(peer);
    if (closed.open && closed.alive && other !== undefined) this.#endLater(other, node.id, negotiation, 20);
  }

  /** Everything that this node's dataplane has is gone. */
  #forsake(node: SimulatedNode, noticed: number): void {
    for (const [peer, connections] of node.connections) {
      const other = this.nodes.get(peer);
      if (other === undefined) continue;
      for (const { negotiation } of connections) {
        const end = this.#find(other, node.id, negotiation);
        if (end !== undefined) end.alive = false;
        this.#endLater(other, node.id, negotiation, noticed);
      }
    }
    node.connections.clear();
    node.interfaces.clear();
  }

  #endLater(node: SimulatedNode, peer: string, negotiation: string, delay: number): void {
    if (!Number.isFinite(delay)) return;
    this.at(delay, () => {
      const list = this.#of(node, peer);
      const ended = this.#find(node, peer, negotiation);
      if (ended === undefined) return;
      list.splice(list.indexOf(ended), 1);
      this.happen(node, { type: 'ended', peer, negotiation, reason: 'timed out' });
      this.#report(node, peer);
    });
  }

  #dialLater(from: SimulatedNode, to: string, pause = 500): void {
    this.at(pause + pause * this.random(), () => this.dial(from, to));
  }

  #report(node: SimulatedNode, peer: string): void {
    this.at(0, () => {
      if (node.connections.has(peer)) this.happen(node, { type: 'link', report: this.#reportOf(node, peer) });
    });
  }

  #reportOf(node: SimulatedNode, peer: string): LinkReport {
    const active = this.#active(node, peer);
    const direct = node.interfaces.has(peer) && this.direct.has(pairOf(node.id, peer));
    return {
      peer,
      state: active !== undefined || direct ? 'up' : node.interfaces.has(peer) ? 'lost' : 'connecting',
      reason: '',
      active: active?.negotiation ?? null,
      connections: this.#of(node, peer).map(({ negotiation, route, open }) => ({ negotiation, route, open })),
      path: direct ? 'direct' : pathOf(active),
      pair: null,
      interface: null,
    };
  }

  /** The connection that carries a link's packets. */
  #active(node: SimulatedNode, peer: string): Connection | undefined {
    const open = this.#of(node, peer).filter((c) => c.open);
    return open.find((c) => c.route === 'shared') ?? open.find((c) => c.route === 'relay') ?? open.at(-1);
  }

  #find(node: SimulatedNode, peer: string, negotiation: string): Connection | undefined {
    return node.connections.get(peer)?.find((c) => c.negotiation === negotiation);
  }

  #of(node: SimulatedNode, peer: string): Connection[] {
    let list = node.connections.get(peer);
    if (list === undefined) {
      list = [];
      node.connections.set(peer, list);
    }
    return list;
  }
}

function pathOf(active: Connection | undefined): LinkReport['path'] {
  if (active === undefined) return null;
  return active.route === 'websocket' ? 'websocket' : 'datachannel';
}

export function pairOf(a: string, b: string): string {
  return [a, b].sort().join(' ');
}
