/** Runs test files in processes of their own by Node's runner, and says at the end what was skipped, what took longest and
 *  what kept processors busiest. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { processorTimeFile } from './processor-time.ts';

/** Files at once. Those of stories spend a good part of their time waiting, but four of them on two processors take a
 *  fifteenth more of these than three. */
export const atOnce = {
  units: availableParallelism(),
  stories: Math.min(availableParallelism() + 1, 8),
  patient: availableParallelism(),
};

/** Unit tests that keep a processor busy for long, and in which nothing has to happen soon. */
const patient = [
  ...[
    'decoders',
    'decoders-text',
    'dev',
    'native/build',
    'native/segment',
    'native/coalesce',
    'native/record',
  ],
  ...['segment', 'coalesce', 'record'].map((name) => `native/${name}-fuzz`),
  ...['native/admission', 'native/ecn'],
];

export const isPatient = (file: string) => patient.some((name) => file.endsWith(`test/${name}.test.ts`));

/** What takes longest goes first, so that nothing long is left alone at the end: the last run says what that is. */
const longest = [
  ...[
    'direct-renewal',
    'mesh',
    'install',
    'upgrade',
    'tun-device',
    'babel',
    'interfaces',
    'lint',
    'adjacencies',
  ],
  ...[
    'integrity',
    'readme',
    'direct-loss',
    'outage',
    'many-links',
    'direct-rebinding',
    'direct-packets',
    'ospf-mtu',
    'faults',
  ],
  ...['reproducible', 'direct-datachannel', 'direct-outage', 'direct-options', 'cryoc', 'direct-ecn', 'turn'],
  ...['native/direct', 'native/sanitized', 'native/segment-fuzz', 'native/coalesce-fuzz', 'native/build'],
  ...['release', 'service', 'native/segment', 'webrtc-node-datachannel', 'webrtc-interop', 'webrtc-turn'],
];

/** Lines about the files that took longest. */
const shown = 10;

interface Taken {
  milliseconds: number;
  /** The slowest test of the file. */
  slowest: { name: string; milliseconds: number };
}

export interface RunOptions {
  /** Files at a time. */
  readonly concurrency: number;
  /** Milliseconds, of a test that has none of its own. */
  readonly timeout?: number;
  /** Whether the report comes in one piece at the end. */
  readonly aside?: boolean;
  /** Whether the files, and what they start, leave the processors to whoever else wants them. */
  readonly yielding?: boolean;
}

const lowPriority = join(import.meta.dirname, 'low-priority.ts');
const processorTime = join(import.meta.dirname, 'processor-time.ts');

export class Runner {
  readonly #root: string;
  readonly #interruption = new AbortController();
  readonly #skipped: string[] = [];
  #passed = 0;
  #failed = 0;
  readonly #taken = new Map<string, Taken>();
  /** For what the files say of their processor time. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'cryonet-runner-'));

  /** `root`: files are named from there. A signal ends what runs; it reaches the tests, which clean up by themselves. */
  constructor(root: string) {
    this.#root = root;
    // The launchers' own (bin/launch.sh): without it the start of what imports a whole program takes twice as long.
    process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules/.cache/cryonet');
    process.env[processorTimeFile] = join(this.#folder, 'processor-times');
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.on(signal, () => {
        process.exitCode = code;
        this.#interruption.abort();
      });
    }
  }

  get interrupted(): AbortSignal {
    return this.#interruption.signal;
  }

  /** Runs files. What failed is in the exit code. */
  async run(files: readonly string[], options: RunOptions): Promise<void> {
    if (files.length === 0 || this.interrupted.aborted) return;
    const { concurrency, timeout, aside = false, yielding = false } = options;
    const tests = run({
      ...{ files: ordered(files), concurrency, timeout, signal: this.interrupted },
      execArgv: [processorTime, ...(yielding ? [lowPriority] : [])].flatMap((module) => ['--import', module]),
    });
    tests.on('test:pass', (event) => {
      if (event.skip) this.#skipped.push(`${event.name}: ${event.skip}`);
      else if (event.details.type !== 'suite') this.#passed++;
      this.#note(event);
    });
    tests.on('test:fail', (event) => {
      process.exitCode ||= 1;
      if (event.details.type !== 'suite') this.#failed++;
      this.#note(event);
    });
    const report: Readable = tests.compose(new spec());
    if (aside) process.stdout.write(await text(report));
    else await shownWhole(report, process.stdout);
  }

  /** Says what was skipped, which with CI=true is a failure, as everything must be installed there; what took longest;
   *  and how many there were. */
  end(): void {
    for (const test of this.#skipped) console.error(`skipped: ${test}`);
    if (process.env.CI === 'true' && this.#skipped.length > 0) process.exitCode ||= 1;
    const byTime = [...this.#taken].sort(([, one], [, other]) => other.milliseconds - one.milliseconds);
    for (const [file, { milliseconds, slowest }] of byTime.slice(0, shown)) {
      const name = relative(this.#root, file);
      console.log(`${seconds(milliseconds)} ${name}: ${seconds(slowest.milliseconds)} ${slowest.name}`);
    }
    const byProcessor = this.#processorTimes().sort(([one], [other]) => other - one);
    for (const [time, file] of byProcessor.slice(0, shown)) {
      console.log(`${time.toFixed(1)} s of a processor ${relative(this.#root, file)}`);
    }
    console.log(`${this.#passed} passed, ${this.#failed} failed, ${this.#skipped.length} skipped`);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Seconds by file, of those that ended by themselves. */
  #processorTimes(): [number, string][] {
    const path = process.env[processorTimeFile];
    if (path === undefined || !existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const at = line.indexOf(' ');
        return [Number(line.slice(0, at)), line.slice(at + 1)];
      });
  }

  #note({ entryFile: file, name, nesting, details }: TestEnd): void {
    if (nesting !== 0 || file === undefined) return;
    const { duration_ms: milliseconds } = details;
    const taken = this.#taken.get(file) ?? { milliseconds: 0, slowest: { name, milliseconds: 0 } };
    taken.milliseconds += milliseconds;
    if (milliseconds > taken.slowest.milliseconds) taken.slowest = { name, milliseconds };
    this.#taken.set(file, taken);
  }
}

interface TestEnd {
  /** The file that was run; a story's `file` is where all of them are defined. Of Node 24, not in its types yet. */
  readonly entryFile?: string;
  readonly name: string;
  readonly nesting: number;
  readonly details: { readonly duration_ms: number };
}

function ordered(files: readonly string[]): string[] {
  const rank = (file: string) => {
    const at = longest.findIndex((name) => file.endsWith(`/${name}.test.ts`));
    return at < 0 ? longest.length : at;
  };
  return [...files].sort((one, other) => rank(one) - rank(other));
}

async function shownWhole(report: Readable, output: Writable): Promise<void> {
  report.pipe(output, { end: false });
  await finished(report);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
