/** Round trips as a row of bars. */

const bars = '▁▂▃▄▅▆▇█';
/** Where nothing was measured. */
const gap = '·';
/** Milliseconds: what a round trip varies by on an idle local network says nothing. */
const leastRange = 1;

/** One column for each of the last `width` samples, the newest at the right. The lowest bar is the shortest round trip of
 *  them, the highest twice that or the longest, so that a steady path looks flat. */
export function sparkline(samples: readonly (number | null)[], width: number): string {
  const shown = samples.slice(-width);
  const known = shown.filter((sample) => sample !== null);
  const least = Math.min(...known);
  const range = Math.max(least, leastRange, Math.max(...known) - least);
  const levels = shown.map((sample) =>
    sample === null ? gap : bars[Math.min(7, Math.floor(((sample - least) / range) * 8))]!,
  );
  return levels.join('').padStart(width);
}
