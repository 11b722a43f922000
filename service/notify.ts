/**
 * What a process tells the service manager that started it: sd_notify(3). Without one, or where it cannot be told,
 * nothing happens.
 *
 *     starting ── ready ──► running, WATCHDOG=1 at half of its time ── stopping ──►
 *                           STATUS= whenever it changes, at most once a second
 */
import { loadServiceAddon } from './native.ts';

type Environment = Record<string, string | undefined>;

/** Milliseconds between two lines of status. */
const statusPause = 1000;

/** Characters of a line of status: with each of four bytes it still fits a message. */
const longestStatus = 200;

export class Notify {
  readonly #address: string | undefined;
  #shown = '';
  #wanted: (() => string) | undefined;
  #stopping = false;
  #pause: NodeJS.Timeout | undefined;
  #beats: NodeJS.Timeout | undefined;

  /** Takes its variables out of `env`: whoever inherits them would speak for this process. */
  constructor(env: Environment = process.env) {
    this.#address = env.NOTIFY_SOCKET || undefined;
    const interval = watchdogInterval(env);
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    if (this.#address === undefined || interval === undefined) return;
    // From the main loop: one that hangs misses its beat.
    this.#beats = setInterval(() => this.#send('WATCHDOG=1'), interval).unref();
  }

  ready(status: string): void {
    this.#shown = line(status);
    this.#send(`READY=1\nSTATUS=${this.#shown}`);
  }

  /** One line for a user, in `systemctl status`: asked for when it is told. The latest wins. */
  status(text: () => string): void {
    if (this.#address === undefined || this.#stopping) return;
    this.#wanted = text;
    if (this.#pause === undefined) this.#tell();
  }

  /** Idempotent. Nothing but the watchdog's beat is said after it. */
  stopping(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    clearTimeout(this.#pause);
    this.#send('STOPPING=1');
  }

  /** Ends the watchdog's beat. For tests: a process ends with it. */
  close(): void {
    clearInterval(this.#beats);
    clearTimeout(this.#pause);
  }

  #tell(): void {
    const text = this.#wanted === undefined ? this.#shown : line(this.#wanted());
    this.#pause = this.#wanted = undefined;
    if (text === this.#shown) return;
    this.#shown = text;
    this.#send(`STATUS=${this.#shown}`);
    this.#pause = setTimeout(() => this.#tell(), statusPause).unref();
  }

  #send(text: string): void {
    if (this.#address === undefined) return;
    try {
      loadServiceAddon().notify(this.#address, text);
    } catch {
      // The manager is gone, or its queue is full: the process does its work all the same.
    }
  }
}

/** Milliseconds between two beats, sd_watchdog_enabled(3): half of what the manager waits. Undefined: nobody waits. */
function watchdogInterval({ WATCHDOG_USEC: time, WATCHDOG_PID: pid }: Environment): number | undefined {
  if (pid !== undefined && pid !== '' && Number(pid) !== process.pid) return undefined;
  const microseconds = Number(time);
  if (!(microseconds > 0)) return undefined;
  // What setInterval takes: a longer time would be none at all.
  return Math.min(2 ** 31 - 1, Math.max(1, Math.floor(microseconds / 2000)));
}

function line(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, longestStatus);
}
