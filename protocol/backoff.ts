/** Milliseconds before the first retry after a failure. */
const first = 500;

/**
 * Milliseconds to wait after `failures` failures in a row. The wait doubles from half a second up to `limit`; a random
 * part of up to a half is taken off, so that nodes that failed together do not retry together. `random` is in [0, 1).
 */
export function backoff(failures: number, limit: number, random: number): number {
  const full = Math.min(limit, first * 2 ** Math.min(failures - 1, 30));
  return Math.round(full * (1 - random / 2));
}
