/**
 * The control process around its core: it feeds events to core, runs the effects and keeps one timer. Two parts of it have
 * files of their own: `neighbor-shell.ts` for neighbors by WebSocket, `dataplane-shell.ts` for the dataplane.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { LogLevelNow, Reloaded } from '../protocol/api.ts';
import { byClock, steadyNow } from '../protocol/clock.ts';
import type { Result } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { EventId } from '../protocol/events.ts';
import type { Log, LogLevel } from '../protocol/log.ts';
import { ownFigures } from '../protocol/own-figures.ts';
import type { PolicyReport, PolicyVerdict } from '../protocol/policy.ts';
import { Refusals } from '../protocol/refusals.ts';
import type { StatusReport, Warning } from '../protocol/status.ts';
import { version } from '../protocol/version.ts';
import { inOrder, Warnings } from '../protocol/warnings.ts';
import { AloneWarning } from './alone.ts';
import { formatHostPort } from './config/address.ts';
import { type ControlConfig, longestPause } from './config/config.ts';
import { difference } from './config/difference.ts';
import { hasTurn } from './config/ice-server.ts';
import { options } from './config/options.ts';
import type { Tokens } from './config/token.ts';
import type { MeshConfig } from './core/config.ts';
import { admit } from './core/costs.ts';
import type { Environment } from './core/environment.ts';
import type { Channel, Effect, MeshEvent } from './core/events.ts';
import { fingerprintOf } from './core/fingerprint.ts';
import { judge } from './core/identity.ts';
import { nextDeadline, step } from './core/mesh.ts';
import { knownIds } from './core/pins.ts';
import { type Mesh, newMesh } from './core/state.ts';
import { signedStatements } from './core/statements.ts';
import { summaryOf } from './core/summary.ts';
import { isCarriedBy } from './core/websocket-route.ts';
import { DataplaneShell } from './dataplane-shell.ts';
import { InquiryShell } from './inquiry-shell.ts';
import { PatientControlSocket } from './io/control-socket.ts';
import { sha256, signWith, type TokenKeys, tokenKeys, verifyWith } from './io/crypto.ts';
import type { Local } from './io/handshake.ts';
import { Inviter } from './io/inviter.ts';
import type { Figures } from './io/metrics.ts';
import { MetricsServer } from './io/metrics-server.ts';
import { NodeEvents } from './io/node-events.ts';
import { type KeptState, openStateDirectory } from './io/state-directory.ts';
import { linkSettingsOf } from './link-settings.ts';
import { meshConfigOf } from './mesh-config.ts';
import { NeighborShell } from './neighbor-shell.ts';
import { policyReportOf, policyVerdictOn } from './policy-report.ts';
import { type Saying, sayingTo } from './said.ts';
import { idsOf, neighborStatuses, peerStatuses } from './status.ts';
import { warnOfTokens } from './token-warning.ts';

/** Milliseconds. setTimeout takes any longer time as 1 ms. */
const longestTimer = 2 ** 31 - 1;
/** Milliseconds for the goodbye to leave before the sockets close. */
const goodbyeDelay = 100;

export interface ControlShellOptions {
  readonly config: ControlConfig;
  /** Made of the configuration's tokens. */
  readonly keys: TokenKeys;
  readonly log: Log;
  /** The start of a dataplane that is under way already. */
  readonly early?: Promise<number | undefined> | undefined;
  /** Called after each event, and after each change of the warnings. */
  readonly changed?: () => void;
  /** Reads the configuration as it is now. Throws `bad_config`. */
  readonly again: () => ControlConfig;
  /** Called with the least level to log from now on, where it is another one. */
  readonly logAt?: (level: LogLevel) => void;
}

export class ControlShell {
  readonly #options: ControlShellOptions;
  /** As it was at the start, but for what a reload has changed. */
  #config: ControlConfig;
  #logLevel: LogLevel;
  readonly #log: Log;
  readonly #kept: KeptState;
  readonly #local: Local;
  readonly #mesh: Mesh;
  readonly #neighbors: NeighborShell;
  readonly #dataplane: DataplaneShell;
  readonly #controlSocket: PatientControlSocket;
  readonly #changed: () => void;
  readonly #warnings: Warnings;
  readonly #refused = new Refusals();
  readonly #events: NodeEvents;
  readonly inquiries: InquiryShell;
  readonly invitations: Inviter;
  readonly statements: Saying;
  readonly #metrics: MetricsServer | undefined;
  #reloaded = { ok: true, at: Date.now() };
  #alone: AloneWarning | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Throws what `openStateDirectory` throws, before anything else was opened. */
  constructor(options: ControlShellOptions) {
    const { config, keys, log, early, changed = () => {} } = options;
    this.#options = options;
    this.#config = config;
    this.#logLevel = config.logLevel;
    this.#log = log;
    this.#changed = changed;
    this.#warnings = new Warnings(log, changed);
    this.#kept = openStateDirectory(config.stateDirectory, Date.now(), this.#warnings, longestPause(config));
    this.#events = new NodeEvents(this.#kept.events);
    warnOfTokens(this.#config, this.#warnings);
    const { identity, epoch } = this.#kept;
    this.#local = { id: config.id, epoch, identity, tokenKeys: keys };
    this.#dataplane = new DataplaneShell({
      ...{ config, local: this.#local, log, early, changed, warnings: this.#warnings },
      admit: (channel, bytes) => this.#admit(channel, bytes),
      take: (event) => this.#take(event),
      carry: (peer, carried) => this.#neighbors.carry(peer, carried),
      iceServers: () => this.#config.iceServers,
      settings: (peer) => linkSettingsOf(this.#config, this.#mesh.config.policy.peers, peer),
      known: () => knownIds(this.#mesh.membership.pins),
    });
    this.inquiries = new InquiryShell({
      mesh: () => this.#mesh,
      dataplane: this.#dataplane,
      take: (event) => this.#take(event),
      iceServers: () => this.#config.iceServers,
    });
    this.#controlSocket = new PatientControlSocket(config, this.#warnings, this);
    const { metricsListen: address } = config;
    if (address !== null)
      this.#metrics = new MetricsServer({
        ...{ address, warnings: this.#warnings, limit: longestPause(config) },
        figures: () => this.figures(),
      });
    this.#mesh = newMesh(
      { id: config.id, key: identity.publicKey, epoch, turn: hasTurn(config) },
      this.#meshConfig(),
      this.#kept.pins,
      this.#environment(),
      this.#kept.statements,
    );
    this.statements = sayingTo(this.#mesh, this.#environment(), (event) => this.#take(event));
    this.invitations = new Inviter({
      ...{ local: this.#local, invitations: this.#kept.invitations, log },
      given: () => this.#config,
      used: (peer) => this.#events.publish({ event: 'invitation.used', peer }),
    });
    this.#neighbors = new NeighborShell({
      config,
      local: this.#local,
      log,
      admit: (channel, bytes) => this.#admit(channel, bytes),
      carried: (peer, carried) => {
        if (isCarriedBy(this.#mesh, peer, carried.negotiation)) this.#dataplane.carried(peer, carried);
      },
      judge: ({ id, key }) => judge(this.#mesh, id, key, sha256),
      take: (event) => this.#take(event),
      refused: (cause) => this.#refused.count(cause),
      warnings: this.#warnings,
      inviter: this.invitations,
    });
  }

  /** Opens control socket, dataplane, bootstrap WebSocket and bootstrap clients, in this order: once other nodes can reach
   *  this one, it can answer their offers. */
  async start(): Promise<void> {
    this.#events.publish({ event: 'node.started', version });
    await this.#controlSocket.open();
    await this.#metrics?.open();
    await this.#dataplane.open();
    await this.#neighbors.open();
    this.#log.info('node started', {
      id: this.#config.id,
      fingerprint: fingerprintOf(this.#local.identity.publicKey, sha256),
      listen: formatHostPort(this.#neighbors.address),
      udpPort: this.#dataplane.status.udpPort ?? undefined,
    });
    this.#watchForOthers();
    this.#schedule();
  }

  /** Closes in the reverse order of `start`. If a control started the dataplane, that ends too and the mesh is told; else
   *  the dataplane keeps its links. Idempotent, never throws. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#alone?.close();
    const ours = this.#dataplane.isChild;
    if (ours) {
      this.#take({ type: 'stop' });
      await new Promise((resolve) => setTimeout(resolve, goodbyeDelay));
    }
    this.#neighbors.close();
    if (ours) await this.#dataplane.shutdown();
    this.#dataplane.close();
    this.#metrics?.close();
    this.inquiries.close();
    this.#controlSocket.close();
    this.#events.close();
    this.#kept.close();
  }

  /** Reads the configuration and the file of known keys again, which an operator may change while the node runs. A warning
   *  says what only a start can take, or why the configuration cannot be used; then nothing of it changes, and `bad_config`
   *  is thrown. */
  reload(): Reloaded {
    const next = this.#readAgain();
    const done = next instanceof CryonetError ? undefined : this.#configure(next);
    const pins = this.#kept.readPins();
    this.#log.info('reloaded', { identities: pins?.size, changed: done?.applied.join() });
    if (pins !== undefined) {
      this.#take({ type: 'pins', kept: pins });
      this.#neighbors.reload();
    }
    this.#reloaded = done === undefined ? { ...this.#reloaded, ok: false } : { ok: true, at: Date.now() };
    if (done === undefined) {
      this.#events.publish({ event: 'reload.refused', reason: reasonOf(next) });
      throw next;
    }
    this.#events.publish({ event: 'reload.done', ...done });
    return done;
  }

  /** The same; what is wrong is a warning alone. */
  reloadOnSignal(): void {
    try {
      this.reload();
    } catch (error) {
      if (!(error instanceof CryonetError)) throw error;
    }
  }

  /** What `reload` would return or throw. Nothing changes. */
  wouldReload(): Reloaded {
    const { live, atRestart } = difference(this.#config, this.#options.again());
    return { applied: [...live], needsRestart: [...atRestart] };
  }

  logLevel(): LogLevelNow {
    return { level: this.#logLevel, configured: this.#config.logLevel };
  }

  async logFrom(level: LogLevel): Promise<LogLevelNow> {
    this.#logAt(level);
    return { ...this.logLevel(), dataplane: await this.#dataplane.logAt(level) };
  }

  #logAt(level: LogLevel): void {
    this.#logLevel = level;
    this.#options.logAt?.(level);
  }

  watch(response: ServerResponse, after: EventId | undefined): void {
    this.#events.watch(response, after);
  }

  isWatched(socket: Socket): boolean {
    return this.#events.isWatched(socket);
  }

  #readAgain(): ControlConfig | CryonetError {
    try {
      return this.#options.again();
    } catch (error) {
      const words = `the node goes on as it was, because of its configuration: ${reasonOf(error)}`;
      this.#warnings.set('reload', words);
      return error instanceof CryonetError ? error : new CryonetError('bad_config', words, { cause: error });
    }
  }

  #configure(next: ControlConfig): Reloaded {
    const { live, atRestart, next: taken } = difference(this.#config, next);
    if (atRestart.length === 0) this.#warnings.clear('reload');
    else
      this.#warnings.set(
        'reload',
        `another value counts after a restart of control: ${atRestart.join(', ')}`,
      );
    if (live.length > 0) this.#apply(taken, live);
    if (this.#logLevel !== taken.logLevel) {
      this.#logAt(taken.logLevel);
      void this.#dataplane.logAt(this.#dataplane.isChild ? taken.logLevel : null);
    }
    return { applied: [...live], needsRestart: [...atRestart] };
  }

  #apply(taken: ControlConfig, live: readonly string[]): void {
    const { tokens } = this.#config;
    this.#config = taken;
    if (live.includes(options.token.flag)) {
      this.#takeTokens(taken, tokens);
      this.#events.publish({ event: 'token.changed' });
    }
    this.#take({ type: 'config', config: this.#meshConfig() });
    this.#dataplane.adjust(this.#mesh.links.keys());
    this.#neighbors.joinThrough(taken.wsServers);
    this.#alone?.close();
    this.#watchForOthers();
  }

  /** Who has none of them is let in no more from now on; a token that is new counts once it is stretched. */
  #takeTokens({ tokens }: ControlConfig, before: Tokens): void {
    warnOfTokens(this.#config, this.#warnings);
    const keys = new Map(before.map((token, at) => [token, this.#local.tokenKeys[at]]));
    const [own, ...accepted] = tokens.flatMap((token) => keys.get(token) ?? []);
    if (own !== undefined) this.#local.tokenKeys = [own, ...accepted];
    void tokenKeys(tokens).then((all) => {
      if (tokens.join('\n') === this.#config.tokens.join('\n')) this.#local.tokenKeys = all;
    });
  }

  #meshConfig(): MeshConfig {
    return meshConfigOf(this.#config, this.#kept.identitiesPath);
  }

  #watchForOthers(): void {
    this.#alone = new AloneWarning(this.#config, this.#warnings, () => idsOf(this.#mesh).length > 0);
  }

  async status(): Promise<StatusReport> {
    return this.#report(await this.#dataplane.stats());
  }

  async figures(): Promise<Figures> {
    const stats = await this.#dataplane.stats();
    return {
      report: this.#report(stats),
      known: knownIds(this.#mesh.membership.pins),
      outcomes: this.#mesh.outcomes,
      refused: { control: this.#refused.list(), dataplane: stats.refused ?? {} },
      processes: { control: ownFigures(), dataplane: stats.process },
      reload: this.#reloaded,
    };
  }

  #report(stats: Result<'stats'>): StatusReport {
    return {
      version,
      node: {
        id: this.#config.id,
        identity: Buffer.from(this.#local.identity.publicKey).toString('base64url'),
        fingerprint: fingerprintOf(this.#local.identity.publicKey, sha256),
        listen: formatHostPort(this.#neighbors.address),
        pid: process.pid,
        uptime: Math.round(steadyNow()) / 1000,
      },
      tokens: {
        accepted: this.#config.tokens.length,
        source: this.#config.tokenSource,
        file: this.#config.tokenPath,
      },
      dataplane: this.#dataplane.status,
      bootstrap: this.#neighbors.bootstrap,
      neighbors: neighborStatuses(this.#mesh),
      peers: peerStatuses(this.#mesh, stats.links, sha256, (at) => byClock(at - performance.timeOrigin)),
      refused: { ...this.#refused.list(), ...stats.refused },
      warnings: this.#allWarnings(),
    };
  }

  policy(): PolicyReport {
    return policyReportOf(this.#config, sha256);
  }

  policyOn(peer: string): PolicyVerdict {
    return policyVerdictOn(this.#mesh, peer, sha256);
  }

  summary(): string {
    const [first] = this.#allWarnings();
    const trouble = first === undefined ? '' : `; ${first.subject}: ${first.message}`;
    return `${summaryOf(this.#mesh, idsOf(this.#mesh).length, this.#environment().now)}${this.#dataplane.isUp ? '' : ', no dataplane'}${trouble}`;
  }

  #allWarnings(): Warning[] {
    return inOrder([...this.#warnings.list(), ...this.#dataplane.warnings]);
  }

  #environment(): Environment {
    return {
      now: performance.timeOrigin + steadyNow(),
      random: Math.random,
      sign: (message) => signWith(this.#local.identity, message),
      verify: verifyWith,
      digest: sha256,
    };
  }

  #admit(channel: Channel, bytes: number): boolean {
    return admit(this.#mesh, channel, bytes, this.#environment().now);
  }

  #take(event: MeshEvent): void {
    const effects = step(this.#mesh, event, this.#environment());
    for (const effect of effects) this.#run(effect);
    if (!this.#stopped) this.#schedule();
    this.#alone?.look();
    this.#changed();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wait = nextDeadline(this.#mesh).at - performance.timeOrigin - steadyNow();
    this.#timer = setTimeout(
      () => this.#take({ type: 'tick' }),
      Math.min(longestTimer, Math.max(1, Math.ceil(wait))),
    );
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (effect.channel.startsWith('link:')) {
          this.#dataplane.signal(effect.channel.slice(5), effect.message);
        } else {
          this.#neighbors.send(effect.channel, effect.message);
        }
        return;
      case 'pin':
        this.#kept.pin(effect.id, effect.key);
        return;
      case 'statements':
        this.#kept.keepStatements(signedStatements(this.#mesh.membership.statements));
        return;
      case 'refuse-neighbors':
        this.#neighbors.refuse();
        return;
      case 'epoch':
        this.#local.epoch = effect.epoch;
        this.#kept.keepEpoch(effect.epoch);
        return;
      case 'warning':
        if (effect.message === null) this.#warnings.clear(effect.subject, effect.about);
        else this.#warnings.set(effect.subject, effect.message, effect.about);
        return;
      case 'explained':
        this.inquiries.farViews.answered(effect.peer, effect.number, effect.view);
        return;
      case 'publish':
        this.#events.publish(effect.event);
        return;
      case 'notice':
        this.#log[effect.level](effect.message, effect.fields);
        return;
      default:
        this.#dataplane.run(effect);
    }
  }
}
