/** The pinger (pinger.c): compiled once per run, then one process per measurement. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Stream {
  readonly sent: number;
  readonly received: number;
  /** Round-trip times that half, and 99 of 100, of those sent did not exceed; one without an answer counts as `grace`. */
  readonly rttP50Ms: number;
  readonly rttP99Ms: number;
}

export class Pinger {
  readonly #program: string;
  readonly #running = new Set<ChildProcess>();

  /** Throws where there is no C compiler. */
  constructor(directory: string) {
    this.#program = join(directory, 'pinger');
    const source = join(import.meta.dirname, 'pinger.c');
    execFileSync('cc', ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror', '-o', this.#program, source]);
  }

  /**
   * Starts to ping all targets, each every `interval` milliseconds until it has answered once. Resolves with the time of
   * the first pings; `all` resolves with the time of the last first answer and rejects when `limit` milliseconds have
   * passed. Times are CLOCK_MONOTONIC, nanoseconds.
   */
  async reach(
    targets: readonly string[],
    { interval, limit }: { readonly interval: number; readonly limit: number },
  ): Promise<{ readonly started: bigint; readonly all: Promise<bigint> }> {
    const { started, last } = await this.#run(['reach', `${interval}`, `${limit}`], targets);
    const all = last.then((line) => {
      const [word, value] = line.split(' ');
      if (word === 'all') return BigInt(value!);
      throw new Error(`${value} pairs did not answer within ${limit} ms`);
    });
    all.catch(() => {}); // Whoever awaits it sees the rejection.
    return { started, all };
  }

  /** Sends `count` pings, one each `interval` microseconds; `result` comes `grace` milliseconds after the last. */
  async stream(
    target: string,
    { interval, count, grace }: { readonly interval: number; readonly count: number; readonly grace: number },
  ): Promise<{ readonly result: Promise<Stream> }> {
    const { last } = await this.#run(['stream', `${interval}`, `${count}`, `${grace}`], [target]);
    const result = last.then((line) => JSON.parse(line) as Stream);
    result.catch(() => {});
    return { result };
  }

  /** Ends what still runs. */
  close(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }

  async #run(
    options: readonly string[],
    targets: readonly string[],
  ): Promise<{ readonly started: bigint; readonly last: Promise<string> }> {
    const child = spawn(this.#program, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    child.stdin.on('error', () => {}); // It has ended: the missing `ready` tells.
    child.stdin.end(`${targets.join('\n')}\n`);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    const [word, time] = String(first.value).split(' ');
    if (word !== 'ready') throw new Error('the pinger did not start');
    const last = lines.next().then(({ value, done }) => {
      if (done) throw new Error('the pinger ended early');
      return value;
    });
    return { started: BigInt(time!), last };
  }
}
