/** ping, and what came of it. */
import type { Namespace } from './namespace.ts';

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; NaN where nothing came back. */
  readonly average: number;
}

/** Seconds between packets, and about the shortest between which ping sleeps: for 10 ms and less it looks again and again,
 *  which takes a processor that others need. */
export const restingInterval = 0.012;

export interface PingOptions {
  readonly count?: number;
  /** Seconds between packets. */
  readonly interval?: number;
  /** Seconds to wait for the last answer. */
  readonly patience?: number;
  /** Bytes of payload. */
  readonly size?: number;
}

/** Of a ping, to be read by `parsePing` with the same options. */
export function pingCommand(target: string, options: PingOptions = {}): string[] {
  const { count = 1, interval = 0.2, patience = 1, size = 56 } = options;
  // Where anything was answered ping waits for the last answer no longer than for the slowest before it, or an interval;
  // so it goes on pinging for as long as answers are to be waited for, which are not counted.
  const further = count === 1 ? 0 : Math.ceil(patience / interval);
  const values = { '-c': count + further, '-i': interval, '-W': patience, '-s': size };
  return ['ping', '-n', ...Object.entries(values).flatMap(([option, value]) => [option, `${value}`]), target];
}

/** Never rejects for lost packets. */
export async function ping(from: Namespace, target: string, options: PingOptions = {}): Promise<PingResult> {
  const { stdout } = await from.$({ nothrow: true })`${pingCommand(target, options)}`;
  return parsePing(stdout, options);
}

/** Starts a ping, which goes on beside the story. Resolves with its result within `bound` milliseconds of the call of
 *  `ends`. */
export function startPing(from: Namespace, target: string, options: PingOptions) {
  const program = from.start('ping', pingCommand(target, options));
  return {
    ends: async (bound: number): Promise<PingResult> => {
      await program.ends(bound);
      return parsePing(program.output, options);
    },
  };
}

/** Reads what iputils says of the first `count` packets. Throws where it did not come to its end. */
export function parsePing(output: string, { count = 1 }: PingOptions): PingResult {
  const transmitted = /^(\d+) packets transmitted/m.exec(output)?.[1];
  if (transmitted === undefined) throw new Error(`ping did not finish: ${output.trim()}`);
  const answers = output.matchAll(/ bytes from .* icmp_seq=(\d+).* time=([\d.]+) ms/g);
  const times = new Map([...answers].map(([, number, time]) => [Number(number), Number(time)]));
  const counted = [...times].filter(([number]) => number <= count).map(([, time]) => time);
  const average = counted.reduce((sum, time) => sum + time, 0) / counted.length;
  return { sent: Math.min(count, Number(transmitted)), received: counted.length, average };
}
