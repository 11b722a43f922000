/** What happens to the mesh, and what the mesh wants done. The shell runs effects in order; their outcome, if any,
 *  comes back as an event. */
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { Refusal } from '../../protocol/handshake.ts';
import type { Description, NeighborMessage, Route } from '../../protocol/signaling.ts';

/** A way to a neighbor: `ws:<number>` or `link:<peer>`. */
export type Channel = string;

export type MeshEvent =
  /** A neighbor proved itself, by WebSocket handshake. Links become neighbors by their reports. */
  | {
      readonly type: 'neighbor-up';
      readonly channel: Channel;
      readonly id: string;
      readonly key: Uint8Array;
    }
  /** A node proved itself by a handshake, and we refused it: its key may not speak for its ID. */
  | { readonly type: 'claim'; readonly id: string; readonly key: Uint8Array }
  /** A node proved itself by a handshake, and refused us. */
  | { readonly type: 'refused'; readonly by: string; readonly refusal: Refusal }
  /** The operator changed which keys are kept, in hexadecimal by ID. */
  | { readonly type: 'pins'; readonly kept: ReadonlyMap<string, string> }
  | { readonly type: 'neighbor-down'; readonly channel: Channel }
  | { readonly type: 'message'; readonly channel: Channel; readonly message: NeighborMessage }
  /** The dataplane answers: these are its links. */
  | { readonly type: 'dataplane-up'; readonly links: readonly LinkReport[] }
  | { readonly type: 'dataplane-down' }
  /** The dataplane made our offer, or our answer. */
  | ({ readonly type: 'described'; readonly peer: string; readonly negotiation: string } & Description)
  | {
      readonly type: 'candidate';
      readonly peer: string;
      readonly negotiation: string;
      readonly candidate: string;
    }
  | { readonly type: 'link'; readonly report: LinkReport }
  | { readonly type: 'ended'; readonly peer: string; readonly negotiation: string; readonly reason: string }
  /** The dataplane of `peer` says that the node stops. */
  | { readonly type: 'bye'; readonly peer: string }
  | { readonly type: 'tick' }
  | { readonly type: 'stop' };

/** Of both nodes, as they sign what they say of a negotiation. */
interface Epochs {
  readonly ours: number;
  readonly theirs: number;
}

export type Level = 'debug' | 'info' | 'warn' | 'error';

export type Effect =
  | { readonly type: 'send'; readonly channel: Channel; readonly message: NeighborMessage }
  | {
      readonly type: 'offer';
      readonly peer: string;
      /** The peer's key. */
      readonly identity: Uint8Array;
      readonly negotiation: string;
      readonly route: Route;
      /** The negotiation of the same route that goes on until this one is open. */
      readonly replaces: string | null;
    }
  | ({
      readonly type: 'answer';
      readonly peer: string;
      readonly identity: Uint8Array;
      readonly negotiation: string;
      readonly route: Route;
      readonly replaces: string | null;
      readonly epochs: Epochs;
    } & Description)
  | ({
      readonly type: 'accept';
      readonly peer: string;
      readonly negotiation: string;
      readonly epochs: Epochs;
    } & Description)
  | {
      readonly type: 'add-candidate';
      readonly peer: string;
      readonly negotiation: string;
      readonly candidate: string;
    }
  | { readonly type: 'close'; readonly peer: string; readonly negotiation: string }
  | { readonly type: 'remove'; readonly peer: string }
  /** Keep for good which key speaks for `id`; hexadecimal. */
  | { readonly type: 'pin'; readonly id: string; readonly key: string }
  /** Our epoch is another one now: keep it, and start connections with it. */
  | { readonly type: 'epoch'; readonly epoch: number }
  /** What an operator should know, of this node or of a peer; without a message it is over. */
  | {
      readonly type: 'warning';
      readonly subject: string;
      /** A peer; null: this node. */
      readonly about: string | null;
      readonly message: string | null;
    }
  | {
      readonly type: 'notice';
      readonly level: Level;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };
