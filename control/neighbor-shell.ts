/**
 * The part of control's shell that has the neighbors by WebSocket: the bootstrap server, the bootstrap clients, and a
 * channel `ws:<number>` for each connection that either of them made.
 */
import type { WebSocket } from 'ws';
import { CryonetError } from '../protocol/errors.ts';
import type { Hello, RefuseCode } from '../protocol/handshake.ts';
import type { Log } from '../protocol/log.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import type { StatusReport } from '../protocol/status.ts';
import type { Warnings } from '../protocol/warnings.ts';
import type { ControlConfig } from './config.ts';
import type { HostPort } from './core/address.ts';
import { hex } from './core/environment.ts';
import type { Channel, MeshEvent } from './core/events.ts';
import { readRecord } from './core/membership.ts';
import { BootstrapClient, type ClientEvents, idIsTaken } from './io/bootstrap-client.ts';
import { type Local, type Proven, Refused } from './io/handshake.ts';
import { Listening } from './io/listening.ts';
import { unmarkedWarning } from './io/marked-connection.ts';
import { NeighborSocket } from './io/neighbor-socket.ts';
import { Outgoing } from './io/outgoing.ts';
import { type Proxies, readProxies } from './io/proxy.ts';
import { Trust } from './io/trust.ts';

/** Milliseconds. */
const probeTimeout = 1500;

export interface NeighborShellOptions {
  readonly config: ControlConfig;
  readonly local: Local;
  readonly log: Log;
  /** Public key in hexadecimal by ID. */
  readonly pins: ReadonlyMap<string, string>;
  readonly keep: (id: string, key: string) => void;
  readonly take: (event: MeshEvent) => void;
  /** Whether a message of so many bytes is to be looked at. */
  readonly admit: (channel: Channel, bytes: number) => boolean;
  readonly warnings: Warnings;
}

export class NeighborShell {
  readonly #options: NeighborShellOptions;
  readonly #proxies: Proxies;
  readonly #outgoing: Outgoing;
  readonly #sockets = new Map<Channel, NeighborSocket>();
  readonly #clients: BootstrapClient[] = [];
  readonly #listening: Listening;
  /** What each server said that does not take us for our ID. */
  readonly #taken = new Map<string, string>();
  #socketCounter = 0;
  #closed = false;

  constructor(options: NeighborShellOptions) {
    this.#options = options;
    const { config, local, log, warnings } = options;
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
        holder: (client) => this.#holder(client),
        neighbor: (socket, proven) => this.#neighborUp(socket, proven, undefined),
        refused: ({ host: address, port }, cause) => {
          const level = cause.code === 'connection_closed' || cause.code === 'bad_message' ? 'debug' : 'warn';
          log[level]('neighbor refused', { address, port, reason: this.#explain(cause) });
        },
      },
    });
  }

  /** Opens the server, then the clients. Throws `bad_config`. */
  async open(): Promise<void> {
    await this.#listening.open();
    const { wsServers } = this.#options.config;
    const [trouble] = this.#proxies.troubles;
    if (trouble !== undefined && wsServers.length > 0) this.#options.warnings.set('proxy', trouble);
    for (const url of wsServers) this.#clients.push(this.#newClient(url));
  }

  /** Clients first, so that none connects again. Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    for (const client of this.#clients) client.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#listening.close();
  }

  /** Of the bootstrap WebSocket. */
  get address(): HostPort {
    return this.#listening.address;
  }

  get bootstrap(): StatusReport['bootstrap'] {
    return this.#clients.map(({ url, state, id, error }) => ({ url, state, id, error }));
  }

  send(channel: Channel, message: NeighborMessage): void {
    this.#sockets.get(channel)?.send(message);
  }

  /** What a client that proved the token is refused for. */
  async #admit(client: Hello): Promise<RefuseCode | undefined> {
    if (client.id === this.#options.local.id) return 'id_in_use';
    const pinned = this.#options.pins.get(client.id);
    if (pinned !== undefined && pinned !== hex(client.key)) return 'identity_mismatch';
    const twins = [...this.#sockets.values()].filter(
      ({ peer, epoch }) => peer.id === client.id && epoch !== client.epoch,
    );
    // Which of two starts is the later one only a clock would know, and that may have gone back; which of them lives
    // can be asked.
    for (const twin of twins) {
      if (await twin.answers(probeTimeout)) return 'id_in_use';
      twin.close(new CryonetError('connection_closed', 'replaced by another start of the same node'));
    }
    this.#options.keep(client.id, hex(client.key));
    return undefined;
  }

  /** The key that has the ID of a client, as far as this node knows. */
  #holder({ id }: Hello): Uint8Array | undefined {
    const { local, pins } = this.#options;
    if (id === local.id) return local.identity.publicKey;
    const pinned = pins.get(id);
    return pinned === undefined ? undefined : new Uint8Array(Buffer.from(pinned, 'hex'));
  }

  #explain({ code, message }: CryonetError): string {
    return code === 'wrong_token' ? `${message} (ours is from ${this.#options.config.tokenSource})` : message;
  }

  #neighborUp(socket: WebSocket, proven: Proven, client: BootstrapClient | undefined): void {
    const channel = `ws:${++this.#socketCounter}`;
    const { id } = proven.peer;
    const neighbor = new NeighborSocket(socket, proven, {
      admits: (bytes) => this.#options.admit(channel, bytes),
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
      },
    });
    this.#sockets.set(channel, neighbor);
    this.#options.log.info('neighbor', { id, via: client?.url ?? 'its WebSocket' });
    this.#options.take({ type: 'neighbor-up', channel, id });
  }

  /** A warning while a server says that our ID is another's: it may be a lie, and it may pass. */
  #idTaken(url: string, cause: CryonetError | undefined): void {
    const { local, warnings } = this.#options;
    if (cause === undefined) this.#taken.delete(url);
    else {
      const [ours, theirs] = [local.identity.publicKey, cause instanceof Refused ? cause.key : undefined];
      const other = theirs === undefined ? '' : `, that of the other ${shownKey(theirs)}`;
      const same = theirs !== undefined && hex(theirs) === hex(ours);
      const remedy = same
        ? 'is its state directory in use twice? Delete identity.pem in the copy'
        : 'give one of them another ID';
      const words = `node ID "${local.id}" is not taken by ${url}: ${cause.message}; our key is ${shownKey(ours)}${other}; ${remedy}`;
      this.#taken.set(url, words);
    }
    const [first] = this.#taken.values();
    if (first === undefined) warnings.clear('id');
    else warnings.set('id', first);
  }

  #newClient(target: string): BootstrapClient {
    let shown: string | undefined;
    const { checkInterval } = this.#options.config;
    const events: ClientEvents = {
      neighbor: (socket, proven) => {
        shown = undefined;
        this.#idTaken(client.url, undefined);
        const pinned = this.#options.pins.get(proven.peer.id);
        if (
          proven.peer.id === this.#options.local.id ||
          (pinned !== undefined && pinned !== hex(proven.peer.key))
        ) {
          socket.close(4003, 'identity_mismatch');
          client.error = 'the server’s ID belongs to another identity key';
          this.#options.log.warn('bootstrap server refused', {
            url: client.url,
            id: proven.peer.id,
            reason: client.error,
          });
          client.lost();
          return;
        }
        this.#options.keep(proven.peer.id, hex(proven.peer.key));
        this.#neighborUp(socket, proven, client);
      },
      failed: (url, cause) => {
        if (cause.code === 'self_connection') {
          client.state = 'waiting';
          return;
        }
        const reason = this.#explain(cause);
        client.error = reason;
        const taken = idIsTaken(cause);
        this.#options.log[shown === reason || taken ? 'debug' : 'warn']('bootstrap server not reached', {
          url,
          reason,
        });
        shown = reason;
        if (taken) this.#idTaken(url, cause);
      },
    };
    const client = new BootstrapClient(target, this.#options.local, checkInterval, events, this.#outgoing);
    return client;
  }
}

/** As `cryoc status` shows keys. */
function shownKey(key: Uint8Array): string {
  return Buffer.from(key).toString('base64url');
}

/** A node that takes a later epoch says so by its own record, alone or as the first. Nobody else can say it here. */
function latestEpoch({ peer, epoch }: NeighborSocket, message: NeighborMessage): number {
  const [first] = message.type === 'members' ? message.entries : [];
  const record = first && readRecord(first);
  const isOwn = record?.id === peer.id && hex(record.key) === hex(peer.key);
  return isOwn && record.epoch > epoch ? record.epoch : epoch;
}
