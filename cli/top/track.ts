/** What several reports tell of one peer: round trips of the last minute, and rates. */
import type { PeerStatus } from '../../protocol/status.ts';

/** The most that is kept, one for each interval, and all that a wide terminal has room for. */
export const samplesKept = 60;

/** A rate of before counts this much less with each interval: rows would change places with each packet otherwise. */
const fading = 0.7;

export interface Track {
  /** Round trips in milliseconds, the oldest first; null where none was measured or the node was not asked. */
  readonly samples: readonly (number | null)[];
  /** Bytes a second each way; null until two reports have told. */
  readonly rx: number | null;
  readonly tx: number | null;
  /** Both together over the last intervals, as the table is sorted by it. */
  readonly traffic: number;
  /** What the next rates are counted from. */
  readonly from: Counted | undefined;
}

interface Counted {
  readonly rx: number;
  readonly tx: number;
  readonly at: number;
}

const untold: Track = { samples: [], rx: null, tx: null, traffic: 0, from: undefined };

/** `at`: milliseconds by a clock that is never set. `skipped`: intervals since the last report, of which nothing is known;
 *  undefined where this report is of the same interval, and takes the last one's place. */
export function tracked(
  track: Track = untold,
  peer: PeerStatus,
  at: number,
  skipped: number | undefined,
): Track {
  const samples = sampled(track.samples, peer.rtt, skipped);
  if (skipped === undefined) return { ...track, samples };
  const from =
    peer.counters === null ? undefined : { rx: peer.counters.rxBytes, tx: peer.counters.txBytes, at };
  const rates = ratesOf(track.from, from);
  const traffic = track.traffic * fading + ((rates.rx ?? 0) + (rates.tx ?? 0)) * (1 - fading);
  return { samples, ...rates, traffic, from };
}

function sampled(samples: Track['samples'], rtt: number | null, skipped: number | undefined) {
  if (skipped === undefined) return [...samples.slice(0, -1), rtt];
  const missing = Array<null>(Math.min(skipped, samplesKept)).fill(null);
  return [...samples, ...(samples.length === 0 ? [] : missing), rtt].slice(-samplesKept);
}

/** A dataplane that was started again counts from zero. */
function ratesOf(before: Counted | undefined, after: Counted | undefined): Pick<Track, 'rx' | 'tx'> {
  if (before === undefined || after === undefined) return { rx: null, tx: null };
  const seconds = (after.at - before.at) / 1000;
  const rate = (bytes: number) => (seconds > 0 && bytes >= 0 ? bytes / seconds : null);
  return { rx: rate(after.rx - before.rx), tx: rate(after.tx - before.tx) };
}
