/** Durations as people write them: `10s`, `1m30s`, `500ms`, `2h 15min`. The units are those of the humantime crate up to
 *  weeks. */

const second = 1000;
const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  nsec: 1e-6,
  us: 1e-3,
  usec: 1e-3,
  ms: 1,
  msec: 1,
  s: second,
  sec: second,
  second: second,
  seconds: second,
  m: 60 * second,
  min: 60 * second,
  minute: 60 * second,
  minutes: 60 * second,
  h: 3600 * second,
  hr: 3600 * second,
  hour: 3600 * second,
  hours: 3600 * second,
  d: 86_400 * second,
  day: 86_400 * second,
  days: 86_400 * second,
  w: 604_800 * second,
  week: 604_800 * second,
  weeks: 604_800 * second,
};

/** Milliseconds, rounded; undefined for anything that is no duration. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length > 64 || !/^(\d+\s*[a-z]+\s*)+$/.test(trimmed)) return undefined;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+)\s*([a-z]+)/g)) {
    const factor = units[unit!];
    if (factor === undefined) return undefined;
    total += Number(amount) * factor;
  }
  const rounded = Math.round(total);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}
