/**
 * The WebRTC engine in memory, for tests: connections of one `FakeNetwork` find each other by the tokens in their
 * descriptions. It has no clock; every event and every message passes through the network's `schedule`, one task
 * each, in order.
 */

import { createHash } from 'node:crypto';
import { CryonetError } from '../../../protocol/errors.ts';
import {
  type CandidatePair,
  type ChannelName,
  type Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  channelStream,
  type Engine,
  maxMessage,
} from '../webrtc.ts';
import { EventGate } from './event-gate.ts';
import { hostCandidate, parseCandidate, remoteCandidate, remoteDescription } from './sdp.ts';

export interface FakeNetworkOptions {
  /** Runs one task later, never at once. By default `setImmediate`; a test with a virtual clock may delay it. Tasks
   *  of one channel run in order whatever this does. */
  readonly schedule?: (task: () => void) => void;
  /** Whether this message on `data` is lost. By default none is. */
  readonly loses?: (from: string, to: string, bytes: Uint8Array) => boolean;
}

/** Every fake node's. */
const PORT = 2333;
const OTHER_PORT = 40_000;
/** Bytes of `data` still under way when `drain` is told. */
const LOW_WATER = 32_768;

export class FakeNetwork {
  readonly schedule: (task: () => void) => void;
  readonly loses: (from: string, to: string, bytes: Uint8Array) => boolean;
  readonly #connections = new Map<string, FakeConnection>();
  readonly #cuts = new Set<string>();
  readonly #addresses = new Map<string, string>();
  /** Opens the channels of an end that has a pair; what stands for DTLS may take long. */
  handshake: (open: () => void) => void = (open) => open();
  /** Candidates at which STUN servers see a node now. */
  reflexive: (node: string) => readonly string[] = () => [];
  #tokens = 0;

  constructor(options: FakeNetworkOptions = {}) {
    this.schedule = options.schedule ?? ((task) => void setImmediate(task));
    this.loses = options.loses ?? (() => false);
  }

  /** The engine of one node. A node that closed its engine may have another. */
  engine(node: string): Engine {
    if (!this.#addresses.has(node)) {
      const index = this.#addresses.size + 1;
      this.#addresses.set(node, `198.18.${index >> 8}.${index & 255}`);
    }
    return new FakeEngine(this, node);
  }

  /** From now on nothing passes between the two nodes: `data` is lost, the other channels wait, new connections
   *  stay `connecting`, and one end's close is not seen by the other. */
  cut(a: string, b: string): void {
    this.#cuts.add(pairOf(a, b));
  }

  /** Undoes the cut of two nodes, or every cut. */
  heal(a?: string, b?: string): void {
    if (a === undefined || b === undefined) this.#cuts.clear();
    else this.#cuts.delete(pairOf(a, b));
    for (const connection of [...this.#connections.values()]) connection.resume();
  }

  /** ICE loses its patience: connections across a cut fail, those whose other end closed behind one, and those that
   *  have not connected yet. */
  lapse(): void {
    for (const connection of [...this.#connections.values()]) connection.lapse();
  }

  isCut(a: string, b: string): boolean {
    return this.#cuts.has(pairOf(a, b));
  }

  addressOf(node: string): string {
    return this.#addresses.get(node)!;
  }

  /** Registers a connection and gives it the token that names it in descriptions. */
  register(connection: FakeConnection): string {
    this.#tokens += 1;
    const token = this.#tokens.toString().padStart(4, '0');
    this.#connections.set(token, connection);
    return token;
  }

  forget(token: string): void {
    this.#connections.delete(token);
  }

  find(token: string): FakeConnection | undefined {
    return this.#connections.get(token);
  }
}

class FakeEngine implements Engine {
  readonly name = 'fake';
  readonly udpPort = PORT;
  readonly #network: FakeNetwork;
  readonly #node: string;
  readonly #connections = new Set<FakeConnection>();
  #closed = false;

  constructor(network: FakeNetwork, node: string) {
    this.#network = network;
    this.#node = node;
  }

  connect({ otherPort = false }: ConnectionOptions, events: ConnectionEvents): Connection {
    const ended = () => this.#connections.delete(connection);
    const port = otherPort ? OTHER_PORT : PORT;
    const connection = new FakeConnection(this.#network, this.#node, port, events, ended);
    if (this.#closed) connection.close();
    else this.#connections.add(connection);
    return connection;
  }

  async reflexive(): Promise<readonly string[]> {
    await null;
    return this.#network.reflexive(this.#node);
  }

  sweep(): void {}

  close(): void {
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.close();
  }
}

class FakeConnection implements Connection {
  readonly node: string;
  readonly #port: number;
  readonly #network: FakeNetwork;
  readonly #gate: EventGate;
  readonly #ended: () => void;
  readonly #token: string;
  readonly #queues: Record<ChannelName, Uint8Array[]> = { signal: [], wire: [], data: [] };
  readonly #buffered: Record<ChannelName, number> = { signal: 0, wire: 0, data: 0 };
  #stage: 'new' | 'offered' | 'negotiated' | 'connected' | 'ended' = 'new';
  #remoteToken: string | undefined;
  #hasCandidate = false;
  #isFull = false;

  constructor(network: FakeNetwork, node: string, port: number, events: ConnectionEvents, ended: () => void) {
    this.node = node;
    this.#port = port;
    this.#network = network;
    this.#gate = new EventGate(events);
    this.#ended = ended;
    this.#token = network.register(this);
  }

  async offer(): Promise<string> {
    this.#expect('new', 'this connection was negotiated before');
    this.#stage = 'offered';
    await this.#nextTurn();
    this.#event(() => this.#gate.state('connecting'));
    return this.#describe('actpass');
  }

  async answer(offer: string): Promise<string> {
    const token = tokenOf(remoteDescription(offer));
    this.#expect('new', 'this connection was negotiated before');
    this.#stage = 'negotiated';
    this.#remoteToken = token;
    await this.#nextTurn();
    this.#event(() => this.#gate.state('connecting'));
    this.#tellCandidate();
    return this.#describe('active');
  }

  async accept(answer: string): Promise<void> {
    const token = tokenOf(remoteDescription(answer));
    this.#expect('offered', 'an answer to no offer');
    this.#stage = 'negotiated';
    this.#remoteToken = token;
    this.#tellCandidate();
    this.#tryConnect();
  }

  addCandidate(candidate: string): void {
    if (remoteCandidate(candidate) === undefined || this.#remoteToken === undefined) return;
    // Like a check to a wrong address, somebody else's candidate is of no use.
    const other = this.#other();
    if (other !== undefined && parseCandidate(candidate)!.address !== this.#network.addressOf(other.node))
      return;
    this.#hasCandidate = true;
    this.#tryConnect();
  }

  send(channel: ChannelName, bytes: Uint8Array): boolean {
    if (!this.#gate.isOpen(channel) || bytes.length > maxMessage) return false;
    this.#queues[channel].push(Uint8Array.from(bytes));
    this.#buffered[channel] += bytes.length;
    if (this.#buffered.data > LOW_WATER) this.#isFull = true;
    this.#network.schedule(() => this.#deliver(channel));
    return true;
  }

  buffered(channel: ChannelName): number {
    return this.#buffered[channel];
  }

  pair(): CandidatePair | undefined {
    const other = this.#other();
    if (this.#stage !== 'connected' || other === undefined) return undefined;
    return { local: this.#place(), remote: other.#place() };
  }

  close(): void {
    this.#gate.shut();
    this.#end();
  }

  /** What waited for the network goes on. */
  resume(): void {
    this.#tryConnect();
    for (const channel of ['signal', 'wire'] as const) {
      for (const _ of this.#queues[channel]) this.#network.schedule(() => this.#deliver(channel));
    }
  }

  lapse(): void {
    const other = this.#other();
    const isCut = other === undefined || this.#network.isCut(this.node, other.node);
    if (this.#stage !== 'negotiated' && !(this.#stage === 'connected' && isCut)) return;
    this.#event(() => {
      this.#gate.state('disconnected');
      this.#gate.state('failed');
      this.#end();
    });
  }

  #tryConnect(): void {
    const other = this.#other();
    if (other === undefined || other.#other() !== this || this.#network.isCut(this.node, other.node)) return;
    if (this.#stage !== 'negotiated' || other.#stage !== 'negotiated') return;
    if (!this.#hasCandidate && !other.#hasCandidate) return;
    for (const end of [this, other]) {
      end.#stage = 'connected';
      end.#event(() => end.#gate.paired());
      this.#network.handshake(() => {
        end.#event(() => end.#gate.state('connected'));
        for (const channel of Object.keys(channelStream) as ChannelName[]) {
          end.#event(() => end.#gate.open(channel));
        }
      });
    }
  }

  /** Hands the first message of a channel's queue to the other end. */
  #deliver(channel: ChannelName): void {
    const other = this.#other();
    const isCut = other !== undefined && this.#network.isCut(this.node, other.node);
    if (isCut && channel !== 'data') return;
    const bytes = this.#queues[channel].shift();
    if (bytes === undefined) return;
    this.#buffered[channel] -= bytes.length;
    const isLost = isCut || (channel === 'data' && this.#network.loses(this.node, other?.node ?? '', bytes));
    if (!isLost && other !== undefined) other.#gate.message(channel, bytes);
    if (!this.#isFull || this.#buffered.data > LOW_WATER) return;
    this.#isFull = false;
    this.#gate.drain();
  }

  #place() {
    return { type: 'host' as const, address: this.#network.addressOf(this.node), port: this.#port };
  }

  #other(): FakeConnection | undefined {
    return this.#remoteToken === undefined ? undefined : this.#network.find(this.#remoteToken);
  }

  #tellCandidate(): void {
    const line = hostCandidate(this.#network.addressOf(this.node), this.#port, 0);
    this.#event(() => this.#gate.candidate(line));
  }

  #describe(setup: 'actpass' | 'active'): string {
    const hex = createHash('sha256').update(this.node).digest('hex').toUpperCase();
    return [
      'v=0',
      'o=- 0 0 IN IP4 0.0.0.0',
      's=-',
      't=0 0',
      'a=group:BUNDLE 0',
      `a=fingerprint:sha-256 ${hex.replace(/..(?!$)/g, '$&:')}`,
      'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
      'c=IN IP4 0.0.0.0',
      'a=mid:0',
      `a=setup:${setup}`,
      `a=ice-ufrag:${this.#token}`,
      `a=ice-pwd:${this.#token.repeat(6)}`,
      '',
    ].join('\r\n');
  }

  #expect(stage: 'new' | 'offered', otherwise: string): void {
    this.#expectOpen();
    if (this.#stage !== stage) throw new CryonetError('bad_sdp', otherwise);
  }

  #expectOpen(): void {
    if (this.#stage === 'ended') throw new CryonetError('connection_closed');
  }

  /** As in the real engines, the connection may be closed before its description is there. */
  async #nextTurn(): Promise<void> {
    await null;
    this.#expectOpen();
  }

  #event(tell: () => void): void {
    this.#network.schedule(tell);
  }

  #end(): void {
    if (this.#stage === 'ended') return;
    const other = this.#other();
    this.#stage = 'ended';
    this.#network.forget(this.#token);
    this.#ended();
    if (other === undefined || other.#remoteToken !== this.#token) return;
    if (this.#network.isCut(this.node, other.node)) return;
    other.#event(() => {
      other.#gate.state('closed');
      other.#end();
    });
  }
}

function pairOf(a: string, b: string): string {
  return [a, b].sort().join(' ');
}

function tokenOf(sdp: string): string {
  return /^a=ice-ufrag:(\S+)$/m.exec(sdp)![1]!;
}
