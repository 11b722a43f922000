/** What is left of the lines of a log once its quota has seen them. */
import type { Fields, Log } from '../protocol/log.ts';
import { type Line, LogQuota } from '../protocol/log-quota.ts';
import type { LogLine } from './log-lines.ts';

const minute = 60_000;

/** Milliseconds after which whatever may be said at once has been, of a fault that is seen every few seconds. */
export const settled = 15 * minute;

export class LogMeter {
  readonly #now: () => number;
  readonly #quota = new LogQuota();
  readonly #said: (Line & { readonly at: number })[] = [];
  #looked: number;
  readonly #from: number;
  #offered = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#looked = this.#from = now();
  }

  readonly log: Log = {
    debug: () => {},
    info: (message, fields) => this.#take('info', message, fields),
    warn: (message, fields) => this.#take('warn', message, fields),
    error: (message, fields) => this.#take('error', message, fields),
  };

  /** Lines a minute on average, after the time to settle, without two that may lie at its edges. */
  get perMinute(): number {
    this.#look();
    const start = this.#from + settled;
    const lines = this.#said.filter(({ at }) => at >= start).length;
    return Math.max(0, lines - 2) / ((this.#now() - start) / minute);
  }

  /** Lines a minute that there would be without a quota, from the beginning. */
  get offeredPerMinute(): number {
    return this.#offered / ((this.#now() - this.#from) / minute);
  }

  #take(level: Line['level'], message: string, fields: Fields = {}): void {
    this.#offered++;
    this.#look();
    const line = { level, message, fields, time: new Date(0) };
    this.#say(this.#quota.offer(line, this.#now()), this.#now());
  }

  #look(): void {
    for (; this.#looked + 5000 <= this.#now(); this.#looked += 5000) {
      this.#say(this.#quota.due(this.#looked), this.#looked);
    }
  }

  #say(lines: readonly Line[], at: number): void {
    for (const line of lines) this.#said.push({ ...line, at });
  }
}

/** The same of lines that are there already, as if `scale` times as much time had passed, from `from` until `to`. */
export function measured(lines: readonly LogLine[], from: number, to: number, scale: number): LogMeter {
  let now = 0;
  const meter = new LogMeter(() => now);
  for (const { at, level, message, fields } of lines) {
    if (at < from) continue;
    now = (at - from) * scale;
    meter.log[level](message, fields);
  }
  now = (to - from) * scale;
  return meter;
}
