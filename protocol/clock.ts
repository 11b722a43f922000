/**
 * The machine's clock may be set at any time, by days. So what lasts is measured by the steady clock, which begins with
 * the process, and only what is shown is told by the machine's, as that is at the moment.
 */

/** Milliseconds; only goes forward. */
export function steadyNow(): number {
  return performance.now();
}

/** A steady time as milliseconds since the Unix epoch. */
export function byClock(steady: number): number {
  return Math.round(Date.now() - (steadyNow() - steady));
}

/** What another process has just told by the machine's clock, as our steady time. */
export function bySteady(clock: number): number {
  return steadyNow() - (Date.now() - clock);
}
