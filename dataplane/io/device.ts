/** One link's interface and its packets: counted, queued for one write per turn of the event loop, held back while the
 *  connection is busy. */
import { type Refusal, refusalOf } from '../core/admission.ts';
import type { Tun } from './tun.ts';
import type { Connection } from './webrtc.ts';

/** Bytes waiting in the datachannel above which the interface is not read any more. */
const highWater = 262_144;

/** Packets from the peer that wait for one write. */
const maxWaiting = 1024;

export interface Counters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
}

export class Device {
  readonly tun: Tun;
  readonly linkLocal: string;
  readonly peerLinkLocal: string;
  mtu: number;
  carrier = false;
  /** The direct path carries packets: those that come here it cannot take, and they must not hold up the others. */
  #direct = false;
  readonly counters: Counters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
  };
  /** Packets from the peer by a datachannel. */
  readonly refused: Record<Refusal, number> = { configuration: 0, protocol: 0 };
  readonly #packetInformation: boolean;
  #connection: Connection | undefined;
  #paused = false;
  #waiting: Uint8Array[] = [];
  #flushing = false;

  readonly #mayCarry: (packet: Uint8Array) => boolean;

  /** `open` is given the sink for packets that the kernel sends; one that `mayCarry` refuses is dropped. */
  constructor(
    open: (sink: (batch: readonly Uint8Array[]) => void) => Tun,
    options: {
      mtu: number;
      linkLocal: string;
      peerLinkLocal: string;
      packetInformation: boolean;
      mayCarry: (packet: Uint8Array) => boolean;
    },
  ) {
    this.#mayCarry = options.mayCarry;
    this.#packetInformation = options.packetInformation;
    this.mtu = options.mtu;
    this.linkLocal = options.linkLocal;
    this.peerLinkLocal = options.peerLinkLocal;
    this.tun = open((batch) => this.#fromKernel(batch));
  }

  /** The connection that carries packets from now on; undefined for none. */
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

  /** A packet from the peer, on whichever connection. */
  receive(packet: Uint8Array): void {
    const refusal = refusalOf(packet, this.#packetInformation);
    if (refusal !== undefined) {
      this.refused[refusal]++;
      return;
    }
    if (this.#waiting.length >= maxWaiting) {
      this.counters.rxDropped++;
      return;
    }
    this.#waiting.push(packet);
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
    const taken = this.tun.write(batch);
    this.counters.rxPackets += taken;
    this.counters.rxDropped += batch.length - taken;
    for (const packet of batch) this.counters.rxBytes += packet.length;
  }

  #fromKernel(batch: readonly Uint8Array[]): void {
    const connection = this.#connection;
    const isFull = () => connection !== undefined && connection.buffered('data') > highWater;
    for (const packet of batch) {
      const room = !this.#direct || !isFull();
      if (room && this.#mayCarry(packet) && connection?.send('data', packet) === true) {
        this.counters.txPackets++;
        this.counters.txBytes += packet.length;
      } else {
        this.counters.txDropped++;
      }
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
