/**
 * Whether a link that is up is a good one, by what the dataplane measures: for those who watch the node.
 *
 *     good ── loss or round trip past the limit ──► degraded ── both well within it ──► good
 */
import type { LinkFigures } from './events.ts';
import { isUp, type Link } from './link.ts';
import { publish, type Turn } from './state.ts';

/** Shares of the last probes, of which there are a hundred: one that is lost now and then is no news. */
const muchLoss = 0.1;
const littleLoss = 0.03;

/** Of fewer probes the loss says nothing: an idle path has one in 25 s. */
const leastProbes = 20;

/** A queue in front of a link makes several times its shortest round trip; less than so many milliseconds more hurts
 *  nobody. */
const longer = { times: 4, milliseconds: 50 };
/** The same for being good again. */
const usual = { times: 2, milliseconds: 25 };

/** The dataplane has measured these links. */
export function takeFigures(turn: Turn, figures: readonly LinkFigures[]): void {
  for (const each of figures) {
    const link = turn.mesh.links.get(each.peer);
    if (link !== undefined && isUp(link)) judge(turn, link, each);
  }
}

function judge(turn: Turn, link: Link, figures: LinkFigures): void {
  const { peer } = link;
  const device = link.report?.interface?.name;
  const { rtt, minRtt } = figures;
  const loss = figures.loss ?? 0;
  const limit = link.degraded ? usual : longer;
  const isSlow =
    rtt !== null && minRtt != null && rtt > minRtt * limit.times && rtt > minRtt + limit.milliseconds;
  const isLossy = (figures.probes ?? 0) >= leastProbes && loss > (link.degraded ? littleLoss : muchLoss);
  if (link.degraded === (isSlow || isLossy)) return;
  link.degraded = !link.degraded;
  const measured = {
    ...{ peer, ...(device === undefined ? {} : { interface: device }), loss },
    ...(rtt === null ? {} : { rtt: Math.round(rtt * 1000) / 1e6 }),
  };
  const reasons = [
    isLossy ? `${Math.round(loss * 100)} % lost` : '',
    isSlow ? `round trip ${Math.round(rtt)} ms` : '',
  ];
  const reason = reasons.filter((text) => text !== '').join(', ');
  if (link.degraded) publish(turn, { event: 'link.degraded', ...measured, reason });
  else publish(turn, { event: 'link.recovered', ...measured });
}
