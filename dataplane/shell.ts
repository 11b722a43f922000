/**
 * The dataplane process around its core: connections, interfaces, and the one control that drives them. The only file
 * that sees both `core/` and `io/`.
 */
import type {
  DataplaneConfig,
  HelloReply,
  LinkReport,
  Method,
  Notification,
  NotificationParams,
  Params,
  Result,
} from '../protocol/dataplane.ts';
import { dataplaneVersion } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { Log } from '../protocol/log.ts';
import { maxNeighborFrame } from '../protocol/signaling.ts';
import { Warnings } from '../protocol/warnings.ts';
import {
  type Link,
  type LinkEffect,
  type LinkEvent,
  type Links,
  leastMtu,
  newLinks,
  nextDeadline,
  step,
} from './core/link.ts';
import { isRelayed, pairOf, reportOf } from './core/report.ts';
import { DirectShell } from './direct-shell.ts';
import { CandidateFilter } from './io/candidate-filter.ts';
import { sumCounters } from './io/direct.ts';
import { fingerprintOf } from './io/engine/sdp.ts';
import { Interfaces } from './io/interfaces.ts';
import { LiveConnection, LiveConnections, readWire } from './io/live-connection.ts';
import type { TunFactory } from './io/tun.ts';
import type { ConnectionState, Engine } from './io/webrtc.ts';

/** Milliseconds between pings on a link's `wire` channel. */
const pingInterval = 2000;

/** Intervals between two pings where a direct path carries the packets: only to know that there is another one. */
const restingPings = 10;

/** Pings in a row, without a word of any kind from the peer, after which a link is lost. ICE alone notices after half
 *  a minute, and SCTP sends less and less often into a path that was interrupted. */
const maxSilentPings = 3;

/** Pings, likewise, of which the second is sent a probe's time before a direct path is lost. */
const doubts = 2;

/** Milliseconds for a goodbye to leave before the connections close. */
const goodbyeDelay = 100;

export interface OpenEngine extends Engine {
  readonly udpPort: number;
}

/** Throws `port_in_use` where a `fixed` port is taken. */
export type EngineFactory = (udpPort: number, fixed: boolean, interfaceMtu: number) => Promise<OpenEngine>;

interface ControlSide {
  notify<N extends Notification>(name: N, params: NotificationParams<N>): void;
}

export class DataplaneShell {
  readonly #log: Log;
  readonly #openEngine: EngineFactory;
  readonly #child: boolean;
  readonly #filter: CandidateFilter;
  readonly #live = new LiveConnections();
  readonly #interfaces: Interfaces;
  readonly #tuns: TunFactory;
  readonly #direct: DirectShell;
  readonly #warnings: Warnings;
  /** Peers to which packets of the usual length are lost. */
  readonly #narrow = new Set<string>();
  #links: Links = newLinks({ packetInformation: false, mtu: leastMtu, autoMtu: true });
  #config: DataplaneConfig | undefined;
  #engine: OpenEngine | undefined;
  #portTaken = false;
  #lastHello: Promise<unknown> = Promise.resolve();
  #control: ControlSide | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pings: NodeJS.Timeout | undefined;
  #pingCount = 0;

  constructor(options: { log: Log; tuns: TunFactory; openEngine: EngineFactory; child: boolean }) {
    this.#log = options.log;
    this.#openEngine = options.openEngine;
    this.#child = options.child;
    this.#tuns = options.tuns;
    this.#warnings = new Warnings(options.log, () =>
      this.#control?.notify('warnings', { warnings: this.#warnings.list() }),
    );
    this.#interfaces = new Interfaces(options.tuns, options.log, (peer, reason) => {
      this.#direct.forget(peer);
      this.#take({ type: 'interface-failed', peer, reason });
    });
    this.#direct = new DirectShell({
      log: options.log,
      tuns: options.tuns,
      link: (peer) => this.#interfaces.directOf(peer),
      send: (peer, negotiation, message) => this.#live.get(peer, negotiation)?.sendWire(message),
      changed: (peer, up) => this.#directChanged(peer, up),
      // What is dead for probes most often is dead for the datachannel as well: that is asked at once, and has as long
      // to answer as the direct path has until it is lost.
      doubtful: (peer) => this.#active(peer)?.ping(),
      fits: (peer, bytes) => this.#take({ type: 'fits', peer, bytes }),
    });
    this.#filter = new CandidateFilter(options.tuns, () => this.#interfaces.names);
  }

  /** Notifications go to `control` from now on; undefined while there is none. */
  attach(control: ControlSide | undefined): void {
    this.#control = control;
  }

  /** Answers one request. Throws `unknown_link`, `bad_sdp`, `port_in_use` and what interfaces throw. */
  async request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return (await this.#answer(method, params as never)) as Result<M>;
  }

  notification<N extends Notification>(name: N, params: NotificationParams<N>): void {
    if (name === 'candidate') this.#addCandidate(params as NotificationParams<'candidate'>);
    if (name === 'signal') {
      const { peer, frame } = params as NotificationParams<'signal'>;
      this.#active(peer)?.connection.send('signal', frame);
    }
  }

  /** The node stops. Where no control is left to tell the mesh, peers are told here; resolves when that has gone out. */
  async leave(): Promise<void> {
    if (this.#control !== undefined || this.#links.byPeer.size === 0) return;
    this.#live.sayToAll({ type: 'bye' });
    await new Promise((resolve) => setTimeout(resolve, goodbyeDelay));
  }

  /** Closes in order: connections, interfaces, the UDP port. Idempotent, never throws. */
  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#pings);
    this.#direct.close();
    for (const peer of [...this.#links.byPeer.keys()]) this.#take({ type: 'remove', peer });
    this.#engine?.close();
    this.#engine = undefined;
  }

  async #answer(method: Method, params: never): Promise<unknown> {
    switch (method) {
      case 'hello':
        return await this.#helloInTurn(params as Params<'hello'>);
      case 'offer':
        return await this.#offer(params as Params<'offer'>);
      case 'answer':
        return await this.#answerOffer(params as Params<'answer'>);
      case 'accept':
        return await this.#accept(params as Params<'accept'>);
      case 'close':
        this.#take({ type: 'close', ...(params as Params<'close'>) });
        return {};
      case 'remove':
        this.#take({ type: 'remove', ...(params as Params<'remove'>) });
        return {};
      case 'stats':
        return { links: [...this.#links.byPeer.keys()].flatMap((peer) => this.#stats(peer)) };
      case 'shutdown':
        this.close();
        return {};
    }
  }

  /** A control that dies during its hello leaves it to the next one to wait: two would open two engines. */
  #helloInTurn(params: Params<'hello'>): Promise<HelloReply> {
    const reply = this.#lastHello.then(() => this.#hello(params));
    this.#lastHello = reply.catch(() => {});
    return reply;
  }

  async #hello({ config }: Params<'hello'>): Promise<HelloReply> {
    const same = this.#engine !== undefined && JSON.stringify(config) === JSON.stringify(this.#config);
    if (!same) await this.#configure(config);
    return {
      version: dataplaneVersion,
      pid: process.pid,
      child: this.#child,
      engine: this.#engine!.name,
      udpPort: this.#engine!.udpPort,
      portTaken: this.#portTaken,
      links: [...this.#links.byPeer.values()].map((link) => this.#report(link)),
      warnings: this.#warnings.list(),
    };
  }

  async #configure(config: DataplaneConfig): Promise<void> {
    if (this.#links.byPeer.size > 0)
      this.#log.warn('another configuration: every link is closed', { node: config.node });
    this.close();
    this.#config = config;
    const { packetInformation, mtu, autoMtu } = config;
    this.#links = newLinks({ packetInformation, mtu, autoMtu });
    this.#engine = await this.#openEngine(
      config.udpPort ?? defaultUdpPort,
      config.udpPort !== null,
      autoMtu ? leastMtu : mtu,
    );
    this.#mark();
    this.#direct.open(config, this.#engine.udpPort);
    const { udpPort } = this.#engine;
    this.#portTaken = config.udpPort === null && ![0, defaultUdpPort].includes(udpPort);
    if (this.#portTaken) {
      this.#warnings.set(
        'udp-port',
        `UDP port ${defaultUdpPort} is taken, ${udpPort} is used instead; to choose one: --udp-port`,
      );
    } else this.#warnings.clear('udp-port');
    this.#pings = setInterval(() => this.#ping(), pingInterval);
  }

  async #offer(params: Params<'offer'>): Promise<Result<'offer'>> {
    const live = this.#connect(params, true);
    const offered = live.connection.offer();
    this.#mark();
    const sdp = await this.#orEnd(params.peer, params.negotiation, offered);
    live.fingerprints.ours = fingerprintOf(sdp);
    return { sdp };
  }

  async #answerOffer(params: Params<'answer'>): Promise<Result<'answer'>> {
    const live = this.#connect(params, false);
    const answered = live.connection.answer(params.sdp);
    this.#mark();
    const sdp = await this.#orEnd(params.peer, params.negotiation, answered);
    live.fingerprints.theirs = fingerprintOf(params.sdp);
    live.fingerprints.ours = fingerprintOf(sdp);
    live.releaseCandidates();
    return { sdp };
  }

  async #accept({ peer, negotiation, sdp }: Params<'accept'>): Promise<Result<'accept'>> {
    const live = this.#live.get(peer, negotiation);
    if (live === undefined) throw new CryonetError('unknown_link');
    await this.#orEnd(peer, negotiation, live.connection.accept(sdp));
    live.fingerprints.theirs = fingerprintOf(sdp);
    live.releaseCandidates();
    return {};
  }

  #connect(
    { peer, negotiation, identity, route, iceServers }: Params<'offer'>,
    offered: boolean,
  ): LiveConnection {
    const engine = this.#engine;
    if (engine === undefined) throw new CryonetError('bad_message', 'hello comes first');
    if (this.#live.get(peer, negotiation) !== undefined)
      throw new CryonetError('bad_message', 'this negotiation exists');
    this.#take({ type: 'connect', peer, negotiation, route });
    const at = { peer, negotiation };
    const connection = engine.connect(
      { route, iceServers, narrow: this.#narrow.has(peer) },
      {
        candidate: (candidate) => {
          if (route === 'relay') this.#mark();
          const told = this.#filter.mayTell(candidate);
          this.#log.debug('candidate', { ...at, candidate, told });
          if (told) this.#control?.notify('candidate', { ...at, candidate });
        },
        state: (state) => this.#connectionState(peer, negotiation, state),
        open: (channel) => {
          if (this.#filter.leadsAstray(connection.pair())) this.#drop(peer, negotiation, throughTunnel);
          else
            this.#take({ type: 'open', ...at, channel, relayed: connection.pair()?.local.type === 'relay' });
        },
        message: (channel, bytes) => {
          live.silentPings = 0;
          if (channel === 'data') this.#interfaces.receive(peer, bytes);
          else if (channel === 'wire') this.#wire(peer, negotiation, bytes);
          else if (bytes.length <= maxNeighborFrame) this.#control?.notify('signal', { peer, frame: bytes });
        },
        drain: () => this.#interfaces.change(peer, (device) => device.drained(connection)),
      },
    );
    const live = new LiveConnection(connection, { route, offered, identity });
    this.#live.add(peer, negotiation, live);
    return live;
  }

  /** What a failed description means: the connection is of no more use. */
  async #orEnd<T>(peer: string, negotiation: string, made: Promise<T>): Promise<T> {
    try {
      return await made;
    } catch (cause) {
      this.#take({ type: 'close', peer, negotiation });
      throw cause instanceof CryonetError ? cause : new CryonetError('bad_sdp', reasonOf(cause), { cause });
    }
  }

  #addCandidate({ peer, negotiation, candidate }: NotificationParams<'candidate'>): void {
    const live = this.#live.get(peer, negotiation);
    if (live === undefined) return;
    const tried = this.#filter.mayTry(candidate);
    this.#log.debug('remote candidate', { peer, negotiation, candidate, tried });
    // It may explain the peer's end of a pair that is selected already: a relay, say.
    if (tried && live.addCandidate(candidate) && live === this.#active(peer)) this.#tell(peer);
  }

  #connectionState(peer: string, negotiation: string, state: ConnectionState): void {
    this.#log.debug('connection', { peer, negotiation, state });
    if (state === 'failed') this.#drop(peer, negotiation, 'no path');
    if (state === 'closed') this.#drop(peer, negotiation, 'closed by the peer');
  }

  #drop(peer: string, negotiation: string, reason: string): void {
    if (!this.#live.close(peer, negotiation)) return;
    this.#direct.ended(peer, negotiation);
    this.#take({ type: 'ended', peer, negotiation, reason });
  }

  #wire(peer: string, negotiation: string, bytes: Uint8Array): void {
    const live = this.#live.get(peer, negotiation);
    if (live === undefined) return;
    const message = readWire(bytes, (reason) =>
      this.#log.debug('wire message not understood', { peer, reason }),
    );
    if (message === undefined) return;
    if (message.type === 'ping') live.sendWire({ type: 'pong', number: message.number });
    else if (message.type === 'pong') live.takePong(message.number);
    else if (message.type === 'direct') this.#direct.receive(peer, negotiation, message);
    else if (message.type === 'lost') this.#direct.unheard(peer);
    else if (message.type === 'bye') this.#control?.notify('bye', { peer });
    else this.#take({ type: 'wire', peer, negotiation, message });
  }

  #ping(): void {
    this.#pingCount++;
    for (const peer of [...this.#links.byPeer.keys()]) {
      this.#interfaces.probe(peer);
      const rests = this.#direct.isUp(peer) && !this.#direct.isDoubtful(peer);
      if (rests && this.#active(peer)?.answered === true && this.#pingCount % restingPings !== 0) continue;
      this.#watch(peer);
      this.#active(peer)?.ping();
    }
  }

  #watch(peer: string): void {
    const live = this.#active(peer);
    const negotiation = this.#links.byPeer.get(peer)?.active;
    if (live === undefined || negotiation == null) return;
    if (!live.answered && live.roundTrip.asks > maxSilentPings && !this.#narrow.has(peer)) {
      this.#narrow.add(peer);
      this.#drop(peer, negotiation, 'full packets are lost');
    } else if (live.silentPings >= maxSilentPings) this.#drop(peer, negotiation, 'the peer does not answer');
    else if (this.#filter.leadsAstray(live.connection.pair())) this.#drop(peer, negotiation, throughTunnel);
  }

  #directChanged(peer: string, up: boolean): void {
    this.#interfaces.change(peer, (device) => device.setDirect(up));
    this.#take({ type: 'direct', peer, up });
    const live = this.#active(peer);
    if (up || live === undefined) return;
    const negotiation = this.#links.byPeer.get(peer)!.active!;
    if (live.silentPings >= doubts) this.#drop(peer, negotiation, 'the peer does not answer');
    else live.ping();
  }

  #take(event: LinkEvent): void {
    for (const effect of step(this.#links, event, performance.now())) this.#run(effect);
    clearTimeout(this.#timer);
    const at = nextDeadline(this.#links);
    if (at !== undefined) {
      this.#timer = setTimeout(
        () => this.#take({ type: 'tick' }),
        Math.max(1, Math.ceil(at - performance.now())),
      );
    }
  }

  #run(effect: LinkEffect): void {
    const { peer } = effect;
    switch (effect.type) {
      case 'close-connection':
        this.#live.close(peer, effect.negotiation);
        this.#direct.ended(peer, effect.negotiation);
        return;
      case 'send-wire':
        this.#live.get(peer, effect.negotiation)?.sendWire(effect.message);
        return;
      case 'open-interface':
        this.#interfaces.open(peer, effect.mtu, this.#config!, this.#engine!.udpPort);
        return;
      case 'set-mtu':
        this.#interfaces.change(peer, (device) => device.setMtu(effect.mtu));
        this.#tell(peer);
        return;
      case 'set-carrier':
        this.#interfaces.change(peer, (device) => device.setCarrier(effect.up));
        return;
      case 'close-interface':
        this.#narrow.delete(peer);
        this.#warnings.forget(peer);
        this.#direct.forget(peer);
        this.#interfaces.close(peer);
        return;
      case 'tell-ended': {
        const { negotiation, route, reason } = effect;
        this.#control?.notify('ended', { peer, negotiation, route, reason });
        return;
      }
      case 'tell-link': {
        const link = this.#links.byPeer.get(peer);
        if (link === undefined) return;
        const active = this.#active(peer);
        this.#interfaces.change(peer, (device) => device.use(active?.connection));
        if (active?.roundTrip.latest === null) active.ping();
        if (active !== undefined) this.#beginDirect(link, active);
        this.#tell(peer);
      }
    }
  }

  #tell(peer: string): void {
    const link = this.#links.byPeer.get(peer);
    if (link !== undefined) this.#control?.notify('link', this.#report(link));
  }

  #beginDirect(link: Link, live: LiveConnection): void {
    const { ours, theirs } = live.fingerprints;
    const pair = pairOf(link, live.connection.pair());
    if (live.route !== 'shared' || pair === null || ours === undefined || theirs === undefined) return;
    if (isRelayed(pair)) return;
    const { offered, identity } = live;
    const carrier = { negotiation: link.active!, offered, identity, pair };
    this.#direct.begin(link.peer, { ...carrier, fingerprints: { ours, theirs } });
  }

  #mark(): void {
    const { fwmark } = this.#config!;
    if (fwmark === 0) return;
    try {
      this.#tuns.mark(fwmark);
      this.#warnings.clear('fwmark');
    } catch (error) {
      this.#warnings.set('fwmark', `packets are not marked: ${reasonOf(error)}`);
    }
  }

  #active(peer: string): LiveConnection | undefined {
    const negotiation = this.#links.byPeer.get(peer)?.active;
    return negotiation == null ? undefined : this.#live.get(peer, negotiation);
  }

  #pair(link: Link): LinkReport['pair'] {
    if (link.direct) return this.#direct.pairOf(link.peer) ?? null;
    return pairOf(link, this.#active(link.peer)?.connection.pair());
  }

  #report(link: Link): LinkReport {
    const pair = this.#pair(link);
    return reportOf(link, {
      direct: this.#direct.statusOf(link.peer, isRelayed(pair)),
      pair,
      interface: this.#interfaces.statusOf(link.peer),
    });
  }

  #stats(peer: string): Result<'stats'>['links'] {
    const datachannel = this.#interfaces.countersOf(peer);
    if (datachannel === undefined) return [];
    const rtt = this.#active(peer)?.roundTrip.latest ?? null;
    const { counters, dropped } = sumCounters(datachannel, this.#direct.countersOf(peer));
    return [{ peer, rtt, ...this.#direct.statsOf(peer), counters, dropped }];
  }
}

const defaultUdpPort = 2333;

const throughTunnel = 'the path leads through our own tunnel';
