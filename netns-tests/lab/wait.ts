/** Waiting for conditions, never for time. */
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

const pollMilliseconds = 50;

/** What looks for long also rests for long, so that who waits leaves the processors to what is waited for: so many times
 *  as long as the look, and no more than this many milliseconds. */
const restFactor = 3;
const longestRest = 300;

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
  let last: unknown = 'nothing yet';
  for (;;) {
    const looked = performance.now();
    try {
      const seen = await observe();
      if (holds(seen)) return seen;
      last = seen;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = String(error);
    }
    const now = performance.now();
    const left = start + bound - now;
    if (left <= 0) throw new Error(`waited ${bound} ms in vain for: ${what}\nlast seen: ${shown(last)}`);
    const rest = Math.min(restFactor * (now - looked), longestRest);
    await pause(Math.min(Math.max(every, rest), left));
  }
}

function shown(seen: unknown): string {
  return typeof seen === 'string' ? seen.slice(-2000) : inspect(seen, { depth: 6, breakLength: 110 });
}

/** Something took longer, or cost more, than it may. A machine that has other work as well may be why, so the story is told
 *  again. */
export class Late extends Error {}

/** Milliseconds. Throws `Late`, with the last of the story's figures, unless it took less. */
export function assertSoon(took: number, bound: number, { figures }: { figures: readonly string[] }): void {
  if (took >= bound) throw new Late(`${took} ms, not less than ${bound}: ${figures.at(-1)}`);
}

/** What a busy machine may have cost, and an idle one does not. Throws `Late`, with the last of the story's figures, unless
 *  it holds. */
export function assertUnhindered(holds: boolean, { figures }: { figures: readonly string[] }): void {
  if (!holds) throw new Late(`too much: ${figures.at(-1)}`);
}

/** Milliseconds that `act` took, and its value. */
export async function timed<T>(act: () => Promise<T>): Promise<{ value: T; milliseconds: number }> {
  const start = performance.now();
  const value = await act();
  return { value, milliseconds: Math.round(performance.now() - start) };
}
