/** Questions to peers that somebody asked for, beside the probes and pings by which the dataplane itself judges a path. */
import { CryonetError } from '../../protocol/errors.ts';

/** Numbers from here on are these questions'. What judges a path counts from 1, and marks probes of the MTU by bit 31. */
const firstNumber = 0x4000_0000;
const lastNumber = 0x7fff_ffff;

/** Milliseconds, as long as a probe waits at most. */
const patience = 3000;

/** More than the control socket has connections. */
const maxWaiting = 128;

interface Waiting {
  readonly peer: string;
  readonly askedAt: number;
  readonly settle: (rtt: number | null) => void;
}

export class Pings {
  readonly #waiting = new Map<number, Waiting>();
  #next = firstNumber;

  /** `send` gets the number of the question, and says whether it left. Milliseconds; null where no answer comes. Rejects
   *  with `unavailable` where too many wait. */
  async ask(peer: string, send: (number: number) => boolean): Promise<number | null> {
    if (this.#waiting.size >= maxWaiting)
      throw new CryonetError('unavailable', 'too many questions to peers wait for their answers');
    const number = this.#next;
    this.#next = number === lastNumber ? firstNumber : number + 1;
    const { promise, resolve: settle } = Promise.withResolvers<number | null>();
    this.#waiting.set(number, { peer, askedAt: performance.now(), settle });
    const timer = setTimeout(settle, patience, null);
    try {
      return send(number) ? await promise : null;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(number);
    }
  }

  /** Whether the number is one of these questions', whoever answers it. `rtt`: where something nearer to the network has
   *  measured it. */
  answered(peer: string, number: number, rtt?: number): boolean {
    if (number < firstNumber || number > lastNumber) return false;
    const waiting = this.#waiting.get(number);
    if (waiting?.peer === peer) waiting.settle(rtt ?? performance.now() - waiting.askedAt);
    return true;
  }

  /** Nobody waits any more. Idempotent. */
  close(): void {
    for (const { settle } of this.#waiting.values()) settle(null);
  }
}
