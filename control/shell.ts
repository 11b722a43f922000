/**
 * The control process around its core: runs effects, feeds events, keeps one timer. The only file that sees both
 * `core/` and `io/`.
 */
import type { WebSocket } from 'ws';
import type { Method, Notification, NotificationParams, Params, Result } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { Hello, RefuseCode } from '../protocol/handshake.ts';
import type { Log } from '../protocol/log.ts';
import { encode } from '../protocol/msgpack.ts';
import { controlSocket } from '../protocol/paths.ts';
import { parse } from '../protocol/schema.ts';
import { neighborMessage } from '../protocol/signaling.ts';
import type { StatusReport } from '../protocol/status.ts';
import { version } from '../protocol/version.ts';
import { inOrder, type Warning, Warnings } from '../protocol/warnings.ts';
import type { ControlConfig } from './config.ts';
import { formatHostPort } from './core/address.ts';
import { type Environment, hex } from './core/environment.ts';
import type { Channel, Effect, MeshEvent } from './core/events.ts';
import { nextDeadline, step } from './core/mesh.ts';
import { type Mesh, newMesh } from './core/state.ts';
import { BootstrapClient, type ClientEvents } from './io/bootstrap-client.ts';
import { type BootstrapServer, openBootstrapServer } from './io/bootstrap-server.ts';
import { type ControlSocket, openControlSocket } from './io/control-socket.ts';
import { sha256, signWith, tokenKey, verifyWith } from './io/crypto.ts';
import { DataplaneConnection } from './io/dataplane-connection.ts';
import { startOptions } from './io/dataplane-process.ts';
import type { Local, Proven } from './io/handshake.ts';
import { unmarkedWarning } from './io/marked-connection.ts';
import { NeighborSocket } from './io/neighbor-socket.ts';
import { type KeptState, openStateDirectory } from './io/state-directory.ts';
import { type LinkStats, neighborStatuses, peerStatuses, summaryOf } from './status.ts';

/** Milliseconds. */
const probeTimeout = 1500;
/** What setTimeout takes: a longer time would be none at all. */
const longestTimer = 2 ** 31 - 1;
/** For the goodbye to leave before the sockets close. */
const goodbyeDelay = 100;

export class ControlShell {
  readonly #config: ControlConfig;
  readonly #log: Log;
  readonly #kept: KeptState;
  readonly #local: Local;
  readonly #mesh: Mesh;
  readonly #sockets = new Map<Channel, NeighborSocket>();
  readonly #clients: BootstrapClient[] = [];
  readonly #dataplane: DataplaneConnection;
  /** Ends the process on a condition that no retry mends. */
  readonly #giveUp: (cause: CryonetError) => void;
  /** Told after each event. */
  readonly #changed: () => void;
  readonly #unmarked: (cause: CryonetError) => void;
  readonly #warnings: Warnings;
  /** The dataplane's, as it told them last. */
  #dataplaneWarnings: readonly Warning[] = [];
  #server: BootstrapServer | undefined;
  #controlSocket: ControlSocket | undefined;
  #socketCounter = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Throws `bad_config` where the state directory cannot be used. */
  constructor(
    config: ControlConfig,
    log: Log,
    giveUp: (cause: CryonetError) => void,
    early?: Promise<number | undefined>,
    changed: () => void = () => {},
  ) {
    this.#config = config;
    this.#log = log;
    this.#giveUp = giveUp;
    this.#changed = changed;
    this.#warnings = new Warnings(log, changed);
    this.#unmarked = unmarkedWarning(log);
    this.#kept = openStateDirectory(config.stateDirectory, Date.now());
    const { identity, epoch, pins } = this.#kept;
    this.#local = { id: config.id, epoch, identity, tokenKey: tokenKey(config.token) };
    this.#dataplane = this.#newDataplane(early);
    this.#mesh = newMesh(
      {
        id: config.id,
        key: identity.publicKey,
        epoch,
        turn: config.iceServers.some(({ kind }) => kind === 'turn'),
      },
      {
        policy: { allow: config.allow, deny: config.deny },
        checkInterval: config.checkInterval,
        forgetAfter: config.checkTimeout,
        aliveInterval: config.sendAliveInterval,
      },
      pins,
      this.#environment(),
    );
  }

  /** Opens, in order: control socket, dataplane, bootstrap WebSocket, bootstrap clients. A node that can be talked to
   *  can answer offers. */
  async start(): Promise<void> {
    const { runtimeDirectory, listen, tls } = this.#config;
    this.#controlSocket = await openControlSocket(controlSocket(runtimeDirectory), () => this.status());
    await this.#dataplane.open();
    this.#server = await openBootstrapServer(listen, tls, this.#local, {
      admit: (client) => this.#admit(client),
      neighbor: (socket, proven) => this.#neighborUp(socket, proven, undefined),
      refused: (address, cause) => {
        const level = cause.code === 'connection_closed' || cause.code === 'bad_message' ? 'debug' : 'warn';
        this.#log[level]('neighbor refused', { address, reason: cause.message });
      },
    });
    for (const url of this.#config.wsServers) this.#clients.push(this.#newClient(url));
    this.#log.info('node started', {
      id: this.#config.id,
      identity: Buffer.from(this.#local.identity.publicKey).toString('base64url'),
      listen: formatHostPort(this.#server.address),
      udpPort: this.#dataplane.hello?.udpPort,
    });
    this.#schedule();
  }

  /** Closes in the reverse order of `start`. A dataplane of its own ends with control, and the mesh is told;
   *  another one keeps its links. Idempotent, never throws. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    const ours = this.#dataplane.hello?.child === true;
    if (ours) {
      this.#take({ type: 'stop' });
      await new Promise((resolve) => setTimeout(resolve, goodbyeDelay));
    }
    for (const client of this.#clients) client.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#server?.close();
    if (ours) await this.#dataplane.call('shutdown', {}).catch(() => {});
    this.#dataplane.close();
    this.#controlSocket?.close();
  }

  async status(): Promise<StatusReport> {
    const stats: readonly LinkStats[] = await this.#dataplane.call('stats', {}).then(
      ({ links }) => links,
      () => [],
    );
    return {
      version,
      node: {
        id: this.#config.id,
        identity: Buffer.from(this.#local.identity.publicKey).toString('base64url'),
        listen: formatHostPort(this.#server?.address ?? this.#config.listen),
        pid: process.pid,
        uptime: Math.round(performance.now()) / 1000,
      },
      dataplane: {
        connected: this.#dataplane.isUp,
        pid: this.#dataplane.hello?.pid ?? null,
        udpPort: this.#dataplane.hello?.udpPort ?? null,
        engine: this.#dataplane.hello?.engine ?? null,
      },
      bootstrap: this.#clients.map(({ url, state, id, error }) => ({ url, state, id, error })),
      neighbors: neighborStatuses(this.#mesh),
      peers: peerStatuses(this.#mesh, stats),
      warnings: this.#allWarnings(),
    };
  }

  summary(): string {
    const [first] = this.#allWarnings();
    const trouble = first === undefined ? '' : `; ${first.subject}: ${first.message}`;
    return `${summaryOf(this.#mesh)}${this.#dataplane.isUp ? '' : ', no dataplane'}${trouble}`;
  }

  #allWarnings(): Warning[] {
    return inOrder([...this.#warnings.list(), ...this.#dataplaneWarnings]);
  }

  #environment(): Environment {
    return {
      now: performance.timeOrigin + performance.now(),
      random: Math.random,
      sign: (message) => signWith(this.#local.identity, message),
      verify: verifyWith,
      digest: sha256,
    };
  }

  #take(event: MeshEvent): void {
    const effects = step(this.#mesh, event, this.#environment());
    for (const effect of effects) this.#run(effect);
    if (!this.#stopped) this.#schedule();
    this.#changed();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wait = nextDeadline(this.#mesh).at - performance.timeOrigin - performance.now();
    this.#timer = setTimeout(
      () => this.#take({ type: 'tick' }),
      Math.min(longestTimer, Math.max(1, Math.ceil(wait))),
    );
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (effect.channel.startsWith('link:')) {
          this.#dataplane.notify('signal', { peer: effect.channel.slice(5), frame: encode(effect.message) });
        } else {
          this.#sockets.get(effect.channel)?.send(effect.message);
        }
        return;
      case 'offer': {
        const { peer, negotiation, route } = effect;
        this.#negotiate(peer, negotiation, 'offer', {
          peer,
          negotiation,
          identity: this.#identityOf(peer),
          route,
          iceServers: [...this.#config.iceServers],
        });
        return;
      }
      case 'answer': {
        const { peer, negotiation, route, sdp } = effect;
        this.#negotiate(peer, negotiation, 'answer', {
          peer,
          negotiation,
          identity: this.#identityOf(peer),
          route,
          sdp,
          iceServers: [...this.#config.iceServers],
        });
        return;
      }
      case 'accept': {
        const { peer, negotiation, sdp } = effect;
        this.#ask('accept', { peer, negotiation, sdp }, (reason) =>
          this.#take({ type: 'ended', peer, negotiation, reason }),
        );
        return;
      }
      case 'add-candidate':
        this.#dataplane.notify('candidate', {
          peer: effect.peer,
          negotiation: effect.negotiation,
          candidate: effect.candidate,
        });
        return;
      case 'close':
        this.#ask('close', { peer: effect.peer, negotiation: effect.negotiation });
        return;
      case 'remove':
        this.#ask('remove', { peer: effect.peer });
        return;
      case 'pin':
        this.#keep(effect.id, effect.key);
        return;
      case 'notice':
        this.#log[effect.level](effect.message, effect.fields);
    }
  }

  /** The key pinned for `peer`. No bytes where there was no room for it: the dataplane refuses that, which ends the
   *  attempt. */
  #identityOf(peer: string): Uint8Array {
    return Buffer.from(this.#mesh.membership.pins.get(peer) ?? '', 'hex');
  }

  #negotiate(
    peer: string,
    negotiation: string,
    method: 'offer' | 'answer',
    params: Params<'offer'> | Params<'answer'>,
  ): void {
    this.#ask(
      method,
      params as Params<'answer'>,
      (reason) => this.#take({ type: 'ended', peer, negotiation, reason }),
      ({ sdp }) => this.#take({ type: 'described', peer, negotiation, sdp }),
    );
  }

  /** Calls the dataplane; its outcome becomes an event. Never throws. */
  #ask<M extends Method>(
    method: M,
    params: Params<M>,
    failed?: (reason: string) => void,
    done?: (result: Result<M>) => void,
  ): void {
    this.#dataplane.call(method, params).then(
      (result) => done?.(result),
      (error: unknown) => {
        if (error instanceof CryonetError && error.code === 'connection_closed') return;
        this.#log.debug('dataplane refused', { method, reason: reasonOf(error) });
        failed?.(reasonOf(error));
      },
    );
  }

  #keep(id: string, key: string): void {
    try {
      this.#kept.pin(id, key);
    } catch (error) {
      this.#log.error('identity not kept', { peer: id, reason: reasonOf(error) });
    }
  }

  #newDataplane(early: Promise<number | undefined> | undefined): DataplaneConnection {
    const { id, interfacePrefix, autoInterfaceName, packetInformation, mtu, autoMtu } = this.#config;
    const { udpPort, fwmark, direct, workers } = this.#config;
    return new DataplaneConnection(
      {
        start: startOptions(this.#config),
        mayStart: this.#config.dataplaneSocket === null,
        early,
        config: {
          node: id,
          interfacePrefix,
          autoInterfaceName,
          packetInformation,
          identity: this.#local.identity.publicKey,
          mtu,
          autoMtu,
          udpPort,
          fwmark,
          direct,
          workers,
        },
        log: this.#log,
      },
      {
        up: ({ links, warnings }) => {
          this.#dataplaneWarnings = warnings ?? [];
          this.#take({ type: 'dataplane-up', links });
        },
        down: () => {
          this.#dataplaneWarnings = [];
          this.#take({ type: 'dataplane-down' });
        },
        notification: (name, params) => this.#notified(name, params),
      },
    );
  }

  #notified<N extends Notification>(name: N, params: NotificationParams<N>): void {
    switch (name) {
      case 'candidate':
      case 'ended':
      case 'bye':
        this.#take({ type: name, ...params } as MeshEvent);
        return;
      case 'link':
        this.#take({ type: 'link', report: params as NotificationParams<'link'> });
        return;
      case 'signal':
        this.#signal(params as NotificationParams<'signal'>);
        return;
      case 'warnings':
        this.#dataplaneWarnings = (params as NotificationParams<'warnings'>).warnings;
        this.#changed();
    }
  }

  #signal({ peer, frame }: NotificationParams<'signal'>): void {
    try {
      this.#take({ type: 'message', channel: `link:${peer}`, message: parse(neighborMessage, frame) });
    } catch (error) {
      this.#log.debug('message not understood', { peer, reason: reasonOf(error) });
    }
  }

  /** What a client that proved the token is refused for. */
  async #admit(client: Hello): Promise<RefuseCode | undefined> {
    if (client.id === this.#config.id) return 'id_in_use';
    const pinned = this.#kept.pins.get(client.id);
    if (pinned !== undefined && pinned !== hex(client.key)) return 'identity_mismatch';
    const twins = [...this.#sockets.values()].filter(
      ({ peer }) => peer.id === client.id && peer.epoch !== client.epoch,
    );
    for (const twin of twins) {
      if (twin.peer.epoch > client.epoch || (await twin.answers(probeTimeout))) return 'id_in_use';
      twin.close(new CryonetError('connection_closed', 'replaced by a newer start of the same node'));
    }
    this.#keep(client.id, hex(client.key));
    return undefined;
  }

  #neighborUp(socket: WebSocket, proven: Proven, client: BootstrapClient | undefined): void {
    const channel = `ws:${++this.#socketCounter}`;
    const { id } = proven.peer;
    const neighbor = new NeighborSocket(socket, proven, {
      message: (message) => this.#take({ type: 'message', channel, message }),
      closed: (cause) => {
        this.#sockets.delete(channel);
        if (!this.#stopped) {
          this.#log.info('neighbor gone', {
            id,
            via: client?.url ?? 'its WebSocket',
            reason: cause?.message,
          });
          this.#take({ type: 'neighbor-down', channel });
        }
        client?.lost();
      },
    });
    this.#sockets.set(channel, neighbor);
    this.#log.info('neighbor', { id, via: client?.url ?? 'its WebSocket' });
    this.#take({ type: 'neighbor-up', channel, id });
  }

  #newClient(target: string): BootstrapClient {
    let shown: string | undefined;
    const { checkInterval, fwmark } = this.#config;
    const events: ClientEvents = {
      neighbor: (socket, proven) => {
        shown = undefined;
        const pinned = this.#kept.pins.get(proven.peer.id);
        if (proven.peer.id === this.#config.id || (pinned !== undefined && pinned !== hex(proven.peer.key))) {
          socket.close(4003, 'identity_mismatch');
          client.error = 'the server’s ID belongs to another identity key';
          this.#log.warn('bootstrap server refused', {
            url: client.url,
            id: proven.peer.id,
            reason: client.error,
          });
          client.lost();
          return;
        }
        this.#keep(proven.peer.id, hex(proven.peer.key));
        this.#neighborUp(socket, proven, client);
      },
      failed: (url, cause) => {
        if (cause.code === 'self_connection') {
          client.state = 'waiting';
          return;
        }
        this.#log[shown === cause.message ? 'debug' : 'warn']('bootstrap server not reached', {
          url,
          reason: cause.message,
        });
        shown = cause.message;
        const taken = cause.code === 'id_in_use' || cause.code === 'identity_mismatch';
        if (taken && this.#mesh.neighbors.size === 0) {
          this.#giveUp(
            new CryonetError(
              'bad_config',
              `node ID "${this.#config.id}" cannot be used in this mesh: ${cause.message} (${url})`,
            ),
          );
        }
      },
      unmarked: this.#unmarked,
    };
    const client = new BootstrapClient(target, this.#local, checkInterval, events, fwmark);
    return client;
  }
}
