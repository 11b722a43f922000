/**
 * Two clocks. The machine's clock may be set at any time, by days, so durations are measured by the steady clock, which
 * begins with the process. Times that are shown are converted to the machine's clock as it is at that moment.
 */

/** Milliseconds; only goes forward. */
export function steadyNow(): number {
  return performance.now();
}

/** A steady time as milliseconds since the Unix epoch. */
export function byClock(steady: number): number {
  return Math.round(Date.now() - (steadyNow() - steady));
}

/** A time of the machine's clock that another process has just told, as our steady time. */
export function bySteady(clock: number): number {
  return steadyNow() - (Date.now() - clock);
}
