/** ping, and what came of it. */
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; NaN where nothing came back. */
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

export interface PingOptions {
  readonly count?: number;
  /** Seconds between packets. */
  readonly interval?: number;
  /** Seconds to wait for the last answer. */
  readonly patience?: number;
  /** Bytes of payload. */
  readonly size?: number;
}

export function pingCommand(target: string, options: PingOptions = {}): string[] {
  const { count = 1, interval = 0.2, patience = 1, size = 56 } = options;
  return [
    'ping',
    '-n',
    '-q',
    '-c',
    `${count}`,
    '-i',
    `${interval}`,
    '-W',
    `${patience}`,
    '-s',
    `${size}`,
    target,
  ];
}

/** Never rejects for lost packets. */
export async function ping(from: Namespace, target: string, options: PingOptions = {}): Promise<PingResult> {
  const { stdout } = await from.$({ nothrow: true })`${pingCommand(target, options)}`;
  return parsePing(stdout);
}

/** The result of a ping started as a program, once it has ended. */
export async function pingEnds(program: Program, bound: number): Promise<PingResult> {
  await program.ends(bound);
  return parsePing(program.output);
}

/** Reads iputils' closing lines. Throws where there are none. */
function parsePing(output: string): PingResult {
  const totals = /(\d+) packets transmitted, (\d+) received/.exec(output);
  if (!totals) throw new Error(`ping did not finish: ${output.trim()}`);
  const times = /= ([\d.]+)\/([\d.]+)\/([\d.]+)\//.exec(output) ?? [];
  const [min = Number.NaN, average = Number.NaN, max = Number.NaN] = times.slice(1).map(Number);
  return { sent: Number(totals[1]), received: Number(totals[2]), min, average, max };
}
