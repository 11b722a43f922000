/**
 * Tells the service manager how this process does, by sd_notify(3). Does nothing without a manager, or if the manager
 * cannot be reached.
 *
 *     starting ── ready ──► running: WATCHDOG=1 twice in each of its intervals ── stopping ──►
 *                           STATUS= after each change, at most once a second
 */
import { loadServiceAddon } from './native.ts';

type Environment = Record<string, string | undefined>;

/** Milliseconds between two status lines. */
const statusPause = 1000;

/** Characters of a status line. Even at four bytes each they fit a message of the addon. */
const longestStatus = 200;

export class Notify {
  readonly #address: string | undefined;
  #shown = '';
  #wanted: (() => string) | undefined;
  #stopping = false;
  #pause: NodeJS.Timeout | undefined;
  #beats: NodeJS.Timeout | undefined;

  /** Removes its variables from `env`, because a child that inherits them would speak for this process. */
  constructor(env: Environment = process.env) {
    this.#address = env.NOTIFY_SOCKET || undefined;
    const interval = watchdogInterval(env);
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    if (this.#address === undefined || interval === undefined) return;
    // A timer of the main loop: if that hangs, the beat is missed.
    this.#beats = setInterval(() => this.#send('WATCHDOG=1'), interval).unref();
  }

  ready(status: string): void {
    this.#shown = line(status);
    this.#send(`READY=1\nSTATUS=${this.#shown}`);
  }

  /** Sets the line that `systemctl status` shows. `text` is called when the line is sent; the latest one wins. */
  status(text: () => string): void {
    if (this.#address === undefined || this.#stopping) return;
    this.#wanted = text;
    if (this.#pause === undefined) this.#tell();
  }

  /** After this only the watchdog's beat is sent. Idempotent. */
  stopping(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    clearTimeout(this.#pause);
    this.#send('STOPPING=1');
  }

  /** Ends the watchdog's beat. Only tests need it; a process takes the beat with it when it ends. */
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
      // The manager is gone, or its queue is full. The process goes on.
    }
  }
}

/** Milliseconds between two beats, half of the time that the manager waits for one (sd_watchdog_enabled(3)). Undefined if
 *  the manager does not wait. */
function watchdogInterval({ WATCHDOG_USEC: time, WATCHDOG_PID: pid }: Environment): number | undefined {
  if (pid !== undefined && pid !== '' && Number(pid) !== process.pid) return undefined;
  const microseconds = Number(time);
  if (!(microseconds > 0)) return undefined;
  // setInterval takes any longer time as 1 ms.
  return Math.min(2 ** 31 - 1, Math.max(1, Math.floor(microseconds / 2000)));
}

function line(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, longestStatus);
}
