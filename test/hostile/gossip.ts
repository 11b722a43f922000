/**
 * A member that speaks the real messages between neighbors, and says in them what it likes. In the simulated mesh it is a
 * node like any other, with links and neighbors, until a test makes it say something else.
 */
import type { FloodMessage, NeighborMessage, SignedRecord } from '../../protocol/signaling.ts';
import { keyOf, testEnvironment } from '../environment.ts';
import { nodeOf } from '../mesh-view.ts';
import type { SimulatedNode } from '../simulated-node.ts';
import type { Simulation } from '../simulation.ts';
import { type Sign, signedFlood, signedRecord } from './forgery.ts';

export interface FloodDraft {
  readonly from: string;
  readonly to: string;
  /** Whose key signs; nobody's by default, which leaves 64 zero bytes. */
  readonly signer?: string;
  /** Sent along as the sender's record. */
  readonly sender?: SignedRecord;
  /** Of the body, `kind` for example; the rest is as the node `from` would say it. */
  readonly body: Record<string, unknown>;
}

export class Hostile {
  readonly node: SimulatedNode;
  readonly #simulation: Simulation;
  #counter = 1_000_000;

  /** Joins at the node `at`. */
  constructor(simulation: Simulation, at: string, id = 'mallory') {
    this.#simulation = simulation;
    this.node = simulation.add(id);
    simulation.dial(this.node, at);
  }

  get id(): string {
    return this.node.id;
  }

  /** Passes on nothing of what others say to each other. */
  passNothingOn(): void {
    this.#simulation.swallows = (node, message) =>
      node === this.node && message.type === 'flood' && message.from !== this.id;
  }

  /** Passes on what `change` makes of what others say of themselves, in floods and records: what is to be said to `to`
   *  instead. */
  standBetween(change: (message: NeighborMessage, to: string) => readonly NeighborMessage[]): void {
    this.#simulation.swallows = (node, message, to) => {
      if (node !== this.node || message.type === 'alive') return false;
      if (message.type === 'flood' && message.from === this.id) return false;
      for (const each of change(message, to)) this.say(nodeOf(this.#simulation, to), each);
      return true;
    };
  }

  /** A record of any node, signed by the key of that name: its own is easily made up. `more`: fields that no node knows. */
  record(id: string, epoch = this.#epochOf(id), signer = id, more = {}): SignedRecord {
    return signedRecord({ id, key: keyOf(signer), epoch, turn: false, ...more }, this.#signer(signer));
  }

  flood({ from, to, signer, sender, body }: FloodDraft): FloodMessage {
    return signedFlood({
      ...{ from, to, sender },
      sign: signer === undefined ? undefined : this.#signer(signer),
      body: { epoch: this.#epochOf(from), toEpoch: this.#epochOf(to), counter: this.#counter++, ...body },
    });
  }

  /** Says it to a neighbor, at once. */
  say(to: SimulatedNode, message: NeighborMessage): void {
    for (const [channel, { id }] of to.mesh.neighbors) {
      if (id !== this.id) continue;
      this.#simulation.deliver(to, channel, message);
      return;
    }
  }

  sayToAll(message: NeighborMessage): void {
    for (const node of this.neighbors) this.say(node, message);
  }

  get neighbors(): SimulatedNode[] {
    const ids = new Set([...this.node.mesh.neighbors.values()].map(({ id }) => id));
    return [...ids].map((id) => nodeOf(this.#simulation, id));
  }

  /** Does it again and again, until the end of the test or the function that this returns is called. */
  every(milliseconds: number, what: () => void): () => void {
    let goesOn = true;
    const again = () => {
      if (!goesOn) return;
      what();
      this.#simulation.at(milliseconds, again);
    };
    again();
    return () => {
      goesOn = false;
    };
  }

  #epochOf(id: string): number {
    return this.#simulation.nodes.get(id)?.mesh.self.epoch ?? Math.round(this.#simulation.now);
  }

  #signer(name: string): Sign {
    return testEnvironment(keyOf(name), this.#simulation.now).sign;
  }
}
