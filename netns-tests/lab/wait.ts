/** Waiting for conditions, never for time. */
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

const pollMilliseconds = 50;

/** Thrown by what is observed where waiting any longer is of no use. */
export class Hopeless extends Error {}

/**
 * Looks with `observe` until `holds` says yes, at most `bound` milliseconds, and resolves with what it saw.
 * `observe` may throw: that counts as not yet, unless it is `Hopeless`. Rejects with what was seen last.
 * Short waits take short pauses; a long one may take longer ones, of `every` milliseconds.
 */
export async function waitFor<T>(
  what: string,
  bound: number,
  observe: () => T | Promise<T>,
  holds: (seen: T) => boolean,
  every = pollMilliseconds,
): Promise<T> {
  const start = performance.now();
  let last = 'nothing yet';
  for (;;) {
    try {
      const seen = await observe();
      if (holds(seen)) return seen;
      last = typeof seen === 'string' ? seen.slice(-2000) : inspect(seen, { depth: 6, breakLength: 110 });
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = String(error);
    }
    const elapsed = performance.now() - start;
    if (elapsed >= bound) {
      throw new Error(`waited ${bound} ms in vain for: ${what}\nlast seen: ${last}`);
    }
    await pause(Math.min(every, bound - elapsed));
  }
}

/** Milliseconds that `act` took, and its value. */
export async function timed<T>(act: () => Promise<T>): Promise<{ value: T; milliseconds: number }> {
  const start = performance.now();
  const value = await act();
  return { value, milliseconds: Math.round(performance.now() - start) };
}
