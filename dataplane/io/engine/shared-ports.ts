/**
 * The UDP ports of `shared` connections: the node's own, which is kept all the time, and others, for which there is a
 * reason now and then (`dataplane/core/port-choice.ts`). Each is libjuice's mux, kept open by a peer connection that
 * never negotiates, the anchor.
 */
import { closePeer, openChannel, openPeer, type PeerConnection } from './native-peer.ts';

/** Milliseconds for which a port counts as one that nothing was sent from yet: links that are lost together share it. */
const fresh = 5_000;

/** Other ports at a time. */
const most = 4;

interface Port {
  readonly number: number;
  readonly anchor: PeerConnection;
  readonly openedAt: number;
}

export class SharedPorts {
  readonly #own: Port;
  readonly #others: Port[] = [];
  readonly #free: () => Promise<number>;
  #opening: Promise<number> | undefined;
  #closed = false;

  /** `free` resolves with a port that nobody has. Throws what the library throws where another program has `own`. */
  constructor(own: number, free: () => Promise<number>) {
    this.#own = openPort(own);
    this.#free = free;
  }

  get own(): number {
    return this.#own.number;
  }

  /** Resolves with another port; one that was used before only where there are too many. */
  other(): Promise<number> {
    const newest = this.#others.at(-1);
    const serves = newest !== undefined && performance.now() - newest.openedAt < fresh;
    if (newest !== undefined && (serves || this.#others.length >= most))
      return Promise.resolve(newest.number);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Closes the others that are not in use. */
  sweep(used: ReadonlySet<number | undefined>): void {
    for (const [i, port] of [...this.#others.entries()].reverse()) {
      if (performance.now() - port.openedAt < fresh || used.has(port.number)) continue;
      this.#others.splice(i, 1);
      closePeer(port.anchor);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { anchor } of [this.#own, ...this.#others.splice(0)]) closePeer(anchor);
  }

  async #open(): Promise<number> {
    const port = openPort(await this.#free());
    if (this.#closed) closePeer(port.anchor);
    else this.#others.push(port);
    return port.number;
  }
}

export function muxOn(port: number) {
  return { enableIceUdpMux: true, portRangeBegin: port, portRangeEnd: port };
}

function openPort(number: number): Port {
  const anchor = openPeer({ ...muxOn(number), iceServers: [] });
  try {
    openChannel(anchor, 'signal');
  } catch (error) {
    closePeer(anchor);
    throw error;
  }
  return { number, anchor, openedAt: performance.now() };
}
