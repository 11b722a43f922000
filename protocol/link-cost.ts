/**
 * What a link costs, as routing daemons count: the one place that makes a metric of what was measured. Babel's metric of a
 * wired link is 96 and that of OSPF commonly 10, so the unit here is a hundredth of the first's least step up, and both
 * take the number as it is: 1 to 65,535, the field of OSPF and of Babel (RFC 2328 section A.4.2, RFC 8966 section 4.6.9).
 *
 *   cost = (96 + 2 for each ms of round trip) ÷ (share of probes that were answered)², twice that through a relay, and
 *         eight times that by a WebSocket
 *
 * A lost packet is lost both ways, as ETX has it (babeld's estimate for links without acknowledgment). A relay adds hops
 * that are not ours and bandwidth that somebody pays for. The steps are coarse, so that a metric does not change, and
 * nothing is computed anew, because a round trip is a little longer now.
 */
import type { PeerStatus } from './status.ts';

const base = 96;
/** For each millisecond of round trip: 100 ms are three hops of a local network. */
const perMillisecond = 2;
/** Answered probes, as a share, below which it does not matter any more. */
const leastAnswered = 0.1;
const relayFactor = 2;
/** One TCP connection carries all, at a limited rate: anything else is better. */
const webSocketFactor = 8;
const greatest = 65_535;

/** How much dearer each step is than the one before. */
const stepRatio = 1.25;

export type Measured = Pick<PeerStatus, 'state' | 'rtt' | 'loss' | 'relayed' | 'path'>;

/** Null where no packets pass. A link that nothing was measured of yet costs what one without round trip and loss does. */
export function linkCost({ state, rtt, loss, relayed, path }: Measured): number | null {
  if (state !== 'up') return null;
  const answered = Math.max(leastAnswered, 1 - (loss ?? 0));
  const factor = path === 'websocket' ? webSocketFactor : relayed ? relayFactor : 1;
  const exact = ((base + perMillisecond * Math.max(0, rtt ?? 0)) / answered ** 2) * factor;
  return Math.min(greatest, stepped(exact));
}

/** The step below: 96, 120, 150, 188 … */
function stepped(cost: number): number {
  const steps = Math.floor(Math.log(cost / base) / Math.log(stepRatio) + 1e-9);
  return Math.round(base * stepRatio ** steps);
}
