/** One connection of the node-datachannel engine. */

import { CryonetError, reasonOf } from '../../../protocol/errors.ts';
import type { Nat64Prefix } from '../../core/nat64.ts';
import {
  type CandidatePair,
  type CandidateType,
  type ChannelName,
  type Connection,
  type ConnectionEvents,
  type ConnectionState,
  channelStream,
  type Misuse,
} from '../webrtc.ts';
import { CandidateHold } from './candidate-hold.ts';
import { EventGate } from './event-gate.ts';
import {
  bytesReceived,
  closePeer,
  type DataChannel,
  lengthOf,
  openChannel,
  openPeer,
  type PeerConnection,
  type RtcConfig,
  selectedPair,
} from './native-peer.ts';
import { RelayFirst } from './relay-first.ts';
import {
  parseCandidate,
  remoteCandidate,
  remoteDescription,
  translatedCandidate,
  withoutCandidates,
} from './sdp.ts';

/** What the engine gives a connection to start with. */
export interface Start {
  readonly config: RtcConfig;
  /** Whether a TURN server of ours is asked for a candidate: the others are then told only where it gives none. */
  readonly isRelayed: boolean;
  /** Whether a STUN server is asked for a candidate. */
  readonly asksStun: boolean;
  /** Our host candidates. */
  readonly candidates: readonly string[];
  /** Of the network, where this host has IPv6 alone. */
  readonly nat64: Nat64Prefix | undefined;
  /** Told once whether the STUN server asked gave us a candidate, as far as it had the time to. */
  stunOutcome(answered: boolean): void;
}

/** What a connection asks of its engine. */
export interface Home {
  start(): Promise<Start>;
  /** The address that this host sends from towards another one; undefined where that is not known. */
  source(remote: string): string | undefined;
  /** It is over for its owner; its place in the mux is free once `gone`. */
  ended(): void;
  gone(): void;
}

/** Bytes that may wait for JavaScript, where the library has no bound: most of half a second at the speeds of this path. */
const MAX_BACKLOG = 16_777_216;
/** Messages between two looks at that. */
const LOOKS = 32;

/** Bytes of `data` still queued when `drain` is told: under a millisecond at the speeds this path reaches. */
const LOW_WATER = 32_768;
/** libjuice keeps 30 remote candidates, those it learns from checks among them. */
const MAX_REMOTE_CANDIDATES = 20;
/** In an offer: it comes through a TURN server. Other implementations pass over what they do not know (RFC 8866 5.13). */
const RELAYED = 'a=x-cryonet-relayed';

export class NativeConnection implements Connection {
  readonly #home: Home;
  readonly #gate: EventGate;
  readonly #hold: CandidateHold;
  /** For candidates of a TURN server, which an offerer tells before the others. */
  #relays: CandidateHold;
  readonly #local = new RelayFirst({
    relay: (candidate) => this.#relays.add(candidate),
    other: (candidate) => this.#hold.add(candidate),
    unserved: () => this.#gate.unserved('turn'),
  });
  readonly #channels = new Map<ChannelName, DataChannel>();
  readonly #remoteTypes = new Map<string, CandidateType>();
  #peer: PeerConnection | undefined;
  #stage: 'new' | 'starting' | 'offered' | 'negotiated' | 'ended' = 'new';
  #source: string | undefined;
  #port: number | undefined;
  #stun: ((answered: boolean) => void) | undefined;
  #nat64: Nat64Prefix | undefined;
  /** Bytes and messages that the library has handed over. */
  #handedOver = 0;
  #messages = 0;

  constructor(home: Home, events: ConnectionEvents) {
    this.#home = home;
    this.#gate = new EventGate(events);
    this.#hold = this.#newHold();
    this.#relays = this.#hold;
  }

  /** Of its UDP socket; undefined before it has one. */
  get port(): number | undefined {
    return this.#port;
  }

  async offer(): Promise<string> {
    this.#relays = this.#newHold();
    const { peer, isRelayed } = await this.#start();
    const sdp = this.#negotiate(() => {
      this.#openChannels(peer);
      return peer.localDescription();
    });
    this.#stage = 'offered';
    if (!isRelayed) return sdp;
    this.#relays.release();
    return `${sdp}${RELAYED}\r\n`;
  }

  async answer(offer: string): Promise<string> {
    const description = remoteDescription(offer);
    const { peer } = await this.#start();
    const sdp = this.#negotiate(() => {
      peer.setRemoteDescription(description, 'offer');
      this.#openChannels(peer);
      return peer.localDescription();
    });
    this.#stage = 'negotiated';
    if (description.includes(`\r\n${RELAYED}\r\n`)) this.#hold.releaseInTurn();
    else this.#hold.release();
    return sdp;
  }

  async accept(answer: string): Promise<void> {
    const description = remoteDescription(answer);
    const peer = this.#peer;
    if (peer === undefined || this.#stage !== 'offered')
      throw new CryonetError('bad_sdp', 'an answer to no offer');
    this.#negotiate(() => {
      peer.setRemoteDescription(description, 'answer');
      return peer.localDescription();
    });
    this.#stage = 'negotiated';
    this.#hold.releaseAfterLead();
  }

  addCandidate(candidate: string): void {
    const line = remoteCandidate(candidate);
    if (line === undefined || this.#stage !== 'negotiated') return;
    // What the translator does not reach a relay of ours may.
    const translated = this.#nat64 === undefined ? undefined : translatedCandidate(line, this.#nat64);
    if (translated !== undefined) this.#try(translated);
    this.#try(line);
  }

  #try(line: string): void {
    const { address, port, type } = parseCandidate(line)!;
    const end = endOf(address, port);
    if (this.#remoteTypes.has(end) || this.#remoteTypes.size >= MAX_REMOTE_CANDIDATES) return;
    this.#remoteTypes.set(end, type);
    try {
      this.#peer!.addRemoteCandidate(line, '0');
      this.#hold.peerTold();
    } catch {
      // The library ended the connection a moment ago; its event is on the way.
    }
  }

  send(channel: ChannelName, bytes: Uint8Array): boolean {
    if (!this.#gate.isOpen(channel)) return false;
    try {
      // False would only mean that the message waits in the library's queue.
      this.#channels.get(channel)!.sendMessageBinary(bytes);
      return true;
    } catch {
      return false;
    }
  }

  buffered(channel: ChannelName): number {
    try {
      return this.#channels.get(channel)?.bufferedAmount() ?? 0;
    } catch {
      return 0;
    }
  }

  pair(): CandidatePair | undefined {
    const selected = selectedPair(this.#peer);
    if (selected === undefined) return undefined;
    const { local, remote } = selected;
    const isRelayed = typeOf(local.type) === 'relay';
    return {
      // Where it does not send through a relay, libjuice tells its first address, or a NAT's, whichever it sends from.
      local: {
        type: isRelayed ? 'relay' : 'host',
        address: isRelayed ? local.address : (this.#source ?? local.address),
        port: isRelayed ? local.port : (this.#port ?? local.port),
      },
      remote: {
        // A peer's check often arrives before the candidate that explains it.
        type: this.#remoteTypes.get(endOf(remote.address, remote.port)) ?? typeOf(remote.type),
        address: remote.address,
        port: remote.port,
      },
    };
  }

  close(): void {
    this.#gate.shut();
    this.#end();
  }

  async #start(): Promise<Start & { peer: PeerConnection }> {
    if (this.#stage === 'ended') throw new CryonetError('connection_closed');
    if (this.#stage !== 'new') throw new CryonetError('bad_sdp', 'this connection was negotiated before');
    this.#stage = 'starting';
    const start = await this.#home.start();
    if (this.#hasEnded()) throw new CryonetError('connection_closed');
    this.#stun = start.stunOutcome;
    this.#port = start.config.portRangeBegin;
    this.#nat64 = start.nat64;
    if (start.isRelayed) this.#local.begin();
    for (const candidate of start.candidates) this.#local.add(candidate, 'host');
    const peer = openPeer(start.config, {
      state: (state) => this.#onState(state),
      paired: () => {
        this.#findSource();
        this.#gate.paired();
      },
      unexpected: () => this.#misused('channel'),
      forgotten: (bytes) => {
        this.#handedOver += bytes;
      },
    });
    this.#peer = peer;
    peer.onLocalCandidate((line) => this.#onCandidate(line.replace(/^a=/, '')));
    peer.onGatheringStateChange((state) => {
      if (state !== 'complete') return;
      this.#local.gathered();
      if (start.asksStun && this.#stun !== undefined) this.#gate.unserved('stun');
      this.#tellStun(false);
    });
    return { ...start, peer };
  }

  #newHold(): CandidateHold {
    return new CandidateHold((candidate) => this.#gate.candidate(candidate));
  }

  #openChannels(peer: PeerConnection): void {
    for (const name of Object.keys(channelStream) as ChannelName[]) {
      const channel = openChannel(peer, name, () => this.#onState('closed'));
      this.#channels.set(name, channel);
      channel.onOpen(() => this.#gate.open(name));
      channel.onMessage((message) => this.#onMessage(peer, name, message));
    }
    const data = this.#channels.get('data')!;
    data.setBufferedAmountLowThreshold(LOW_WATER);
    data.onBufferedAmountLow(() => this.#gate.drain());
  }

  /** One step of the negotiation, and the local description after it. */
  #negotiate(step: () => { sdp: string } | null): string {
    try {
      const description = step();
      if (description === null) throw new Error('no local description');
      return withoutCandidates(description.sdp);
    } catch (cause) {
      if (this.#hasEnded()) throw new CryonetError('connection_closed', undefined, { cause });
      throw new CryonetError('bad_sdp', reasonOf(cause), { cause });
    }
  }

  #onState(state: string): void {
    if (isState(state)) this.#gate.state(state);
    if (state === 'failed' || state === 'closed') this.#end();
  }

  /** Nodes send neither text nor nothing. The library builds longer messages of both than those it has counted. */
  #onMessage(peer: PeerConnection, name: ChannelName, message: string | Buffer | ArrayBuffer): void {
    const length = lengthOf(message);
    this.#handedOver += length;
    this.#messages++;
    if (this.#gate.isShut) return;
    if (length === 0 || typeof message === 'string') {
      this.#misused('message');
      return;
    }
    if (this.#messages % LOOKS === 0) {
      const backlog = bytesReceived(peer) - this.#handedOver;
      if (backlog > MAX_BACKLOG || backlog < 0) {
        this.#misused('backlog');
        return;
      }
    }
    this.#gate.message(name, message instanceof ArrayBuffer ? new Uint8Array(message) : message);
  }

  #misused(how: Misuse): void {
    this.#gate.misused(how);
    this.#onState('closed');
  }

  #onCandidate(candidate: string): void {
    const type = parseCandidate(candidate)?.type;
    // The library's host candidates are its first 14, whichever interfaces those are on: ours replace them.
    if (type === undefined || type === 'host') return;
    if (type !== 'relay') this.#tellStun(true);
    this.#local.add(candidate, type);
  }

  #tellStun(answered: boolean): void {
    this.#stun?.(answered);
    this.#stun = undefined;
  }

  #findSource(): void {
    const remote = selectedPair(this.#peer)?.remote.address;
    if (remote !== undefined) this.#source = this.#home.source(remote);
  }

  #hasEnded(): boolean {
    return this.#stage === 'ended';
  }

  /** The library's part is over, whoever ended it. */
  #end(): void {
    if (this.#stage === 'ended') return;
    this.#stage = 'ended';
    this.#local.stop();
    this.#hold.stop();
    this.#relays.stop();
    this.#tellStun(false);
    this.#channels.clear();
    const peer = this.#peer;
    this.#peer = undefined;
    this.#home.ended();
    if (peer === undefined) this.#home.gone();
    else
      closePeer(
        peer,
        () => bytesReceived(peer) - this.#handedOver,
        () => this.#home.gone(),
      );
  }
}

const states: ReadonlySet<string> = new Set<ConnectionState>([
  'connecting',
  'connected',
  'disconnected',
  'failed',
  'closed',
]);

function isState(state: string): state is ConnectionState {
  return states.has(state);
}

function typeOf(type: string): CandidateType {
  const lower = type.toLowerCase();
  return lower === 'srflx' || lower === 'prflx' || lower === 'relay' ? lower : 'host';
}

function endOf(address: string, port: number): string {
  return `${address} ${port}`;
}
