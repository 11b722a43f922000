/**
 * The part of control's shell that has the neighbors by WebSocket: the bootstrap server, the bootstrap clients, and a
 * channel `ws:<number>` for each connection of either.
 */
import type { WebSocket } from 'ws';
import { type Bucket, newBucket, take } from '../protocol/bucket.ts';
import { type Carried, encodeCarried, leastCarried } from '../protocol/carried.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { Hello, Refusal } from '../protocol/handshake.ts';
import type { Log } from '../protocol/log.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import type { StatusReport } from '../protocol/status.ts';
import type { Warnings } from '../protocol/warnings.ts';
import type { HostPort } from './config/address.ts';
import type { ControlConfig } from './config/config.ts';
import { hex } from './core/environment.ts';
import type { Channel, MeshEvent } from './core/events.ts';
import { readRecord } from './core/membership.ts';
import { BootstrapClient, type ClientEvents, isAtRest } from './io/bootstrap-client.ts';
import { type Judge, type Local, type Proven, Refused, Unwanted } from './io/handshake.ts';
import type { Inviter } from './io/inviter.ts';
import { Listening } from './io/listening.ts';
import { unmarkedWarning } from './io/marked-connection.ts';
import { NeighborSocket, type SocketEvents } from './io/neighbor-socket.ts';
import { Outgoing } from './io/outgoing.ts';
import { type Proxies, readProxies } from './io/proxy.ts';
import { Trust } from './io/trust.ts';

/** Milliseconds for an older WebSocket to answer a ping. */
const probeTimeout = 1500;

/** Refusals that are logged at debug only: they are usual, or there is a warning about them. */
const quietly: ReadonlySet<string> = new Set([
  ...['connection_closed', 'bad_message', 'already_connected'],
  ...['id_in_use', 'identity_mismatch', 'key_in_use', 'denied'],
]);

export interface NeighborShellOptions {
  readonly config: ControlConfig;
  readonly local: Local;
  readonly log: Log;
  /** Decides why a proven node is refused. */
  readonly judge: Judge;
  readonly take: (event: MeshEvent) => void;
  /** Whether a message of so many bytes may be decoded. */
  readonly admit: (channel: Channel, bytes: number) => boolean;
  /** A message of a connection that goes by a neighbor's WebSocket, or is said to. */
  readonly carried: (peer: string, carried: Carried) => void;
  /** Somebody who is no neighbor was refused; the cause is one of few words. */
  readonly refused: (cause: string) => void;
  readonly warnings: Warnings;
  readonly inviter: Inviter;
}

export class NeighborShell {
  readonly #options: NeighborShellOptions;
  readonly #proxies: Proxies;
  readonly #outgoing: Outgoing;
  readonly #sockets = new Map<Channel, NeighborSocket>();
  readonly #clients = new Map<string, BootstrapClient>();
  /** The last connection that a client made. */
  readonly #socketOf = new WeakMap<BootstrapClient, NeighborSocket>();
  readonly #listening: Listening;
  /** IDs of clients that are being admitted. */
  readonly #arriving = new Set<string>();
  #socketCounter = 0;
  #closed = false;

  constructor(options: NeighborShellOptions) {
    this.#options = options;
    const { config, local, log, warnings, inviter } = options;
    this.#proxies = readProxies(config.proxies);
    this.#outgoing = new Outgoing({
      mark: config.fwmark,
      unmarked: unmarkedWarning(log),
      trust: new Trust(config.tlsCa),
      proxies: this.#proxies,
    });
    this.#listening = new Listening({
      ...{ config, local, warnings },
      events: {
        admit: (client) => this.#admit(client),
        unwanted: ({ id }, refusal) => options.take({ type: 'refused', by: id, refusal }),
        neighbor: (socket, proven) => this.#neighborUp(socket, proven, undefined),
        invited: (key) => inviter.invited(key),
        welcome: (client) => inviter.answer(client),
        crowded: () => options.refused('connections'),
        refused: ({ host: address, port }, cause, isPaced) => {
          const misdeed = misdeedOf(cause);
          if (misdeed !== undefined) options.refused(misdeed);
          const level = quietly.has(cause.code) || isPaced ? 'debug' : 'warn';
          log[level]('neighbor refused', { address, port, reason: this.#explain(cause) });
        },
      },
    });
  }

  /** Opens the server, then the clients. Throws `bad_config`. */
  async open(): Promise<void> {
    await this.#listening.open();
    this.joinThrough(this.#options.config.wsServers);
  }

  /** Connects to these bootstrap servers, and no longer to others; what it has with one that stays is not touched. */
  joinThrough(targets: readonly string[]): void {
    const [trouble] = this.#proxies.troubles;
    if (trouble !== undefined && targets.length > 0) this.#options.warnings.set('proxy', trouble);
    for (const [target, client] of this.#clients) {
      if (targets.includes(target)) continue;
      this.#clients.delete(target);
      client.close();
      this.#socketOf.get(client)?.close();
    }
    for (const target of targets)
      if (!this.#clients.has(target)) this.#clients.set(target, this.#newClient(target));
  }

  /** Clients first, so that none connects again. Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#listening.close();
  }

  /** The address of the bootstrap WebSocket. */
  get address(): HostPort {
    return this.#listening.address;
  }

  /** Closes connections with nodes that are refused now, because the file of keys has changed, and tries others at once. */
  reload(): void {
    this.refuse();
    for (const client of this.#clients.values()) client.hurry();
  }

  /** Closes connections with nodes that are refused now. */
  refuse(): void {
    for (const socket of [...this.#sockets.values()]) {
      const refusal = this.#options.judge(socket.peer);
      if (refusal !== undefined) socket.close(new CryonetError(refusal.code));
    }
  }

  get bootstrap(): StatusReport['bootstrap'] {
    return [...this.#clients.values()].map(({ url, state, id, error }) => ({ url, state, id, error }));
  }

  send(channel: Channel, message: NeighborMessage): void {
    this.#sockets.get(channel)?.send(message);
  }

  /** Sends a message of a connection by a WebSocket that we have with the peer. One of packets is lost where much is unsent:
   *  signaling goes first. */
  carry(peer: string, carried: Carried): void {
    // For each packet: without a copy of the list.
    for (const socket of this.#sockets.values()) {
      if (socket.peer.id !== peer) continue;
      socket.carry(encodeCarried(carried), carried.channel !== 'data');
      return;
    }
  }

  #carried(peer: string, carried: Carried, bytes: number, budget: Bucket): boolean {
    const admitted = take(budget, Math.max(bytes, leastCarried), performance.now());
    if (admitted) this.#options.carried(peer, carried);
    else this.#options.refused('carried');
    return admitted;
  }

  /** Decides why a proven client is refused. One WebSocket that a node opened is enough; another is taken only if the first
   *  does not answer. */
  async #admit(client: Hello): Promise<Refusal | undefined> {
    const { judge, take } = this.#options;
    const { id, key, epoch } = client;
    const refusal = judge(client);
    if (refusal !== undefined) {
      take({ type: 'claim', id, key });
      return refusal;
    }
    if (this.#arriving.has(id)) return { code: 'already_connected' };
    this.#arriving.add(id);
    try {
      for (const socket of this.#sockets.values()) {
        if (socket.peer.id !== id || (socket.epoch === epoch && !socket.opened)) continue;
        // Epochs do not tell which of two starts is alive, because a clock may have gone back. A ping does.
        if (await socket.answers(probeTimeout)) {
          if (socket.epoch === epoch) return { code: 'already_connected' };
          take({ type: 'claim', id, key });
          return { code: 'id_in_use', key };
        }
        socket.close(
          new CryonetError('connection_closed', 'replaced by another connection of the same node'),
        );
      }
      return undefined;
    } finally {
      // By then the new connection is in #sockets.
      setImmediate(() => this.#arriving.delete(id));
    }
  }

  #explain({ code, message }: CryonetError): string {
    return code === 'wrong_token' ? `${message} (ours is from ${this.#options.config.tokenSource})` : message;
  }

  #neighborUp(socket: WebSocket, proven: Proven, client: BootstrapClient | undefined): void {
    const channel = `ws:${++this.#socketCounter}`;
    const { id } = proven.peer;
    const budget = newCarriedBudget(this.#options.config.webSocketPathLimit);
    const events: SocketEvents = {
      admits: (bytes) => this.#options.admit(channel, bytes),
      carried: (carried, bytes) => this.#carried(id, carried, bytes, budget),
      message: (message) => {
        neighbor.epoch = latestEpoch(neighbor, message);
        this.#options.take({ type: 'message', channel, message });
      },
      closed: (cause) => {
        this.#sockets.delete(channel);
        if (!this.#closed) {
          this.#options.log.info('neighbor gone', {
            id,
            via: client?.url ?? 'its WebSocket',
            reason: cause?.message,
          });
          this.#options.take({ type: 'neighbor-down', channel });
        }
        client?.lost();
        for (const each of this.#clients.values()) each.wake();
      },
    };
    const neighbor = new NeighborSocket(socket, proven, events, client === undefined);
    this.#sockets.set(channel, neighbor);
    if (client !== undefined) this.#socketOf.set(client, neighbor);
    this.#options.log.info('neighbor', { id, via: client?.url ?? 'its WebSocket' });
    this.#options.take({ type: 'neighbor-up', channel, id, key: proven.peer.key });
  }

  #newClient(target: string): BootstrapClient {
    let shown: string | undefined;
    const { checkInterval } = this.#options.config;
    const { judge, take, log, refused } = this.#options;
    const events: ClientEvents = {
      judge,
      neighbor: (socket, proven) => {
        shown = undefined;
        this.#neighborUp(socket, proven, client);
      },
      failed: (url, cause) => {
        const reason = this.#explain(cause);
        client.error = reason;
        if (isAtRest(cause)) return;
        if (cause instanceof Unwanted) take({ type: 'claim', id: cause.server.id, key: cause.server.key });
        const misdeed = misdeedOf(cause);
        if (misdeed !== undefined) refused(misdeed);
        const refuser = cause instanceof Refused ? cause.server : undefined;
        if (refuser !== undefined)
          take({ type: 'refused', by: refuser.id, refusal: (cause as Refused).refusal });
        // These make a warning, which is logged.
        const said = cause instanceof Unwanted || refuser !== undefined;
        const level = said || shown === reason ? 'debug' : 'warn';
        shown = reason;
        log[level]('bootstrap server not reached', { url, reason });
      },
    };
    const client = new BootstrapClient(target, this.#options.local, checkInterval, events, this.#outgoing);
    return client;
  }
}

/** Bytes that a neighbor may send of links' packets: twice as many as we send ourselves, and what comes late comes at once. */
function newCarriedBudget(megabits: number): Bucket {
  return newBucket(4_194_304, (megabits * 2_000_000) / 8);
}

/** What the other side of a handshake is refused for; undefined where it only went away, or refused us as nodes do. */
function misdeedOf(cause: CryonetError): string | undefined {
  if (!(cause instanceof Refused)) return cause.code === 'connection_closed' ? undefined : cause.code;
  // A node says nothing but this one without a proof.
  return cause.server === undefined && cause.code !== 'wrong_token' ? 'unproven' : undefined;
}

/** The epoch of a neighbor after a message. A node that takes a later epoch sends its own record, alone or as the first of
 *  a list. Over this sealed connection only the neighbor itself can send it. */
function latestEpoch({ peer, epoch }: NeighborSocket, message: NeighborMessage): number {
  const [first] = message.type === 'members' ? message.entries : [];
  const record = first && readRecord(first);
  const isOwn = record?.id === peer.id && hex(record.key) === hex(peer.key);
  return isOwn && record.epoch > epoch ? record.epoch : epoch;
}
