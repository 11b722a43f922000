/** What a simulated mesh is made of. */
import type { MeshConfig } from '../control/core/config.ts';
import type { Channel } from '../control/core/events.ts';
import type { Policy } from '../control/core/policy.ts';
import type { Mesh } from '../control/core/state.ts';
import type { Untimed } from '../protocol/events.ts';
import type { NeighborMessage, Route } from '../protocol/signaling.ts';
import type { SignedStatement } from '../protocol/statement.ts';

export interface Faults {
  /** Probabilities in [0, 1) for each message between neighbors. */
  readonly loss: number;
  readonly repeat: number;
  /** Milliseconds a message may take, uniformly from 1. */
  readonly delay: number;
}

export const reliable: Faults = { loss: 0, repeat: 0, delay: 20 };

export interface NodeOptions {
  readonly policy?: Policy;
  readonly turn?: boolean;
  /** Its links may go by WebSockets. */
  readonly webSocketPaths?: boolean;
  /** Milliseconds that its relays last. */
  readonly relayLifetime?: number;
  /** Whose identity key; its own by default. */
  readonly key?: string;
  /** Keys that the operator named, in hexadecimal by ID. */
  readonly named?: ReadonlyMap<string, string>;
  /** Operator keys, in hexadecimal. */
  readonly operators?: readonly string[];
  /** Its epoch, where its clock or what it kept says another one than the time. */
  readonly epoch?: number;
  /** Not one of `nodes`: another node may have that ID. */
  readonly apart?: boolean;
}

export function configOf(options: NodeOptions): MeshConfig {
  return {
    policy: options.policy ?? { allow: [], deny: [] },
    checkInterval: 10_000,
    forgetAfter: 60_000,
    aliveInterval: 20_000,
    webSocketPaths: options.webSocketPaths ?? false,
    named: options.named ?? new Map(),
    operators: options.operators ?? [],
    identities: { file: 'identities', reload: 'reload' },
    relayLifetime: options.relayLifetime,
  };
}

export interface Connection {
  readonly negotiation: string;
  readonly route: Route;
  remote: boolean;
  open: boolean;
  /** False where the other end is gone and this one has not noticed. */
  alive: boolean;
}

export interface SimulatedNode {
  readonly id: string;
  readonly key: Uint8Array;
  readonly pins: Map<string, string>;
  mesh: Mesh;
  running: boolean;
  /** When its mesh wants a tick. */
  deadline: number;
  /** What the dataplane has, by peer. */
  readonly connections: Map<string, Connection[]>;
  /** Peers with an interface. */
  readonly interfaces: Set<string>;
  readonly sockets: Map<Channel, SimulatedNode>;
  /** Messages sent to neighbors. */
  readonly sent: Record<NeighborMessage['type'], number>;
  readonly notices: string[];
  /** What those who watch it are told. */
  readonly published: Untimed[];
  /** By subject, and peer where it is about one. */
  readonly warnings: Map<string, string>;
  /** What the state directory has of operators. */
  statements: readonly SignedStatement[];
  /** What the state directory has, once that is another one than it started with. */
  keptEpoch: number | undefined;
}

/** What a node has from its start on. */
export type Own = Pick<SimulatedNode, 'id' | 'key' | 'pins' | 'statements'>;

export function newNode(own: Own & Pick<SimulatedNode, 'mesh'>): SimulatedNode {
  return {
    ...own,
    running: true,
    deadline: 0,
    connections: new Map(),
    interfaces: new Set(),
    sockets: new Map(),
    sent: { alive: 0, members: 0, flood: 0 },
    notices: [],
    published: [],
    warnings: new Map(),
    keptEpoch: undefined,
  };
}
