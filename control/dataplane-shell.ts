/**
 * The part of control's shell that talks to the dataplane: it runs effects that are for the dataplane, makes events of
 * what the dataplane says, and keeps its warnings.
 */
import type { Carried } from '../protocol/carried.ts';
import { byClock, bySteady } from '../protocol/clock.ts';
import type {
  IceServer,
  LinkSettings,
  Method,
  Notification,
  NotificationParams,
  Params,
  Result,
} from '../protocol/dataplane.ts';
import { CryonetError, type ErrorCode, mayPass, reasonOf } from '../protocol/errors.ts';
import { nameOwner } from '../protocol/interface-name.ts';
import type { Log, LogLevel } from '../protocol/log.ts';
import { encode } from '../protocol/msgpack.ts';
import { maxNetcheckServers } from '../protocol/netcheck.ts';
import { parse } from '../protocol/schema.ts';
import { type NeighborMessage, neighborMessage } from '../protocol/signaling.ts';
import type { StatusReport, Warning } from '../protocol/status.ts';
import type { Warnings } from '../protocol/warnings.ts';
import type { ControlConfig } from './config/config.ts';
import type { Channel, Effect, MeshEvent } from './core/events.ts';
import { DataplaneConnection } from './io/dataplane-connection.ts';
import { socketOf } from './io/dataplane-process.ts';
import type { Local } from './io/handshake.ts';
import { ToldSettings } from './link-settings.ts';

/** Milliseconds to wait for the dataplane's figures. `cryoc` waits two seconds for the whole status. */
const statsTimeout = 1000;
/** The same for an answer to a question to a peer, which it waits three seconds for. */
const pingTimeout = 4000;
/** And to a check of the networks. */
const netcheckTimeout = 12_000;
/** Bytes that the dataplane has not read above which packets by a WebSocket are lost. */
const maxUnsentPackets = 1_048_576;
/** Subject of the warning about a dataplane that is connected and does not answer. */
const stalled = 'dataplane-stalled';

const hangs = 'the dataplane does not answer: it hangs, or the machine is overloaded';

/** Why it answers no question. */
const lacking: Partial<Readonly<Record<ErrorCode, string>>> = {
  connection_closed: 'the dataplane is not there',
  unknown_method: 'the dataplane is older: start it again',
};
/** Subject of the warning about one that cannot do what the configuration wants. */
const outdated = 'dataplane-version';

/** The effects that are for the dataplane. */
export type DataplaneEffect = Extract<
  Effect,
  { type: 'offer' | 'answer' | 'accept' | 'add-candidate' | 'close' | 'remove' | 'measure' }
>;

export interface DataplaneShellOptions {
  readonly config: ControlConfig;
  readonly local: Local;
  readonly log: Log;
  /** The start of a dataplane that is under way already. It resolves with its process ID; undefined if one ran before. */
  readonly early: Promise<number | undefined> | undefined;
  readonly take: (event: MeshEvent) => void;
  /** For connections that are made from now on. */
  readonly iceServers: () => readonly IceServer[];
  readonly settings: (peer: string) => LinkSettings;
  /** All peers that were ever linked, in the order of their first links. */
  readonly known: () => Iterable<string>;
  /** Whether a message of so many bytes may be decoded. */
  readonly admit: (channel: Channel, bytes: number) => boolean;
  /** Sends a message by the WebSocket that we have with the peer. */
  readonly carry: (peer: string, carried: Carried) => void;
  readonly warnings: Warnings;
  /** Called when the dataplane's own warnings have changed. */
  readonly changed: () => void;
}

export class DataplaneShell {
  readonly #options: DataplaneShellOptions;
  readonly #connection: DataplaneConnection;
  /** The dataplane's warnings as it last told them; `since` is by our steady clock. */
  #warnings: readonly Warning[] = [];
  readonly #told = new ToldSettings();

  constructor(options: DataplaneShellOptions) {
    this.#options = options;
    const { config, local, log, early, take, warnings } = options;
    this.#connection = new DataplaneConnection(
      {
        socket: socketOf(config),
        mayStart: config.dataplaneSocket === null,
        early,
        config: dataplaneConfig(config, local),
        log,
      },
      {
        up: (hello) => {
          this.#takeWarnings(hello.warnings);
          warnings.clear('dataplane');
          warnings.clear(outdated);
          this.#told.begin(hello.links.map(({ peer }) => peer));
          take({ type: 'dataplane-up', links: hello.links });
          // Of those that are left.
          this.adjust(this.#told.untold);
        },
        down: () => {
          this.#takeWarnings();
          take({ type: 'dataplane-down' });
        },
        failed: (cause) =>
          warnings.set('dataplane', `${reasonOf(cause)}; tried again, no link comes up until then`),
        notification: (name, params) => this.#notified(name, params),
      },
    );
  }

  /** Connects to the dataplane. If that fails and may pass, it goes on in the background; else throws the failure. */
  async open(): Promise<void> {
    await this.#connection.open((cause) => this.#waitsFor(cause));
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#connection.close();
  }

  /** Ends the dataplane's process. */
  async shutdown(): Promise<void> {
    await this.#connection.call('shutdown', {}).catch(() => {});
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  /** Whether a control started this dataplane, so that it ends with control. */
  get isChild(): boolean {
    return this.#connection.hello?.child === true;
  }

  get warnings(): readonly Warning[] {
    return this.#warnings.map((each) => ({ ...each, since: byClock(each.since) }));
  }

  get status(): StatusReport['dataplane'] {
    const { hello, isUp } = this.#connection;
    return {
      connected: isUp,
      pid: hello?.pid ?? null,
      udpPort: hello?.udpPort ?? null,
      engine: hello?.engine ?? null,
    };
  }

  /** The figures of all links. Empty if they do not come in time: a dataplane that hangs must not block the status. */
  async stats(): Promise<Result<'stats'>> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, statsTimeout, undefined);
    const asked = this.#connection.call('stats', {}).catch((): Result<'stats'> => ({ links: [] }));
    const stats = await Promise.race([asked, late]);
    clearTimeout(timer);
    const { warnings } = this.#options;
    if (stats !== undefined) warnings.clear(stalled);
    else warnings.set(stalled, 'it does not answer: it hangs, or the machine is overloaded');
    return stats ?? { links: [] };
  }

  /** Asks the peer by its link. Rejects with `unavailable` where the dataplane is away, hangs, or is older. */
  ping(peer: string): Promise<Result<'ping'>> {
    return this.#within(pingTimeout, 'ping', { peer });
  }

  /** The same of the machine's networks. Several servers of a host are one. */
  netcheck(servers: readonly IceServer[]): Promise<Result<'netcheck'>> {
    const places = new Map(servers.map(({ host, port }) => [`${host} ${port}`, { host, port }]));
    const some = [...places.values()].slice(0, maxNetcheckServers);
    return this.#within(netcheckTimeout, 'netcheck', { servers: some });
  }

  /** Whether it logs from this level on now; null: from that of its start. Never rejects. */
  async logAt(level: LogLevel | null): Promise<boolean> {
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, statsTimeout, false).unref());
    const told = this.#connection.call('log-level', { level }).then(() => true);
    return Promise.race([told.catch(() => false), late]);
  }

  /** What came by the WebSocket of a peer, for a connection that goes by it. */
  carried(peer: string, { negotiation, channel, record }: Carried): void {
    const isNeeded = channel !== 'data' || this.#connection.backlog < maxUnsentPackets;
    if (isNeeded) this.#connection.notify('carried', { peer, negotiation, channel, record });
  }

  /** Sends a message to the peer at the other end of a link. */
  signal(peer: string, message: NeighborMessage): void {
    this.#connection.notify('signal', { peer, frame: encode(message) });
  }

  /** Tells what is wanted of these links, where that is another than before. */
  adjust(peers: Iterable<string>): void {
    if (!this.isUp) return;
    for (const peer of peers) {
      const settings = this.#options.settings(peer);
      if (!this.#told.isNews(peer, settings)) continue;
      this.#connection.call('adjust', { peer, settings }).catch((error: unknown) => {
        const isUnknown = error instanceof CryonetError && error.code === 'unknown_method';
        if (!isUnknown || Object.keys(settings).length === 0) return;
        const words =
          'it is of an earlier version, which gives interfaces no names and addresses of the configuration';
        this.#options.warnings.set(
          outdated,
          `${words}: systemctl restart cryonet-dataplane, which interrupts the links`,
        );
      });
    }
  }

  run(effect: DataplaneEffect): void {
    const iceServers = [...this.#options.iceServers()];
    if (effect.type === 'offer' || effect.type === 'answer') this.adjust([effect.peer]);
    switch (effect.type) {
      case 'offer':
        this.#negotiate('offer', { ...this.#attemptOf(effect), iceServers });
        return;
      case 'answer':
        this.#negotiate('answer', { ...this.#attemptOf(effect), ...saidBy(effect), iceServers });
        return;
      case 'accept': {
        const { peer, negotiation } = effect;
        this.#ask('accept', { peer, negotiation, ...saidBy(effect) }, (reason) =>
          this.#options.take({ type: 'ended', peer, negotiation, reason }),
        );
        return;
      }
      case 'add-candidate': {
        const { peer, negotiation, candidate } = effect;
        this.#connection.notify('candidate', { peer, negotiation, candidate });
        return;
      }
      case 'close':
        this.#ask('close', { peer: effect.peer, negotiation: effect.negotiation });
        return;
      case 'remove':
        this.#told.forget(effect.peer);
        this.#ask('remove', { peer: effect.peer });
        return;
      case 'measure':
        this.#ask('stats', {}, undefined, ({ links }) => this.#options.take({ type: 'figures', links }));
    }
  }

  /** Whether to wait for what the dataplane refuses. A service waits for all that may pass. A node started by hand waits
   *  only for a port that is taken or a full disk, because its user is there to mend the rest. */
  #waitsFor(cause: unknown): boolean {
    const passing = cause instanceof CryonetError && ['port_in_use', 'unavailable'].includes(cause.code);
    return this.#options.config.service ? mayPass(cause) : passing;
  }

  #attemptOf({
    peer,
    identity,
    negotiation,
    route,
    replaces,
  }: Extract<Effect, { type: 'offer' | 'answer' }>) {
    const { config, known } = this.#options;
    const displaced = nameOwner(config.interfacePrefix, peer, known()) !== peer;
    return {
      ...{ peer, identity, negotiation, route },
      ...(route === 'websocket' ? { limit: Math.max(1, config.webSocketPathLimit) * 1_000_000 } : {}),
      ...(replaces === null ? {} : { replaces }),
      ...(displaced ? { displaced } : {}),
    };
  }

  #negotiate(method: 'offer' | 'answer', params: Params<'offer'> | Params<'answer'>): void {
    const { peer, negotiation } = params;
    const { take } = this.#options;
    this.#ask(
      method,
      params as Params<'answer'>,
      (reason) => take({ type: 'ended', peer, negotiation, reason }),
      (description) => take({ type: 'described', peer, negotiation, ...description }),
    );
  }

  async #within<M extends Method>(timeout: number, method: M, params: Params<M>): Promise<Result<M>> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new CryonetError('unavailable', hangs)), timeout);
    try {
      return await Promise.race([this.#connection.call(method, params), late]);
    } catch (cause) {
      const words = cause instanceof CryonetError ? lacking[cause.code] : undefined;
      throw words === undefined ? cause : new CryonetError('unavailable', words, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls the dataplane; its outcome becomes an event. Never throws. */
  #ask<M extends Method>(
    method: M,
    params: Params<M>,
    failed?: (reason: string) => void,
    done?: (result: Result<M>) => void,
  ): void {
    this.#connection.call(method, params).then(
      (result) => done?.(result),
      (error: unknown) => {
        if (error instanceof CryonetError && error.code === 'connection_closed') return;
        this.#options.log.debug('dataplane refused', { method, reason: reasonOf(error) });
        failed?.(reasonOf(error));
      },
    );
  }

  #notified<N extends Notification>(name: N, params: NotificationParams<N>): void {
    const { take, changed } = this.#options;
    switch (name) {
      case 'candidate':
      case 'ended':
      case 'bye':
        take({ type: name, ...params } as MeshEvent);
        return;
      case 'link':
        take({ type: 'link', report: params as NotificationParams<'link'> });
        return;
      case 'carried': {
        const { peer, ...carried } = params as NotificationParams<'carried'>;
        this.#options.carry(peer, carried);
        return;
      }
      case 'signal':
        this.#signalled(params as NotificationParams<'signal'>);
        return;
      case 'warnings':
        this.#takeWarnings((params as NotificationParams<'warnings'>).warnings);
        changed();
    }
  }

  #takeWarnings(told: readonly Warning[] = []): void {
    this.#warnings = told.map((each) => ({ ...each, since: bySteady(each.since) }));
  }

  #signalled({ peer, frame }: NotificationParams<'signal'>): void {
    const { take, admit, log } = this.#options;
    const channel = `link:${peer}`;
    if (!admit(channel, frame.length)) return;
    try {
      take({ type: 'message', channel, message: parse(neighborMessage, frame) });
    } catch (error) {
      log.debug('message not understood', { peer, reason: reasonOf(error) });
    }
  }
}

/** The peer's description, and the epochs of both nodes. */
function saidBy({ sdp, keys, epochs }: Extract<Effect, { type: 'answer' | 'accept' }>) {
  return { sdp, keys, epochs };
}

/** The dataplane's part of the configuration. Options that came later are left out where they have their default, so that
 *  a dataplane which an older control configured sees no difference and keeps its links. */
function dataplaneConfig(config: ControlConfig, { identity }: Local) {
  const { id, interfacePrefix, autoInterfaceName, packetInformation, mtu, autoMtu } = config;
  const { udpPort, fwmark, dscp, direct, workers, segmentation, interfaces, excludeInterfaces } = config;
  return {
    node: id,
    interfacePrefix,
    autoInterfaceName,
    packetInformation,
    identity: identity.publicKey,
    mtu,
    autoMtu,
    udpPort,
    fwmark,
    ...(dscp === 0 ? {} : { dscp }),
    direct,
    workers,
    ...(segmentation ? {} : { segmentation }),
    ...(interfaces.length > 0 ? { interfaces: [...interfaces] } : {}),
    ...(excludeInterfaces.length > 0 ? { excludeInterfaces: [...excludeInterfaces] } : {}),
  };
}
