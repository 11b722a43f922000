/**
 * node-datachannel's peer connections and datachannels with their traps closed: wrappers that the garbage collector
 * takes before the library is done with them crash the process, and several methods throw when they come late.
 *
 * What a peer can do to the library (version 0.33.4):
 *
 * - It opens a datachannel of its own. Nobody reads that, and the thread that puts the 1,025th message into its queue
 *   waits for ever, one of as few as two that do everything. So each such channel is read as soon as it is there.
 * - A wrapper that closes forgets what it has not handed over yet: the memory of messages is lost then, and a channel of
 *   the peer's is never read. So a connection ends only after a turn of the event loop that was too short for a queue to
 *   have filled in it, and with next to nothing left to hand over.
 */

import {
  type DataChannel,
  PeerConnection,
  type RtcConfig,
  type SelectedCandidateInfo,
  setSctpSettings,
} from 'node-datachannel';
import { loadAddon } from '../native.ts';
import { type ChannelName, channelStream } from '../webrtc.ts';
import { newCertificate } from './certificate.ts';

export type { DataChannel, PeerConnection, RtcConfig };

/** Milliseconds: the library takes no 1,024 messages in in so short a turn. */
const calmTurn = 1;
/** Bytes that may be left when a connection ends. */
const fewBytes = 65_536;
/** Milliseconds that the end of a connection waits for a calm turn in a process that is busy. */
const patience = 250;
/** Milliseconds after a peer's own channel in which its connection does not end but in a calm turn. */
const wariness = 500;
/** Milliseconds between tries after that. */
const pause = 20;

/** Wrappers stay here until the library has said that it is done with them. */
const retained = new Set<PeerConnection | DataChannel>();

/** How many wrappers the library is not done with yet. */
export function retainedCount(): number {
  return retained.size;
}

let configured = false;

/** Process-wide, and only before the first peer connection. */
export function configureLibrary(): void {
  if (configured) return;
  configured = true;
  // Half the library's send buffer: as fast, with half the queueing delay; bigger ones than the library's collapse under
  // load.
  setSctpSettings({ sendBufferSize: 524_288, recvBufferSize: 1_048_576 });
  try {
    // Without it the library drops IPv4 candidates on a host with IPv6 alone, where a relay reaches them.
    loadAddon().admitLiterals('node_datachannel.node');
  } catch {
    // Without the addon there are no interfaces either, which says so itself.
  }
}

export interface PeerEvents {
  state(state: string): void;
  /** ICE has a pair that works, or another one. */
  paired(): void;
  /** The peer opened a datachannel of its own: each message on it, of so many bytes, is read and forgotten. */
  unexpected(): void;
  forgotten(bytes: number): void;
}

const nobody: PeerEvents = { state: () => {}, paired: () => {}, unexpected: () => {}, forgotten: () => {} };

export function openPeer(config: RtcConfig, events: PeerEvents = nobody): PeerConnection {
  const { certificate, key } = newCertificate();
  const peer = new PeerConnection('cryonet', {
    ...config,
    certificatePemFile: certificate,
    keyPemFile: key,
  });
  retained.add(peer);
  peer.onStateChange((state) => {
    if (state === 'closed') retained.delete(peer);
    events.state(state);
  });
  peer.onIceStateChange((state) => {
    if (state === 'connected' || state === 'completed') events.paired();
  });
  peer.onDataChannel((channel) => {
    retained.add(channel);
    channel.onClosed(() => retained.delete(channel));
    channel.onMessage((message) => events.forgotten(lengthOf(message)));
    unexpectedAt.set(peer, performance.now());
    events.unexpected();
  });
  return peer;
}

/** Adds one of our channels; on a new peer connection the first one also makes the offer. Throws what the library
 *  throws. */
export function openChannel(peer: PeerConnection, name: ChannelName, closed = () => {}): DataChannel {
  const reliability = name === 'data' ? { unordered: true, maxRetransmits: 0 } : {};
  const channel = peer.createDataChannel(name, { negotiated: true, id: channelStream[name], ...reliability });
  retained.add(channel);
  channel.onClosed(() => {
    retained.delete(channel);
    closed();
  });
  return channel;
}

interface Ending {
  readonly since: number;
  /** Bytes that the library has taken in and not handed over. */
  readonly backlog: () => number;
  readonly ended: () => void;
}

const unexpectedAt = new WeakMap<PeerConnection, number>();
const endings = new Map<PeerConnection, Ending>();
/** The turn before this one; undefined where none was looked at. */
let turnBefore: number | undefined;

/** Ends the connection as soon as that loses nothing, which `ended` tells, in another turn. */
export function closePeer(peer: PeerConnection, backlog = () => 0, ended = () => {}): void {
  if (endings.has(peer)) return;
  if (endings.size === 0) {
    turnBefore = undefined;
    setImmediate(endSome);
  }
  endings.set(peer, { since: performance.now(), backlog, ended });
}

function endSome(): void {
  const now = performance.now();
  const isCalm = turnBefore !== undefined && now - turnBefore < calmTurn;
  const isFirst = turnBefore === undefined;
  turnBefore = now;
  for (const [peer, ending] of [...endings]) {
    if (!mayEnd(peer, ending, now, isCalm)) continue;
    endings.delete(peer);
    closeNow(peer);
    ending.ended();
  }
  if (endings.size === 0) return;
  const isUrgent = isFirst || [...endings.values()].some(({ since }) => now - since < patience);
  if (isUrgent) setImmediate(endSome);
  else setTimeout(lookAnew, pause);
}

function lookAnew(): void {
  turnBefore = undefined;
  setImmediate(endSome);
}

function mayEnd(peer: PeerConnection, { since, backlog }: Ending, now: number, isCalm: boolean): boolean {
  if (isCalm && backlog() < fewBytes) return true;
  const opened = unexpectedAt.get(peer);
  return now - since > patience && (opened === undefined || now - opened > wariness);
}

function closeNow(peer: PeerConnection): void {
  try {
    peer.close();
  } catch {
    // Closed already.
  }
}

/** Bytes that the library has received on all channels of a connection. */
export function bytesReceived(peer: PeerConnection): number {
  try {
    return peer.bytesReceived();
  } catch {
    return 0;
  }
}

export function lengthOf(message: string | Buffer | ArrayBuffer): number {
  return typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength;
}

export function selectedPair(
  peer: PeerConnection | undefined,
): { local: SelectedCandidateInfo; remote: SelectedCandidateInfo } | undefined {
  try {
    return peer?.getSelectedCandidatePair() ?? undefined;
  } catch {
    return undefined;
  }
}
