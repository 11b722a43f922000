/**
 * The WebRTC engine on werift, in TypeScript throughout: for processors that node-datachannel has no build for. Much
 * slower. It has no UDP mux, so `shared` connections have a port each, too.
 *
 * Traps of version 0.24.4: `close()` tells the peer nothing, so an SCTP ABORT goes first; a peer's ABORT ends the
 * datachannels but not the peer connection; `setLocalDescription` resolves after gathering, not before, and opens
 * sockets even after `close()`; ICE begins after gathering, which a TURN server that is silent or refuses a credential
 * holds up for longer than a negotiation may take; where it is given no STUN server it asks one of Google's.
 */

import { setImmediate } from 'node:timers/promises';
import type { RTCDataChannel, RTCPeerConnection, RTCSessionDescription } from 'werift';
import { CryonetError, reasonOf } from '../../../protocol/errors.ts';
import { turnCredentials } from '../turn-credentials.ts';
import {
  type CandidateEnd,
  type CandidatePair,
  type ChannelName,
  type Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  channelStream,
  type Engine,
  type IceServer,
  maxMessage,
  type TurnServer,
} from '../webrtc.ts';
import { CandidateHold } from './candidate-hold.ts';
import { EventGate } from './event-gate.ts';
import { hostAddresses } from './host-addresses.ts';
import { IceServerNames } from './ice-servers.ts';
import { RelayFirst } from './relay-first.ts';
import { parseCandidate, remoteCandidate, remoteDescription, withoutCandidates } from './sdp.ts';

type Werift = typeof import('werift');
type PeerConfig = ConstructorParameters<Werift['RTCPeerConnection']>[0];

/** Bytes of `data` still queued when `drain` is told. */
const LOW_WATER = 32_768;
/** A peer checks one candidate pair every 20 ms, in vain for all but a few. */
const MAX_REMOTE_CANDIDATES = 20;
/** ICE goes on until it knows that no candidate is missing. After this long it may give up. */
const LAST_CANDIDATE_MS = 20_000;

/** Loads werift, which takes half a second. */
export async function openWerift(): Promise<Engine> {
  return new WeriftEngine(await import('werift'));
}

class WeriftEngine implements Engine {
  readonly name = 'werift';
  readonly udpPort = 0;
  readonly #werift: Werift;
  readonly #names = new IceServerNames();
  readonly #connections = new Set<WeriftConnection>();
  #closed = false;

  constructor(werift: Werift) {
    this.#werift = werift;
  }

  connect(options: ConnectionOptions, events: ConnectionEvents): Connection {
    const home = {
      open: async () => {
        const { isRelayed, config } = await this.#start(options);
        return { peer: new this.#werift.RTCPeerConnection(config), isRelayed };
      },
      ended: () => this.#connections.delete(connection),
    };
    const connection = new WeriftConnection(home, events);
    if (this.#closed) connection.close();
    else this.#connections.add(connection);
    return connection;
  }

  async reflexive(): Promise<readonly string[]> {
    return [];
  }

  /** Each connection has a port of its own, for as long as it lives. */
  sweep(): void {}

  close(): void {
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.close();
  }

  async #start({
    route,
    iceServers,
  }: ConnectionOptions): Promise<{ isRelayed: boolean; config: PeerConfig }> {
    // werift's own parser splits server addresses at colons.
    const { servers } = await this.#names.resolve(iceServers, false);
    const known = servers.filter(({ host }) => !host.includes(':'));
    const turn = known.filter(({ kind }) => kind === 'turn');
    const stun = known.filter(({ kind }) => kind === 'stun');
    const asked = stun.length > 0 ? stun : turn;
    const isRelayed = route === 'relay' && turn.length > 0;
    const config = {
      iceServers: [...asked.map(stunUrl), ...(isRelayed ? turn.map(turnUrl) : [])],
      iceUseIpv6: true,
      iceAdditionalHostAddresses: hostAddresses().filter((address) => /^(127\.|::1$)/.test(address)),
      maxMessageSize: maxMessage,
    };
    return { isRelayed, config };
  }
}

interface Home {
  /** `isRelayed`: a TURN server is asked. */
  open(): Promise<{ peer: RTCPeerConnection; isRelayed: boolean }>;
  ended(): void;
}

class WeriftConnection implements Connection {
  readonly #home: Home;
  readonly #gate: EventGate;
  readonly #hold: CandidateHold;
  readonly #local = new RelayFirst({
    relay: (candidate) => this.#hold.add(candidate),
    other: (candidate) => this.#hold.add(candidate),
    unserved: () => this.#gate.unserved('turn'),
  });
  readonly #channels = new Map<ChannelName, RTCDataChannel>();
  readonly #remoteEnds = new Set<string>();
  #peer: RTCPeerConnection | undefined;
  #stage: 'new' | 'starting' | 'offered' | 'negotiated' | 'ended' = 'new';
  #lastCandidate: NodeJS.Timeout | undefined;
  #gathered: Promise<unknown> = Promise.resolve();

  constructor(home: Home, events: ConnectionEvents) {
    this.#home = home;
    this.#gate = new EventGate(events);
    this.#hold = new CandidateHold((candidate) => this.#gate.candidate(candidate));
  }

  offer(): Promise<string> {
    return this.#step(async () => {
      const peer = await this.#start();
      const offer = await peer.createOffer();
      this.#apply(peer, offer);
      this.#advance('offered');
      return withoutCandidates(offer.sdp);
    });
  }

  answer(offer: string): Promise<string> {
    return this.#step(async () => {
      const sdp = remoteDescription(offer);
      const peer = await this.#start();
      await peer.setRemoteDescription({ type: 'offer', sdp });
      const answer = await peer.createAnswer();
      this.#apply(peer, answer);
      this.#advance('negotiated');
      this.#hold.release();
      return withoutCandidates(answer.sdp);
    });
  }

  accept(answer: string): Promise<void> {
    return this.#step(async () => {
      const sdp = remoteDescription(answer);
      if (this.#stage !== 'offered') throw new CryonetError('bad_sdp', 'an answer to no offer');
      await this.#peer!.setRemoteDescription({ type: 'answer', sdp });
      this.#advance('negotiated');
      this.#hold.releaseAfterLead();
    });
  }

  addCandidate(candidate: string): void {
    const line = remoteCandidate(candidate);
    if (line === undefined || this.#stage !== 'negotiated') return;
    if (this.#remoteEnds.has(line) || this.#remoteEnds.size >= MAX_REMOTE_CANDIDATES) return;
    this.#remoteEnds.add(line);
    this.#peer!.addIceCandidate({ candidate: line, sdpMid: '0', sdpMLineIndex: 0 }).catch(() => {});
  }

  send(channel: ChannelName, bytes: Uint8Array): boolean {
    if (!this.#gate.isOpen(channel)) return false;
    try {
      this.#channels.get(channel)!.send(Buffer.from(bytes));
      return true;
    } catch {
      return false;
    }
  }

  buffered(channel: ChannelName): number {
    return this.#channels.get(channel)?.bufferedAmount ?? 0;
  }

  pair(): CandidatePair | undefined {
    if (this.#hasEnded()) return undefined;
    const selected = this.#peer?.iceTransports[0]?.getSelectedCandidatePair();
    const local = endOf(selected?.local.candidate);
    const remote = endOf(selected?.remote.candidate);
    return local === undefined || remote === undefined ? undefined : { local, remote };
  }

  close(): void {
    this.#gate.shut();
    this.#end();
  }

  async #start(): Promise<RTCPeerConnection> {
    if (this.#stage === 'ended') throw new CryonetError('connection_closed');
    if (this.#stage !== 'new') throw new CryonetError('bad_sdp', 'this connection was negotiated before');
    this.#stage = 'starting';
    const { peer, isRelayed } = await this.#home.open();
    this.#peer = peer;
    if (this.#hasEnded()) {
      void shutDown(peer, this.#gathered);
      throw new CryonetError('connection_closed');
    }
    if (isRelayed) this.#local.begin();
    peer.onIceCandidate.subscribe((candidate) => {
      const line = candidate?.candidate.replace(/^(?:a=)?(?:candidate:)?/, 'candidate:');
      const type = line === undefined ? undefined : parseCandidate(line)?.type;
      if (type !== undefined) this.#local.add(line!, type);
    });
    peer.iceGatheringStateChange.subscribe((state) => {
      if (state === 'complete') this.#local.gathered();
    });
    peer.connectionStateChange.subscribe((state) => {
      if (state === 'new') return;
      queueMicrotask(() => {
        this.#gate.state(state);
        if (state === 'failed' || state === 'closed') this.#end();
      });
    });
    for (const name of Object.keys(channelStream) as ChannelName[]) this.#openChannel(peer, name);
    peer.onDataChannel.subscribe(() =>
      queueMicrotask(() => {
        this.#gate.misused('channel');
        this.#gate.state('closed');
        this.#end();
      }),
    );
    closeOnShutdown(peer);
    this.#lastCandidate = setTimeout(() => peer.addIceCandidate(null).catch(() => {}), LAST_CANDIDATE_MS);
    return peer;
  }

  #openChannel(peer: RTCPeerConnection, name: ChannelName): void {
    const reliability = name === 'data' ? { ordered: false, maxRetransmits: 0 } : { ordered: true };
    const channel = peer.createDataChannel(name, {
      negotiated: true,
      id: channelStream[name],
      ...reliability,
    });
    this.#channels.set(name, channel);
    channel.stateChanged.subscribe((state) => {
      queueMicrotask(() => {
        if (state === 'open') this.#gate.open(name);
        if (state !== 'closed') return;
        this.#gate.state('closed');
        this.#end();
      });
    });
    channel.onMessage.subscribe((message) => {
      const bytes = typeof message === 'string' ? Buffer.from(message) : message;
      queueMicrotask(() => this.#gate.message(name, bytes));
    });
    if (name !== 'data') return;
    channel.bufferedAmountLowThreshold = LOW_WATER;
    channel.bufferedAmountLow.subscribe(() => queueMicrotask(() => this.#gate.drain()));
  }

  /** Applies our own description; gathering, which this starts, tells its failure as a state. */
  #apply(peer: RTCPeerConnection, description: RTCSessionDescription): void {
    if (peer.config.iceServers.length === 0) askNobody(peer);
    this.#gathered = peer.setLocalDescription(description).catch(() => this.#gate.state('failed'));
  }

  /** Every failure of the negotiation is the description's, but for the connection's end meanwhile. */
  async #step<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      if (cause instanceof CryonetError) throw cause;
      if (this.#hasEnded()) throw new CryonetError('connection_closed', undefined, { cause });
      throw new CryonetError('bad_sdp', reasonOf(cause), { cause });
    }
  }

  #advance(stage: 'offered' | 'negotiated'): void {
    if (this.#hasEnded()) throw new CryonetError('connection_closed');
    this.#stage = stage;
  }

  #hasEnded(): boolean {
    return this.#stage === 'ended';
  }

  #end(): void {
    if (this.#stage === 'ended') return;
    this.#stage = 'ended';
    clearTimeout(this.#lastCandidate);
    this.#local.stop();
    this.#hold.stop();
    if (this.#peer !== undefined) void shutDown(this.#peer, this.#gathered);
    this.#home.ended();
  }
}

/** Before gathering. No option says that there is no STUN server: an empty list leaves the default one. */
function askNobody(peer: RTCPeerConnection): void {
  for (const { connection } of peer.iceTransports) delete connection.stunServer;
}

/** A peer's SHUTDOWN (RFC 9260 9.2) leaves werift waiting for a message that it then ignores. */
function closeOnShutdown(peer: RTCPeerConnection): void {
  const sctp = peer.sctpTransport!.sctp;
  const established = 4;
  const closed = 1;
  const setState = sctp.setState.bind(sctp);
  sctp.setState = (state) => setState(state > established ? closed : state);
}

/** Tells the peer, then frees the sockets, once those that gathering still opens are there. Never rejects. */
async function shutDown(peer: RTCPeerConnection, gathered: Promise<unknown>): Promise<void> {
  const sockets = peer.iceTransports.map(({ connection }) => connection);
  await Promise.allSettled([peer.sctpTransport?.sctp.abort()]);
  // The ABORT leaves with the next turn of the event loop.
  await setImmediate();
  await Promise.allSettled([peer.close(), gathered]);
  await Promise.allSettled(sockets.map((connection) => connection.close()));
}

function endOf(line: string | undefined): CandidateEnd | undefined {
  if (line === undefined) return undefined;
  const candidate = parseCandidate(line.replace(/^(?:a=)?(?:candidate:)?/, 'candidate:'));
  if (candidate === undefined) return undefined;
  const { type, address, port } = candidate;
  return { type, address, port };
}

function stunUrl({ host, port }: IceServer) {
  return { urls: `stun:${host}:${port}` };
}

function turnUrl(server: IceServer) {
  const { user, credential } = turnCredentials(server as TurnServer);
  const { host, port } = server;
  return { urls: `turn:${host}:${port}?transport=udp`, username: user, credential };
}
