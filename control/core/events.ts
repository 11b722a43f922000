/** What happens to the mesh (events), and what the mesh wants done (effects). The shell runs effects in order; an outcome
 *  comes back as an event. */
import type { LinkReport, Result } from '../../protocol/dataplane.ts';
import type { Untimed } from '../../protocol/events.ts';
import type { Refusal } from '../../protocol/handshake.ts';
import type { LinkView } from '../../protocol/link-view.ts';
import type { LogLevel } from '../../protocol/log-level.ts';
import type { Description, NeighborMessage, Route } from '../../protocol/signaling.ts';
import type { SignedStatement } from '../../protocol/statement.ts';
import type { MeshConfig } from './config.ts';

/** A way to a neighbor: `ws:<number>` or `link:<peer>`. */
export type Channel = string;

/** What the dataplane has measured of a link: milliseconds, and the share of the last probes that were not answered. */
export type LinkFigures = Pick<
  Result<'stats'>['links'][number],
  'peer' | 'rtt' | 'minRtt' | 'loss' | 'probes'
>;

export type MeshEvent =
  /** A neighbor proved itself by a WebSocket handshake. Links become neighbors by their reports. */
  | {
      readonly type: 'neighbor-up';
      readonly channel: Channel;
      readonly id: string;
      readonly key: Uint8Array;
    }
  /** A node proved itself by a handshake, and we refused it because its key may not speak for its ID. */
  | { readonly type: 'claim'; readonly id: string; readonly key: Uint8Array }
  /** A node proved itself by a handshake and refused us. */
  | { readonly type: 'refused'; readonly by: string; readonly refusal: Refusal }
  /** The operator changed the kept keys: hexadecimal, by ID. */
  | { readonly type: 'pins'; readonly kept: ReadonlyMap<string, string> }
  /** An operator says this, by way of the control socket. */
  | { readonly type: 'statement'; readonly signed: SignedStatement }
  /** The operator changed the configuration. */
  | { readonly type: 'config'; readonly config: MeshConfig }
  | { readonly type: 'neighbor-down'; readonly channel: Channel }
  | { readonly type: 'message'; readonly channel: Channel; readonly message: NeighborMessage }
  /** The dataplane is connected and has these links. */
  | { readonly type: 'dataplane-up'; readonly links: readonly LinkReport[] }
  | { readonly type: 'dataplane-down' }
  /** The dataplane made our offer or our answer. */
  | ({ readonly type: 'described'; readonly peer: string; readonly negotiation: string } & Description)
  | {
      readonly type: 'candidate';
      readonly peer: string;
      readonly negotiation: string;
      readonly candidate: string;
    }
  | { readonly type: 'link'; readonly report: LinkReport }
  /** What `measure` asked for. */
  | { readonly type: 'figures'; readonly links: readonly LinkFigures[] }
  | { readonly type: 'ended'; readonly peer: string; readonly negotiation: string; readonly reason: string }
  /** The operator asks for what the peer sees of the link; `wide`: by all ways. */
  | { readonly type: 'explain'; readonly peer: string; readonly number: number; readonly wide: boolean }
  /** The peer's dataplane says that its node stops. */
  | { readonly type: 'bye'; readonly peer: string }
  | { readonly type: 'tick' }
  | { readonly type: 'stop' };

/** The epochs of both nodes in the bodies that they signed for a negotiation. */
interface Epochs {
  readonly ours: number;
  readonly theirs: number;
}

export type Effect =
  | { readonly type: 'send'; readonly channel: Channel; readonly message: NeighborMessage }
  | {
      readonly type: 'offer';
      readonly peer: string;
      /** The peer's public key. */
      readonly identity: Uint8Array;
      readonly negotiation: string;
      readonly route: Route;
      /** The negotiation whose connection this one replaces, and which stays until this one is open. */
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
  /** Ask the dataplane for the figures of its links. */
  | { readonly type: 'measure' }
  /** Write to disk that `key`, in hexadecimal, speaks for `id`; null: none does any more. */
  | { readonly type: 'pin'; readonly id: string; readonly key: string | null }
  /** Write to disk what we have of operators. */
  | { readonly type: 'statements' }
  /** Close the WebSockets with nodes that are refused now. */
  | { readonly type: 'refuse-neighbors' }
  /** Our epoch has changed: write it to disk and use it for new connections. */
  | { readonly type: 'epoch'; readonly epoch: number }
  /** A warning for the operator appears or changes; with null as its message it is over. */
  | {
      readonly type: 'warning';
      readonly subject: string;
      /** The peer that it is about; null for this node. */
      readonly about: string | null;
      readonly message: string | null;
    }
  /** The peer has said what it sees of the link. */
  | { readonly type: 'explained'; readonly peer: string; readonly number: number; readonly view: LinkView }
  /** Tell those who watch the node. */
  | { readonly type: 'publish'; readonly event: Untimed }
  | {
      readonly type: 'notice';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };
