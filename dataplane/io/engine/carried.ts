/**
 * A connection by the bootstrap WebSocket of the two nodes: control carries its messages, so there is neither ICE nor DTLS.
 * What the channels say is records here as well. The WebSocket is reliable and keeps the order, so all three channels are
 * open as soon as both descriptions are there.
 *
 * Packets leave at a rate that is limited, since signaling has to get through beside them.
 */
import { randomBytes } from 'node:crypto';
import { type Bucket, fill, newBucket } from '../../../protocol/bucket.ts';
import { type CarriedChannel, leastCarried } from '../../../protocol/carried.ts';
import type { CandidatePair, ChannelName, Connection, ConnectionEvents } from '../webrtc.ts';
import { fingerprintOf } from './sdp.ts';

/** Bytes of packets that leave at once. */
const burst = 65_536;

/** What may come before this end is open: the peer is open first where it answers. Its hello and first words are short. */
const maxEarly = 32;
const maxEarlyBytes = 65_536;

/** A message to the peer, or the end. */
export type Carry = (channel: CarriedChannel, record: Uint8Array) => void;

type Events = Pick<ConnectionEvents, 'state' | 'open' | 'message' | 'drain' | 'misused'>;

export class CarriedConnection implements Connection {
  readonly #carry: Carry;
  readonly #events: Events;
  readonly #room: Bucket;
  /** Undefined once it is open. */
  #early: { channel: ChannelName; bytes: Uint8Array }[] | undefined = [];
  #earlyBytes = 0;
  #draining: NodeJS.Timeout | undefined;
  #closed = false;

  /** `limit`: bits of packets in a second. */
  constructor(carry: Carry, limit: number, events: Events) {
    this.#carry = carry;
    this.#events = events;
    this.#room = newBucket(burst, limit / 8);
  }

  async offer(): Promise<string> {
    return description();
  }

  async answer(offer: string): Promise<string> {
    fingerprintOf(offer);
    this.#openSoon();
    return description();
  }

  async accept(answer: string): Promise<void> {
    fingerprintOf(answer);
    this.#openSoon();
  }

  addCandidate(): void {}

  send(channel: ChannelName, bytes: Uint8Array): boolean {
    if (this.#closed || this.#early !== undefined) return false;
    if (channel === 'data') {
      fill(this.#room, performance.now());
      this.#room.level -= Math.max(bytes.length, leastCarried);
      if (this.#room.level <= 0) this.#drainLater();
    }
    this.#carry(channel, bytes);
    return true;
  }

  /** What has left counts until its time is over, so that packets wait in the kernel. */
  buffered(channel: ChannelName): number {
    if (channel !== 'data') return 0;
    const level = fill(this.#room, performance.now());
    return level > 0 ? burst - level : Number.POSITIVE_INFINITY;
  }

  pair(): CandidatePair | undefined {
    return undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#end();
    this.#carry('end', new Uint8Array());
  }

  /** A message of the peer, or its end. */
  receive(channel: CarriedChannel, record: Uint8Array): void {
    if (this.#closed) return;
    if (channel === 'end') {
      this.#end();
      this.#events.state('closed');
    } else if (this.#early === undefined) this.#events.message(channel, record);
    else if (this.#early.length < maxEarly && this.#earlyBytes + record.length <= maxEarlyBytes) {
      this.#early.push({ channel, bytes: record });
      this.#earlyBytes += record.length;
    } else this.#events.misused('backlog');
  }

  /** The events come after what is done with the description. */
  #openSoon(): void {
    setImmediate(() => {
      if (this.#closed) return;
      const early = this.#early ?? [];
      this.#early = undefined;
      this.#events.state('connected');
      for (const channel of ['signal', 'wire', 'data'] as const)
        if (!this.#closed) this.#events.open(channel);
      for (const { channel, bytes } of early) if (!this.#closed) this.#events.message(channel, bytes);
    });
  }

  #drainLater(): void {
    this.#draining ??= setTimeout(
      () => {
        this.#draining = undefined;
        if (fill(this.#room, performance.now()) < burst / 2) this.#drainLater();
        else this.#events.drain();
      },
      Math.ceil(((burst / 2 - this.#room.level) / this.#room.perSecond) * 1000),
    );
  }

  #end(): void {
    this.#closed = true;
    this.#early = [];
    clearTimeout(this.#draining);
  }
}

/** In the place of SDP, whose fingerprint is a part of what both ends sign: here one that no other connection has. */
function description(): string {
  const fingerprint = randomBytes(32).toString('hex').toUpperCase().match(/../g)!.join(':');
  return `a=fingerprint:sha-256 ${fingerprint}\r\n`;
}
