/**
 * A member that misbehaves, in a process of its own against real programs: it has the token and an identity, joins by the
 * real handshake over WebSockets, and makes links whose other end is a `HostilePeer`. What it says is up to who has it.
 */

import { randomInt } from 'node:crypto';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { signWith, tokenKey } from '../../control/io/crypto.ts';
import { ClientHandshake } from '../../control/io/handshake.ts';
import { messageLimits, NeighborSocket, shakeHands } from '../../control/io/neighbor-socket.ts';
import { Agreement } from '../../dataplane/io/agreement.ts';
import { fingerprintOf } from '../../dataplane/io/engine/sdp.ts';
import { type Hello, subprotocol } from '../../protocol/handshake.ts';
import { parse } from '../../protocol/schema.ts';
import {
  type Body,
  body as bodySchema,
  type FloodMessage,
  type NeighborMessage,
  nodeRecord,
  type SignedRecord,
} from '../../protocol/signaling.ts';
import { newIdentity } from '../identity.ts';
import { waitFor } from '../native/wait.ts';
import { signedFlood, signedRecord } from './forgery.ts';
import { HostilePeer } from './peer.ts';

/** Bytes unsent to a node above which nothing more is said for a moment: the node does not read faster. */
const highWater = 1_048_576;

/** Milliseconds for a connection to be there, of which a busy machine may need more than one, and for what is said all at
 *  once. */
const connectTimeout = 8000;
const pourTimeout = 5000;

export interface JoinOptions {
  /** Another ID, or another epoch, than its own. */
  readonly id?: string;
  readonly epoch?: number;
  /** The address to come from. */
  readonly localAddress?: string | undefined;
}

export class Member {
  readonly id: string;
  readonly epoch: number;
  readonly #identity = newIdentity();
  readonly #tokenKey: Uint8Array | Promise<Uint8Array>;
  #counter = 0;
  #links = 0;

  constructor(id: string, token: string | Uint8Array, epoch = Date.now()) {
    this.id = id;
    this.epoch = epoch;
    this.#tokenKey = typeof token === 'string' ? tokenKey(token) : token;
  }

  get key(): Uint8Array {
    return this.#identity.publicKey;
  }

  /** Becomes a neighbor of the node at `url`. Rejects with what that refuses. */
  async join(
    url: string,
    { id = this.id, epoch = this.epoch, localAddress }: JoinOptions = {},
  ): Promise<Way> {
    const key = await this.#tokenKey;
    const socket = new WebSocket(url, subprotocol, {
      ...{ ...messageLimits, allowSynchronousEvents: false },
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', reject);
    });
    const handshake = new ClientHandshake({ id, epoch, identity: this.#identity, tokenKeys: [key] });
    const { proven } = await shakeHands(socket, handshake, handshake.start());
    return new Way(socket, (events) => new NeighborSocket(socket, proven, events));
  }

  /** A record of any ID and epoch, by its own key. */
  record(id = this.id, epoch = this.epoch): SignedRecord {
    return signedRecord({ id, key: this.key, epoch, turn: false }, this.sign);
  }

  readonly sign = (message: Uint8Array): Uint8Array => signWith(this.#identity, message);

  /** What this node says of itself to another, of that epoch. */
  flood(to: string, toEpoch: number, body: Readonly<Record<string, unknown>>): FloodMessage {
    const counter = ++this.#counter;
    return signedFlood({
      ...{ from: this.id, to, sign: this.sign, sender: this.record() },
      body: { epoch: this.epoch, toEpoch, counter, ...body },
    });
  }

  /** A link that is up, with the node at the other end of `way`. That node answers: its ID is the shorter one, or of the
   *  same length the lesser. */
  async link(way: Way, { packetInformation = false } = {}): Promise<HostilePeer> {
    for (let tries = 3; ; tries--) {
      const peer = new HostilePeer();
      try {
        this.#negotiate(way, peer);
        await waitFor('a connection', () => peer.isOpen, connectTimeout);
        await peer.becomeLink(packetInformation);
        return peer;
      } catch (error) {
        peer.close();
        if (tries === 1) throw error;
      }
    }
  }

  #negotiate(way: Way, peer: HostilePeer): void {
    const { id: to, key, epoch: toEpoch } = way.node;
    const negotiation = `h-${++this.#links}`;
    const { offer } = peer;
    const parties = {
      negotiation,
      ours: { id: this.id, identity: this.key },
      theirs: { id: to, identity: key },
    };
    const agreement = Agreement.offer(parties, { index: randomInt(1, 2 ** 32), udp: true });
    const say = (body: Readonly<Record<string, unknown>>) =>
      way.say(this.flood(to, toEpoch, { negotiation, ...body }));
    way.hears((body) => {
      if (!('negotiation' in body) || body.negotiation !== negotiation) return;
      if (body.kind === 'answer') {
        const theirs = { epoch: toEpoch, fingerprint: fingerprintOf(body.sdp), keys: body.keys };
        agreement.conclude({ epoch: this.epoch, fingerprint: fingerprintOf(offer) }, theirs);
        peer.acceptWith(agreement, body.sdp);
        peer.tellCandidates((line) => say({ kind: 'candidate', candidates: [line] }));
      } else if (body.kind === 'candidate') for (const line of body.candidates) peer.candidate(line);
    });
    say({ kind: 'offer', route: 'shared', sdp: offer, keys: agreement.keys });
  }
}

/** One WebSocket to a node, whose neighbor this end is. */
export class Way {
  readonly #socket: WebSocket;
  readonly #neighbor: NeighborSocket;
  /** Epochs of nodes, as the node at the other end tells them. */
  readonly epochs = new Map<string, number>();
  readonly #listeners: ((body: Body) => void)[] = [];
  #isOver = false;

  constructor(
    socket: WebSocket,
    open: (events: ConstructorParameters<typeof NeighborSocket>[2]) => NeighborSocket,
  ) {
    this.#socket = socket;
    this.#neighbor = open({
      admits: () => true,
      carried: () => true,
      message: (message) => this.#hear(message),
      closed: () => {
        this.#isOver = true;
      },
    });
  }

  get node(): Hello {
    return this.#neighbor.peer;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Is told what floods say that come by it. */
  hears(listener: (body: Body) => void): void {
    this.#listeners.push(listener);
  }

  say(message: NeighborMessage): void {
    this.#neighbor.send(message);
  }

  /** A frame that is no message. */
  carry(frame: Uint8Array): void {
    this.#neighbor.carry(frame, true);
  }

  /** Says so many messages, as fast as the node reads; some seconds at most, since it may read as slowly as it likes. */
  pour(messages: number, next: (count: number) => NeighborMessage): Promise<void> {
    return this.repeat(messages, (count) => this.say(next(count)));
  }

  /** The same of whatever is to be sent. */
  async repeat(messages: number, send: (count: number) => void): Promise<void> {
    const end = performance.now() + pourTimeout;
    for (let count = 0; count < messages && performance.now() < end && !this.#isOver; count++) {
      send(count);
      if (count % 16 === 0) await turn();
      while (this.#socket.bufferedAmount > highWater && performance.now() < end) await pause(1);
    }
  }

  close(): void {
    this.#neighbor.close();
  }

  #hear(message: NeighborMessage): void {
    if (message.type === 'members') {
      for (const { record } of message.entries) {
        const { id, epoch } = parse(nodeRecord, record);
        this.epochs.set(id, epoch);
      }
    } else if (message.type === 'flood') {
      const body = parse(bodySchema, message.body);
      for (const listener of this.#listeners) listener(body);
    }
  }
}
