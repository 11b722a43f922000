/** Pings at a steady pace from one moment to another, and which of them were answered when. */
import type { Namespace } from './namespace.ts';
import { restingInterval } from './ping.ts';
import type { Program } from './program.ts';
import { waitFor } from './wait.ts';

export interface TrainOptions {
  /** Seconds between packets. */
  readonly interval?: number;
  /** Bytes of payload. */
  readonly size?: number;
  /** An interface: the first ping leaves once it has carrier. */
  readonly afterCarrier?: string;
}

export interface Journey {
  /** The first that was answered, from 1. */
  readonly first: number;
  /** From that one to the last that was answered. */
  readonly sent: number;
  /** Numbers of those in between that were not. */
  readonly lost: readonly number[];
  /** Milliseconds, the longest between two answers. */
  readonly gap: number;
}

/** Arrivals of answers, by number, in seconds since the Unix epoch. */
type Answers = ReadonlyMap<number, number>;

export class Train {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Some eighty a second, unless told otherwise. Does not wait for an answer. */
  static start(from: Namespace, target: string, options: TrainOptions = {}): Train {
    const { interval = restingInterval, size = 56, afterCarrier } = options;
    const carrier = `{ read -r up </sys/class/net/${afterCarrier}/carrier; } 2>/dev/null && [ "$up" = 1 ]`;
    const wait = afterCarrier === undefined ? '' : `until ${carrier}; do sleep 0.002; done;`;
    const command = `${wait} exec ping -n -D -i ${interval} -s ${size} ${target}`;
    return new Train(from.start(`ping-${trains++}`, ['bash', '-c', command]));
  }

  /** Waits for an answer to arrive from now on. */
  async arrives(bound = 15_000): Promise<void> {
    const now = Date.now() / 1000;
    await waitFor(
      `${this.#program.label} to be answered`,
      bound,
      () => Math.max(0, ...this.#answers().values()),
      (last) => last > now,
    );
  }

  /** After one more answer: what is under way by then is not counted. */
  async stop(bound = 15_000): Promise<Journey> {
    await this.arrives(bound);
    await this.#program.stop('SIGINT');
    const answers = this.#answers();
    const numbers = [...answers.keys()];
    const [first, last] = [Math.min(...numbers), Math.max(...numbers)];
    const lost = Array.from({ length: last - first }, (_, n) => first + n).filter((n) => !answers.has(n));
    const times = [...answers.values()].sort((a, b) => a - b);
    const gaps = times.slice(1).map((time, n) => time - times[n]!);
    return { first, sent: last - first + 1, lost, gap: Math.round(Math.max(...gaps) * 1000) };
  }

  #answers(): Answers {
    const lines = this.#program.output.matchAll(/^\[([\d.]+)\] \d+ bytes from .* icmp_seq=(\d+)/gm);
    return new Map([...lines].map(([, time, number]) => [Number(number), Number(time)]));
  }
}

let trains = 0;
