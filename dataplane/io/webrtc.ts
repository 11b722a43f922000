/**
 * The edge to WebRTC. One implementation per engine (`engine/node-datachannel.ts`, `engine/werift.ts`,
 * `engine/fake.ts`), one conformance suite for all of them (`test/webrtc-conformance.ts`).
 *
 * A peer connection carries three datachannels, negotiated out of band (RFC 8832 not needed):
 *
 *   stream 0  `signal`  reliable, ordered      control to control
 *   stream 1  `wire`    reliable, ordered      dataplane to dataplane
 *   stream 2  `data`    unordered, no retransmits: one message is one packet
 *
 * Each message is a record, which neither engine knows nor anybody who is in the middle of DTLS.
 */

import type { IceServer } from '../../protocol/dataplane.ts';
import type { Route } from '../../protocol/signaling.ts';
import type { CandidateEnd, CandidatePair } from '../../protocol/status.ts';
import type { ChannelName } from '../../protocol/wire.ts';
import { recordOverhead } from './direct.ts';

export type { CandidateEnd, CandidatePair, ChannelName, IceServer, Route };

export const channelStream: Readonly<Record<ChannelName, number>> = { signal: 0, wire: 1, data: 2 };

/** Bytes of the longest message: the record of the longest packet. */
export const maxMessage = 65_536 + recordOverhead;

export type TurnServer = Extract<IceServer, { kind: 'turn' }>;

export interface ConnectionOptions {
  /** The path loses packets of the usual length: these fit every path. */
  readonly narrow?: boolean;
  readonly route: Route;
  /** `shared`: by another UDP port than the engine's, one that was not used lately. */
  readonly otherPort?: boolean;
  readonly iceServers: readonly IceServer[];
}

export type CandidateType = CandidateEnd['type'];

/** `failed` and `closed` are final: no event follows them. `closed` is the peer's doing, or the network's. */
export type ConnectionState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** What no node does: it opens a datachannel of its own; it sends an empty message, or text; it sends faster than this
 *  process reads, for long. */
export type Misuse = 'channel' | 'message' | 'backlog';

/** What a connection tells its owner. None of these is called from inside a method of `Connection`, and none
 *  after `close()`. */
export interface ConnectionEvents {
  /** A local candidate, as the value of an SDP `a=` line without the `a=`: `candidate:1 1 UDP 2116 …`. Never before
   *  the local description is there; on the offering side often only after the answer, which order DTLS is faster with. */
  candidate(candidate: string): void;
  state(state: ConnectionState): void;
  /** ICE has a pair that works, which `pair()` tells; there is no DTLS yet. At most once, and not by every engine. */
  paired(): void;
  open(channel: ChannelName): void;
  /** `bytes` is the callee's to keep. */
  message(channel: ChannelName, bytes: Uint8Array): void;
  /** `buffered('data')` fell to the engine's low-water mark after `send` had seen it above. */
  drain(): void;
  /** Servers of this kind were asked and gave no candidate: gathering is over, or has taken two seconds. Told once. That
   *  may also be because there is nothing to tell: a host that is not behind a NAT. */
  unserved(kind: IceServer['kind']): void;
  /** The peer did what no node does: the connection ends, `closed` is next. */
  misused(how: Misuse): void;
}

export interface Connection {
  /** The local offer (SDP, without candidates: they trickle). Rejects if the engine refuses or is closed. */
  offer(): Promise<string>;
  /** Applies a remote offer and resolves with the local answer. Rejects on malformed SDP. */
  answer(offer: string): Promise<string>;
  /** Applies the remote answer to our offer. Rejects on malformed SDP. */
  accept(answer: string): Promise<void>;
  /** Adds a remote candidate; one that is malformed, a name instead of an address, or late is ignored. Only after
   *  the remote description. */
  addCandidate(candidate: string): void;
  /** Hands one message to the channel. False where the channel is not open; never throws. */
  send(channel: ChannelName, bytes: Uint8Array): boolean;
  /** Bytes accepted by `send` and not yet handed to the network. */
  buffered(channel: ChannelName): number;
  /** The pair ICE selected; it may select another one until the connection is open. */
  pair(): CandidatePair | undefined;
  /** Idempotent, never throws, no event afterwards. The next connection may be made at once. What was sent within the
   *  last milliseconds may be lost. */
  close(): void;
}

export interface Engine {
  readonly name: string;
  /** The UDP port of the `shared` connections; 0 where each has a port of its own. */
  readonly udpPort: number;
  connect(options: ConnectionOptions, events: ConnectionEvents): Connection;
  /** The server-reflexive candidates that `udpPort` has at this moment; none where it is not known. Never rejects. */
  reflexive(iceServers: readonly IceServer[]): Promise<readonly string[]>;
  /** Closes the ports beside `udpPort` that no connection has, but for the newest. */
  sweep(): void;
  /** Closes every connection and frees the UDP ports. Idempotent, never throws. */
  close(): void;
}
