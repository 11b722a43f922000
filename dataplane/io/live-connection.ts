/** The connections of all links, with what the shell keeps about each. */
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import { fullPacket, maxWireFrame, type WireMessage, wireMessage } from '../../protocol/wire.ts';
import type { FullPackets } from '../core/full-packets.ts';
import type { Agreement } from './agreement.ts';
import type { Said } from './channel-records.ts';
import { recordOverhead } from './direct.ts';
import { parseCandidate, remoteCandidate } from './engine/sdp.ts';
import { RoundTrip } from './round-trip.ts';
import {
  type CandidatePair,
  type ChannelName,
  type Connection,
  type IceServer,
  maxMessage,
  type Route,
  type TurnServer,
} from './webrtc.ts';

/** Candidates kept while the remote description is being applied. */
const maxEarlyCandidates = 64;

/** Milliseconds until news of an address are told again, where they were of no use: a way to signal may just be lost. */
const tellAgain = 700;

export class LiveConnection {
  readonly connection: Connection;
  readonly route: Route;
  readonly agreement: Agreement;
  /** Of our DTLS certificate, once our offer is there. */
  fingerprint: string | undefined;
  /** TURN servers that were asked for a relay. */
  readonly asked: readonly TurnServer[];
  /** Its packets are of the least length. */
  readonly narrow: boolean;
  readonly roundTrip = new RoundTrip();
  /** Pings since the peer was heard of last. */
  silentPings = 0;
  /** Packets that had come by the link's datachannels when that was looked at last. */
  packets = 0;
  /** What ICE had selected when that was looked at: as soon as it had a pair, and when a channel opened. */
  ends: CandidatePair | undefined;
  /** Servers of the node when it was made. */
  readonly iceServers: readonly IceServer[];
  /** Those that have opened. */
  readonly channels = new Set<ChannelName>();
  /** How many of the peer's candidates are tried. */
  tried = 0;
  /** Why the first of those is not that is not. */
  refused: string | undefined;
  /** Undefined where nobody asks: its packets fit every path, the peer does not answer, or no packets go by it yet. */
  full: FullPackets | undefined;
  /** The peer answers full packets. */
  answersFull = false;
  #early: string[] | undefined = [];
  /** Addresses of ours that the peer was told, as `address port`, and when it may be told again. */
  readonly #told = new Map<string, number>();

  constructor(
    connection: Connection,
    about: Pick<LiveConnection, 'route' | 'agreement' | 'narrow' | 'asked' | 'iceServers'>,
  ) {
    this.connection = connection;
    this.route = about.route;
    this.agreement = about.agreement;
    this.asked = about.asked;
    this.narrow = about.narrow;
    this.iceServers = about.iceServers;
  }

  /** A channel has opened. */
  get opened(): boolean {
    return this.channels.size > 0;
  }

  /** Both descriptions are there and candidates of the peer are tried, but none has worked. */
  get isInVain(): boolean {
    return !this.opened && this.tried > 0 && this.#early === undefined;
  }

  /** What ICE has selected now. */
  look(): CandidatePair | undefined {
    this.ends = this.connection.pair();
    return this.ends;
  }

  sendSignal(frame: Uint8Array): void {
    this.#send('signal', 'signal', frame);
  }

  sendWire(message: WireMessage): void {
    this.#send('wire', 'wire', encode(message));
  }

  /** `bytes`: of the message on `data`. */
  sendFull(number: number, bytes: number): void {
    this.#send('data', 'full', fullPacket(number, bytes - recordOverhead));
  }

  /** Undefined where it is not what the peer said next. */
  open(said: Said, record: Uint8Array): Uint8Array | undefined {
    return this.agreement.channels?.open(said, record);
  }

  ping(): void {
    this.silentPings++;
    this.sendWire({ type: 'ping', number: this.roundTrip.asked(performance.now()) });
  }

  takePong(number: number): void {
    this.roundTrip.answered(number, performance.now());
  }

  /** The peer is told this candidate of ours with the others. */
  tell(candidate: string): void {
    this.#told.set(nameOfPlace(candidate), Number.POSITIVE_INFINITY);
  }

  /** Whether this candidate is one that the peer should be told now: another one than before, or one of which the news
   *  may have been lost. */
  isNews(candidate: string, now: number): boolean {
    const name = nameOfPlace(candidate);
    const again = this.#told.get(name);
    if (again !== undefined && now < again) return false;
    // What it was told before may become news again.
    if (again === undefined) this.#told.clear();
    this.#told.set(name, now + tellAgain);
    return true;
  }

  /** True where the connection has it; until the remote description is there it is kept. */
  addCandidate(candidate: string): boolean {
    if (this.#early === undefined) this.connection.addCandidate(candidate);
    else if (this.#early.length < maxEarlyCandidates) this.#early.push(candidate);
    return this.#early === undefined;
  }

  releaseCandidates(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const candidate of early) this.connection.addCandidate(candidate);
  }

  /** What cannot be sent is not sealed: the peer takes no record but the next one, so a missing one ends the connection. */
  #send(channel: ChannelName, said: Said, content: Uint8Array): void {
    const { channels: records } = this.agreement;
    if (!this.channels.has(channel) || records === undefined) return;
    if (content.length + recordOverhead > maxMessage) return;
    this.connection.send(channel, records.seal(said, content));
  }
}

/** Where a candidate is. */
export function placeOf(candidate: string): { readonly address: string; readonly port: number } | undefined {
  const usable = remoteCandidate(candidate);
  return usable === undefined ? undefined : parseCandidate(usable);
}

function nameOfPlace(candidate: string): string {
  const { address, port } = placeOf(candidate) ?? { address: candidate, port: 0 };
  return `${address} ${port}`;
}

/** Undefined for what is no message: a newer dataplane may say more than this one understands. */
export function readWire(bytes: Uint8Array, refused: (reason: string) => void): WireMessage | undefined {
  try {
    if (bytes.length > maxWireFrame) throw new CryonetError('frame_too_large');
    return parse(wireMessage, bytes);
  } catch (error) {
    refused(reasonOf(error));
    return undefined;
  }
}

export class LiveConnections {
  readonly #byName = new Map<string, LiveConnection>();

  get(peer: string, negotiation: string): LiveConnection | undefined {
    return this.#byName.get(nameOf(peer, negotiation));
  }

  add(peer: string, negotiation: string, live: LiveConnection): void {
    this.#byName.set(nameOf(peer, negotiation), live);
  }

  /** With the peer and negotiation of each. */
  *all(): Generator<{ peer: string; negotiation: string; live: LiveConnection }> {
    for (const [name, live] of this.#byName) {
      const [peer, negotiation] = name.split(' ') as [string, string];
      yield { peer, negotiation, live };
    }
  }

  sayToAll(message: WireMessage): void {
    for (const live of this.#byName.values()) live.sendWire(message);
  }

  /** False where there is none. */
  close(peer: string, negotiation: string): boolean {
    this.get(peer, negotiation)?.connection.close();
    return this.#byName.delete(nameOf(peer, negotiation));
  }
}

function nameOf(peer: string, negotiation: string): string {
  return `${peer} ${negotiation}`;
}
