/** Resolves with the first defined, non-false result of `condition`. Rejects after `milliseconds`, naming `what`. Half of the
 *  time at least is left to others. */
export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 30_000,
): Promise<T> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const asked = performance.now();
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    const now = performance.now();
    if (now > end) throw new Error(`waited ${milliseconds} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(2, now - asked)));
  }
}
