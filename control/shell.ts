/**
 * The control process around its core: runs effects, feeds events, keeps one timer. `neighbor-shell.ts` is the part of
 * it that has the neighbors by WebSocket.
 */
import type { Method, Notification, NotificationParams, Params, Result } from '../protocol/dataplane.ts';
import { CryonetError, mayPass, reasonOf } from '../protocol/errors.ts';
import type { Log } from '../protocol/log.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { neighborMessage } from '../protocol/signaling.ts';
import type { StatusReport, Warning } from '../protocol/status.ts';
import { version } from '../protocol/version.ts';
import { inOrder, Warnings } from '../protocol/warnings.ts';
import { AloneWarning } from './alone.ts';
import { type ControlConfig, longestPause } from './config.ts';
import { formatHostPort } from './core/address.ts';
import type { Environment } from './core/environment.ts';
import type { Effect, MeshEvent } from './core/events.ts';
import { nextDeadline, step } from './core/mesh.ts';
import { type Mesh, newMesh } from './core/state.ts';
import { PatientControlSocket } from './io/control-socket.ts';
import { sha256, signWith, tokenKey, verifyWith } from './io/crypto.ts';
import { DataplaneConnection } from './io/dataplane-connection.ts';
import { startOptions } from './io/dataplane-process.ts';
import type { Local } from './io/handshake.ts';
import { type KeptState, openStateDirectory } from './io/state-directory.ts';
import { NeighborShell } from './neighbor-shell.ts';
import { idsOf, type LinkStats, neighborStatuses, peerStatuses, summaryOf } from './status.ts';
import { weaknessOf } from './token.ts';

/** What setTimeout takes: a longer time would be none at all. */
const longestTimer = 2 ** 31 - 1;
/** Milliseconds for the dataplane's figures: `cryoc` waits two seconds for all of the status. */
const statsTimeout = 1000;
/** Subject of the warning about a dataplane that is connected and does not answer. */
const stalled = 'dataplane-stalled';
/** For the goodbye to leave before the sockets close. */
const goodbyeDelay = 100;

export class ControlShell {
  readonly #config: ControlConfig;
  readonly #log: Log;
  readonly #kept: KeptState;
  readonly #local: Local;
  readonly #mesh: Mesh;
  readonly #neighbors: NeighborShell;
  readonly #dataplane: DataplaneConnection;
  readonly #controlSocket: PatientControlSocket;
  /** Told after each event. */
  readonly #changed: () => void;
  readonly #warnings: Warnings;
  /** The dataplane's, as it told them last. */
  #dataplaneWarnings: readonly Warning[] = [];
  #alone: AloneWarning | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Throws what `openStateDirectory` throws, and has done nothing then. */
  constructor(
    config: ControlConfig,
    log: Log,
    early?: Promise<number | undefined>,
    changed: () => void = () => {},
  ) {
    this.#config = config;
    this.#log = log;
    this.#changed = changed;
    this.#warnings = new Warnings(log, changed);
    this.#kept = openStateDirectory(config.stateDirectory, Date.now(), this.#warnings, longestPause(config));
    const weakness = weaknessOf(config.token);
    if (weakness !== undefined) {
      this.#warnings.set(
        'token',
        `the token, from ${config.tokenSource}, is weak: ${weakness}; make one by: head -c 32 /dev/urandom | base64`,
      );
    }
    const { identity, epoch, pins } = this.#kept;
    this.#local = { id: config.id, epoch, identity, tokenKey: tokenKey(config.token) };
    this.#dataplane = this.#newDataplane(early);
    this.#controlSocket = new PatientControlSocket(config, this.#warnings, () => this.status());
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
    this.#neighbors = new NeighborShell({
      config,
      local: this.#local,
      log,
      pins,
      keep: (peer, key) => this.#kept.pin(peer, key),
      take: (event) => this.#take(event),
      warnings: this.#warnings,
    });
  }

  /** Opens, in order: control socket, dataplane, bootstrap WebSocket, bootstrap clients. A node that can be talked to
   *  can answer offers. */
  async start(): Promise<void> {
    await this.#controlSocket.open();
    await this.#dataplane.open((cause) => this.#waitsFor(cause));
    await this.#neighbors.open();
    this.#log.info('node started', {
      id: this.#config.id,
      identity: Buffer.from(this.#local.identity.publicKey).toString('base64url'),
      listen: formatHostPort(this.#neighbors.address),
      udpPort: this.#dataplane.hello?.udpPort,
    });
    this.#alone = new AloneWarning(this.#config, this.#warnings, () => idsOf(this.#mesh).length > 0);
    this.#schedule();
  }

  /** Closes in the reverse order of `start`. A dataplane of its own ends with control, and the mesh is told;
   *  another one keeps its links. Idempotent, never throws. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#alone?.close();
    const ours = this.#dataplane.hello?.child === true;
    if (ours) {
      this.#take({ type: 'stop' });
      await new Promise((resolve) => setTimeout(resolve, goodbyeDelay));
    }
    this.#neighbors.close();
    if (ours) await this.#dataplane.call('shutdown', {}).catch(() => {});
    this.#dataplane.close();
    this.#controlSocket.close();
    this.#kept.close();
  }

  async status(): Promise<StatusReport> {
    const stats = await this.#stats();
    return {
      version,
      node: {
        id: this.#config.id,
        identity: Buffer.from(this.#local.identity.publicKey).toString('base64url'),
        listen: formatHostPort(this.#neighbors.address),
        pid: process.pid,
        uptime: Math.round(performance.now()) / 1000,
      },
      dataplane: {
        connected: this.#dataplane.isUp,
        pid: this.#dataplane.hello?.pid ?? null,
        udpPort: this.#dataplane.hello?.udpPort ?? null,
        engine: this.#dataplane.hello?.engine ?? null,
      },
      bootstrap: this.#neighbors.bootstrap,
      neighbors: neighborStatuses(this.#mesh),
      peers: peerStatuses(this.#mesh, stats),
      warnings: this.#allWarnings(),
    };
  }

  /** None in time: a dataplane that hangs must not keep control from saying what it knows. */
  async #stats(): Promise<readonly LinkStats[]> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, statsTimeout, undefined);
    const stats = await Promise.race([this.#dataplane.call('stats', {}).catch(() => ({ links: [] })), late]);
    clearTimeout(timer);
    if (stats !== undefined) this.#warnings.clear(stalled);
    else this.#warnings.set(stalled, 'it does not answer: it hangs, or the machine is overloaded');
    return stats?.links ?? [];
  }

  summary(): string {
    const [first] = this.#allWarnings();
    const trouble = first === undefined ? '' : `; ${first.subject}: ${first.message}`;
    return `${summaryOf(this.#mesh)}${this.#dataplane.isUp ? '' : ', no dataplane'}${trouble}`;
  }

  /** What the dataplane refuses is waited out by a service whatever it is, as long as time may mend it. Who starts a node
   *  by hand is there to mend what is not a port that another program has, or a disk. */
  #waitsFor(cause: unknown): boolean {
    const passing = cause instanceof CryonetError && ['port_in_use', 'unavailable'].includes(cause.code);
    return this.#config.service ? mayPass(cause) : passing;
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
    this.#alone?.look();
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
          this.#neighbors.send(effect.channel, effect.message);
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
        this.#kept.pin(effect.id, effect.key);
        return;
      case 'epoch':
        this.#local.epoch = effect.epoch;
        this.#kept.keepEpoch(effect.epoch);
        return;
      case 'warning':
        if (effect.message === null) this.#warnings.clear(effect.subject, effect.about);
        else this.#warnings.set(effect.subject, effect.message, effect.about);
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

  #newDataplane(early: Promise<number | undefined> | undefined): DataplaneConnection {
    const { id, interfacePrefix, autoInterfaceName, packetInformation, mtu, autoMtu } = this.#config;
    const { udpPort, fwmark, dscp, direct, workers, segmentation } = this.#config;
    const { interfaces, excludeInterfaces } = this.#config;
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
          // A dataplane that an older control configured takes the default for what it has.
          ...(dscp === 0 ? {} : { dscp }),
          direct,
          workers,
          ...(segmentation ? {} : { segmentation }),
          ...(interfaces.length > 0 ? { interfaces: [...interfaces] } : {}),
          ...(excludeInterfaces.length > 0 ? { excludeInterfaces: [...excludeInterfaces] } : {}),
        },
        log: this.#log,
      },
      {
        up: ({ links, warnings }) => {
          this.#dataplaneWarnings = warnings ?? [];
          this.#warnings.clear('dataplane');
          this.#take({ type: 'dataplane-up', links });
        },
        down: () => {
          this.#dataplaneWarnings = [];
          this.#take({ type: 'dataplane-down' });
        },
        failed: (cause) =>
          this.#warnings.set('dataplane', `${reasonOf(cause)}; tried again, no link comes up until then`),
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
}
