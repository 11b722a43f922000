/** One link's interface and the records of its datachannel: queued for one call of the engine per turn of the event loop, and
 *  held back while the connection is busy. */
import { recordOverhead } from './direct.ts';
import type { Tun } from './tun.ts';
import type { Connection } from './webrtc.ts';

/** Bytes waiting in the datachannel above which the interface is not read any more. */
const highWater = 262_144;

/** Records from the peer that wait for one call. */
const maxWaiting = 1024;

/** Records that the engine has counted as sent, and that had no connection or no room in it; and those of the peer that
 *  came faster than they were opened. */
export interface Unsent {
  unsent: number;
  /** Of the packets in them. */
  unsentBytes: number;
  unread: number;
}

export class Device {
  readonly tun: Tun;
  readonly linkLocal: string;
  readonly peerLinkLocal: string;
  mtu: number;
  carrier = false;
  /** The direct path carries packets: those that come here it cannot take, and they must not hold up the others. */
  #direct = false;
  readonly counters: Unsent = { unsent: 0, unsentBytes: 0, unread: 0 };
  #connection: Connection | undefined;
  #paused = false;
  #waiting: Uint8Array[] = [];
  #flushing = false;

  /** `open` is given the sink for records of what the kernel sends. */
  constructor(
    open: (sink: (batch: readonly Uint8Array[]) => void) => Tun,
    options: { mtu: number; linkLocal: string; peerLinkLocal: string },
  ) {
    this.mtu = options.mtu;
    this.linkLocal = options.linkLocal;
    this.peerLinkLocal = options.peerLinkLocal;
    this.tun = open((batch) => this.#fromKernel(batch));
  }

  /** The connection that carries records from now on; undefined for none. */
  use(connection: Connection | undefined): void {
    this.#connection = connection;
    this.#resume();
  }

  setDirect(up: boolean): void {
    this.#direct = up;
    if (up) this.#resume();
  }

  setCarrier(up: boolean): void {
    this.carrier = up;
    this.tun.setCarrier(up);
  }

  setMtu(mtu: number): void {
    if (mtu === this.mtu) return;
    this.tun.setMtu(mtu);
    this.mtu = mtu;
  }

  /** The connection has room again. */
  drained(connection: Connection): void {
    if (connection === this.#connection) this.#resume();
  }

  /** A record from the peer, on whichever connection. */
  receive(record: Uint8Array): void {
    if (this.#waiting.length >= maxWaiting) {
      this.counters.unread++;
      return;
    }
    this.#waiting.push(record);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  close(): void {
    this.#connection = undefined;
    this.#waiting = [];
    this.tun.close();
  }

  #flush(): void {
    this.#flushing = false;
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.tun.direct().open(batch);
  }

  #fromKernel(batch: readonly Uint8Array[]): void {
    const connection = this.#connection;
    const isFull = () => connection !== undefined && connection.buffered('data') > highWater;
    for (const record of batch) {
      const room = !this.#direct || !isFull();
      if (room && connection?.send('data', record) === true) continue;
      this.counters.unsent++;
      this.counters.unsentBytes += record.length - recordOverhead;
    }
    if (!this.#paused && !this.#direct && isFull()) {
      this.#paused = true;
      this.tun.pause();
    }
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.tun.resume();
  }
}
