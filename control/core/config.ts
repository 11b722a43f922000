/** What the operator has configured of a node's part in the mesh, and may change while it runs. */
import type { Policy } from './policy.ts';

/** All times in milliseconds. */
export interface MeshConfig {
  readonly policy: Policy;
  /** The longest pause between two tries of a link. */
  readonly checkInterval: number;
  /** A peer that was not heard of for this long is forgotten. */
  readonly forgetAfter: number;
  readonly aliveInterval: number;
  /** Whether links may go by WebSockets. */
  readonly webSocketPaths: boolean;
  /** Keys that the operator named, in hexadecimal by ID. No other key counts for these IDs. */
  readonly named: ReadonlyMap<string, string>;
  /** Keys whose statements count, in hexadecimal. */
  readonly operators: readonly string[];
  /** How an operator accepts a key: the file of keys, and the command that makes the node read it again. */
  readonly identities: { readonly file: string; readonly reload: string };
  /** Milliseconds for which a relay of ours lasts; undefined: as long as its connection. */
  readonly relayLifetime?: number | undefined;
}
