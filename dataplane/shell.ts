/**
 * The dataplane process around its core: connections, interfaces, and the one control that drives them. Parts
 * of it: `engine-shell.ts` has the engine, `connection-shell.ts` the peer connections, `direct-shell.ts` the direct paths.
 */
import type {
  DataplaneConfig,
  HelloReply,
  Method,
  Notification,
  NotificationParams,
  Params,
  Result,
} from '../protocol/dataplane.ts';
import { dataplaneVersion } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { Log } from '../protocol/log.ts';
import { ownFigures } from '../protocol/own-figures.ts';
import { Refusals } from '../protocol/refusals.ts';
import { Warnings } from '../protocol/warnings.ts';
import { ConnectionShell } from './connection-shell.ts';
import { refusesJoined, tooNarrow, vanishing } from './core/advice.ts';
import { leastMtu } from './core/agreed-mtu.ts';
import {
  type Link,
  type LinkEffect,
  type LinkEvent,
  type Links,
  newLinks,
  nextDeadline,
  nextDeadlineOf,
  sharedOf,
  step,
} from './core/link.ts';
import { isRelayed, pairOf } from './core/report.ts';
import { DirectShell } from './direct-shell.ts';
import { EngineShell, longestRecord } from './engine-shell.ts';
import { Alarm } from './io/alarm.ts';
import { CandidateFilter } from './io/candidate-filter.ts';
import { Detours } from './io/detours.ts';
import { iceServerCheck } from './io/ice-server-check.ts';
import { IceServerWatch } from './io/ice-server-watch.ts';
import { Interfaces } from './io/interfaces.ts';
import type { LiveConnection } from './io/live-connection.ts';
import { Pings } from './io/pings.ts';
import { RecentHost } from './io/recent-host.ts';
import type { TunFactory } from './io/tun.ts';
import { TunWatch } from './io/tun-watch.ts';
import type { CandidatePair } from './io/webrtc.ts';
import { NetcheckShell } from './netcheck-shell.ts';
import { ReportShell } from './report-shell.ts';
import type { ControlSide, DataplaneShellOptions } from './shell-options.ts';

/** Milliseconds between pings on a link's `wire` channel. */
const pingInterval = 2000;

/** Bytes: records of more travel in pieces by any datachannel. */
const longestWhole = 1376;

/** Milliseconds for a goodbye to leave before the connections close. */
const goodbyeDelay = 100;

export class DataplaneShell {
  readonly #log: Log;
  readonly #logAt: NonNullable<DataplaneShellOptions['logAt']>;
  readonly #child: boolean;
  readonly #engine: EngineShell;
  readonly #connections: ConnectionShell;
  readonly #interfaces: Interfaces;
  readonly #tuns: TunFactory;
  readonly #pings = new Pings();
  readonly #reports: ReportShell;
  readonly #netcheck: NetcheckShell;
  readonly #direct: DirectShell;
  readonly #iceServers: IceServerWatch;
  readonly #warnings: Warnings;
  readonly #detours: Detours;
  readonly #filter: CandidateFilter;
  readonly #tunWatch: TunWatch;
  readonly #refused = new Refusals();
  #links: Links = newLinks({ packetInformation: false, mtu: leastMtu, autoMtu: true });
  #config: DataplaneConfig | undefined;
  #lastHello: Promise<unknown> = Promise.resolve();
  #control: ControlSide | undefined;
  readonly #alarm = new Alarm(() => this.#take({ type: 'tick' }));
  #pinging: NodeJS.Timeout | undefined;

  constructor(options: DataplaneShellOptions) {
    this.#log = options.log;
    this.#logAt = options.logAt ?? (() => {});
    this.#child = options.child;
    this.#tuns = options.tuns;
    this.#warnings = new Warnings(options.log, () => {
      this.#control?.notify('warnings', { warnings: this.#warnings.list() });
      options.changed?.();
    });
    this.#tunWatch = new TunWatch(options.tuns, this.#warnings);
    this.#detours = new Detours(this.#warnings);
    this.#interfaces = new Interfaces({
      tuns: options.tuns,
      log: options.log,
      warnings: this.#warnings,
      lost: (peer, reason) => {
        this.#direct.forget(peer);
        this.#take({ type: 'interface-failed', peer, reason });
      },
      refused: (cause) => this.#refused.count(cause),
    });
    const host = new RecentHost(options.tuns);
    this.#engine = new EngineShell({
      open: options.openEngine,
      tuns: options.tuns,
      host,
      warnings: this.#warnings,
      own: () => this.#interfaces.names,
    });
    this.#direct = new DirectShell({
      log: options.log,
      tuns: options.tuns,
      pings: this.#pings,
      link: (peer) => this.#interfaces.directOf(peer),
      agreement: (peer, negotiation) => this.#connections.get(peer, negotiation)?.agreement,
      send: (peer, negotiation, message) => this.#connections.get(peer, negotiation)?.sendWire(message),
      sendRecord: (peer, record) => this.#connections.active(peer)?.connection.send('data', record),
      changed: (peer, up) => this.#directChanged(peer, up),
      joined: (peer, takes) => this.#warn('joining', takes ? undefined : refusesJoined, peer),
      refused: (cause) => this.#refused.count(cause),
      // What is dead for probes most often is dead for the datachannel as well: that is asked at once, and has as long
      // to answer as the direct path has until it is lost.
      doubtful: (peer) => this.#connections.upkeep.suspect(peer),
      missing: (peer) => void this.#connections.tellSeen(peer),
      vanish: (peer, known) => this.#warn('segmentation', known ? vanishing : undefined, peer),
      fits: (peer, bytes, searching) => this.#take({ type: 'fits', peer, bytes, searching }),
    });
    this.#iceServers = new IceServerWatch({
      check:
        options.checkIceServer ??
        iceServerCheck({
          opened: () => this.#engine.mark(),
          hostAddresses: () => this.#engine.hostAddresses(),
        }),
      told: (subject, trouble) => this.#warn(subject, trouble && `it is not used: ${trouble}`),
      endless: (server) => this.#connections.leave(server),
    });
    this.#filter = new CandidateFilter({
      host,
      own: () => this.#interfaces.names,
      rules: () => this.#config ?? {},
      mark: () => this.#config?.fwmark ?? 0,
    });
    this.#connections = new ConnectionShell({
      log: options.log,
      filter: this.#filter,
      direct: this.#direct,
      iceServers: this.#iceServers,
      pings: this.#pings,
      engine: () => this.#engine.engine,
      self: () => this.#self(),
      take: (event) => this.#take(event),
      notify: (name, params) => this.#control?.notify(name, params),
      waiting: () => this.#control?.backlog ?? 0,
      refused: (cause) => this.#refused.count(cause),
      opened: () => this.#engine.mark(),
      active: (peer) => this.#links.byPeer.get(peer)?.active ?? undefined,
      shared: (peer) => {
        const link = this.#links.byPeer.get(peer);
        return link && sharedOf(link)?.negotiation;
      },
      explained: (peer) => this.#tell(peer),
      paired: (peer, negotiation, live) => this.#paired(peer, negotiation, live),
      astray: (peer, detour) => this.#detours.set(peer, detour, performance.now()),
      record: (peer, bytes) => this.#interfaces.receive(peer, bytes),
      packets: (peer) => this.#interfaces.directOf(peer)?.counters().rxData ?? 0,
      isSpare: (peer) => this.#direct.takes(peer, this.#interfaces.statusOf(peer)?.mtu ?? leastMtu),
      fullPacket: () => Math.min(longestRecord(this.#config!), longestWhole),
      tooNarrow: (peer, known) => this.#warn('narrow-path', known ? tooNarrow : undefined, peer),
      drained: (peer, connection) => this.#interfaces.change(peer, (device) => device.drained(connection)),
    });
    this.#netcheck = new NetcheckShell({
      host,
      engine: this.#engine,
      mark: () => this.#config?.fwmark ?? 0,
    });
    this.#reports = new ReportShell({
      links: () => this.#links,
      pings: this.#pings,
      direct: this.#direct,
      connections: this.#connections,
      interfaces: this.#interfaces,
    });
  }

  /** What an operator should know first. */
  get trouble(): string | undefined {
    const [first] = this.#warnings.list();
    return first && `${first.subject}: ${first.message}`;
  }

  /** Warns where no interface can be made. Who started this process by itself reads its status before there is a
   *  control. */
  look(): void {
    if (!this.#child) this.#tunWatch.look();
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
    if (name === 'candidate') this.#connections.addCandidate(params as NotificationParams<'candidate'>);
    if (name === 'carried') this.#connections.carried(params as NotificationParams<'carried'>);
    if (name === 'signal') {
      const { peer, frame } = params as NotificationParams<'signal'>;
      this.#connections.signal(peer, frame);
    }
  }

  /** The node stops. Where no control is left to tell the mesh, peers are told here; resolves when that has gone out. */
  async leave(): Promise<void> {
    if (this.#control !== undefined || this.#links.byPeer.size === 0) return;
    this.#connections.sayToAll({ type: 'bye' });
    await new Promise((resolve) => setTimeout(resolve, goodbyeDelay));
  }

  /** Closes in order: connections, interfaces, the UDP port. Idempotent, never throws. */
  close(): void {
    clearInterval(this.#pinging);
    this.#pings.close();
    this.#iceServers.close();
    this.#tunWatch.close();
    this.#direct.close();
    for (const peer of [...this.#links.byPeer.keys()]) this.#take({ type: 'remove', peer });
    this.#connections.upkeep.rest();
    this.#alarm.clear();
    this.#engine.close();
  }

  async #answer(method: Method, params: never): Promise<unknown> {
    switch (method) {
      case 'hello':
        return await this.#helloInTurn(params as Params<'hello'>);
      case 'offer':
        this.#prepare(params);
        return await this.#connections.offer(params as Params<'offer'>);
      case 'answer':
        this.#prepare(params);
        return await this.#connections.answer(params as Params<'answer'>);
      case 'accept':
        return await this.#connections.accept(params as Params<'accept'>);
      case 'close':
        this.#close(params as Params<'close'>);
        return {};
      case 'remove': {
        const { peer } = params as Params<'remove'>;
        this.#take({ type: 'remove', peer });
        // Of a link that never had an interface, too: whoever makes up peers must not be remembered for each.
        this.#forget(peer);
        return {};
      }
      case 'adjust': {
        const { peer, settings } = params as Params<'adjust'>;
        this.#interfaces.adjust(peer, settings);
        if (this.#interfaces.statusOf(peer) !== null) this.#tell(peer);
        return {};
      }
      case 'stats':
        return { links: this.#reports.stats(), refused: this.#refused.list(), process: ownFigures() };
      case 'ping':
        return await this.#reports.ping((params as Params<'ping'>).peer);
      case 'netcheck':
        return await this.#netcheck.check(params as Params<'netcheck'>);
      case 'log-level':
        this.#logAt((params as Params<'log-level'>).level);
        return {};
      case 'shutdown':
        this.close();
        return {};
    }
  }

  #forget(peer: string): void {
    this.#connections.forget(peer);
    this.#warnings.forget(peer);
    this.#direct.forget(peer);
    this.#interfaces.forget(peer);
  }

  #prepare({ peer, displaced }: Params<'offer'>): void {
    this.#tunWatch.check();
    this.#interfaces.displace(peer, displaced === true);
  }

  #close({ peer, negotiation }: Params<'close'>): void {
    this.#take({ type: 'close', peer, negotiation, reason: this.#connections.whyNot(peer, negotiation) });
  }

  #self() {
    if (this.#config === undefined) throw new CryonetError('bad_message', 'hello comes first');
    return { id: this.#config.node, identity: this.#config.identity };
  }

  /** A control that dies during its hello leaves it to the next one to wait: two would open two engines. */
  #helloInTurn(params: Params<'hello'>): Promise<HelloReply> {
    const reply = this.#lastHello.then(() => this.#hello(params));
    this.#lastHello = reply.catch(() => {});
    return reply;
  }

  async #hello({ config }: Params<'hello'>): Promise<HelloReply> {
    const same = this.#engine.engine !== undefined && JSON.stringify(config) === JSON.stringify(this.#config);
    if (!same) await this.#configure(config);
    this.#interfaces.forgetSettings();
    this.#logAt(null);
    this.look();
    const { name, udpPort } = this.#engine.engine!;
    return {
      version: dataplaneVersion,
      pid: process.pid,
      child: this.#child,
      engine: name,
      udpPort,
      portTaken: this.#engine.portTaken,
      links: [...this.#links.byPeer.values()].map((link) => this.#reports.of(link)),
      warnings: this.#warnings.list(),
    };
  }

  async #configure(config: DataplaneConfig): Promise<void> {
    if (this.#links.byPeer.size > 0)
      this.#log.warn('another configuration: every link is closed', { node: config.node });
    this.close();
    // Who started a node by hand waits for it, and reads the reason. A service says it and goes on.
    if (this.#child) this.#tuns.try();
    this.#config = config;
    const { packetInformation, mtu, autoMtu } = config;
    this.#links = newLinks({ packetInformation, mtu, autoMtu });
    const { udpPort } = await this.#engine.open(config);
    this.#direct.open(config, udpPort);
    this.#pinging = setInterval(() => this.#ping(), pingInterval);
  }

  #ping(): void {
    const peers = [...this.#links.byPeer.keys()];
    this.#detours.tick(performance.now());
    for (const peer of peers) this.#interfaces.probe(peer);
    for (const peer of this.#interfaces.look(performance.now())) this.#tell(peer);
    this.#connections.ping(peers);
    this.#engine.sweep();
  }

  #directChanged(peer: string, up: boolean): void {
    this.#interfaces.change(peer, (device) => device.setDirect(up));
    this.#take({ type: 'direct', peer, up });
    if (!up) this.#connections.upkeep.doubt(peer);
  }

  #take(event: LinkEvent): void {
    for (const effect of step(this.#links, event, performance.now())) this.#run(effect);
    if (event.type === 'tick') this.#alarm.by(nextDeadline(this.#links));
    else this.#alarm.by(nextDeadlineOf(this.#links.byPeer.get(event.peer)));
  }

  #run(effect: LinkEffect): void {
    const { peer } = effect;
    switch (effect.type) {
      case 'close-connection':
        this.#connections.close(peer, effect.negotiation);
        return;
      case 'send-wire':
        this.#connections.get(peer, effect.negotiation)?.sendWire(effect.message);
        return;
      case 'open-interface':
        this.#interfaces.open(peer, effect.mtu, this.#config!);
        return;
      case 'ready':
        this.#direct.ready(peer, effect.negotiation);
        return;
      case 'set-mtu':
        this.#interfaces.change(peer, (device) => device.setMtu(effect.mtu));
        this.#tell(peer);
        return;
      case 'set-carrier':
        this.#interfaces.change(peer, (device) => device.setCarrier(effect.up));
        return;
      case 'close-interface':
        this.#forget(peer);
        return;
      case 'tell-ended': {
        const { negotiation, route, reason } = effect;
        this.#control?.notify('ended', { peer, negotiation, route, reason });
        return;
      }
      case 'tell-link': {
        const link = this.#links.byPeer.get(peer);
        if (link === undefined) return;
        const active = this.#connections.active(peer);
        this.#interfaces.change(peer, (device) => device.use(active?.connection));
        if (active !== undefined) this.#carryBy(link, active);
        this.#connections.upkeep.begin(peer);
        this.#tell(peer);
      }
    }
  }

  #warn(subject: string, words: string | undefined, peer: string | null = null): void {
    if (words === undefined) this.#warnings.clear(subject, peer);
    else this.#warnings.set(subject, words, peer);
  }

  #tell(peer: string): void {
    const link = this.#links.byPeer.get(peer);
    if (link !== undefined) this.#control?.notify('link', this.#reports.of(link));
  }

  #carryBy(link: Link, live: LiveConnection): void {
    this.#direct.activate(link.peer, link.active!);
    const pair = pairOf(link, live.connection.pair());
    if (live.route !== 'shared' || pair === null || isRelayed(pair)) return;
    const obstacle = this.#obstacle(live, pair);
    if (obstacle === undefined) this.#direct.begin(link.peer, link.active!, pair);
    else this.#direct.rest(link.peer, obstacle);
  }

  /** Why records cannot go where ICE goes. */
  #obstacle({ agreement }: LiveConnection, { local }: CandidatePair): string | undefined {
    if (!agreement.udp) return 'the peer has none';
    return local.port === this.#engine.engine?.udpPort ? undefined : 'by another UDP port';
  }

  /** The direct path waits for no datachannel where the peer's description says of its interface what its hello will. */
  #paired(peer: string, negotiation: string, live: LiveConnection): void {
    const pair = live.look();
    const theirs = live.agreement.theirInterface;
    if (theirs?.packetInformation !== this.#config!.packetInformation) return;
    if (live.route !== 'shared' || pair === undefined || isRelayed(pair)) return;
    if (this.#obstacle(live, pair) !== undefined || this.#filter.detour(pair) !== undefined) return;
    this.#take({ type: 'paired', peer, negotiation, mtu: theirs.mtu });
    this.#direct.paired(peer, negotiation, pair);
  }
}
