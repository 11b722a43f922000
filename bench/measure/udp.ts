/** The highest rate at which an overlay loses hardly any UDP packet, between two hosts on one cable; and how often the
 *  JavaScript of a node is woken by such packets. */
import type { Contender } from '../contender.ts';
import { flowBetween, type UdpResult, udp } from '../iperf.ts';
import { form, type Measurement, type Readings, subjects } from '../measurement.ts';
import { mainThreadSwitches } from '../processes.ts';
import { wired } from '../wired.ts';

/** Bytes of payload. */
const size = 1200;
const toleratedLoss = 0.001;
/** Mbit/s. It is not begun with a flood, of which some do not recover for a while. */
const firstRate = 50;
const climb = 4;
/** Of the last climb, on a logarithmic scale: steps of 9 % are left. */
const halvings = 4;
const quickHalvings = 3;
/** Share by which a sender may fall behind before no higher rate is tried. */
const toleratedLag = 0.1;
const seconds = 2;
const quickSeconds = 1;

interface Attempt extends UdpResult {
  readonly switches: number;
}

/** `scripted` is the contender that has JavaScript. */
export function udpRate(contenders: readonly Contender[], scripted: Contender): Measurement {
  return {
    name: 'udp',
    limit: 120_000,
    subjects: subjects(contenders, async (contender, { lab, pinger, quick }): Promise<Readings> => {
      const overlay = await contender.prepare(await wired(lab));
      await form(overlay, pinger, { interval: 50, limit: 30_000 });
      const flow = await flowBetween(overlay, 0, 1);
      const pids = (await Promise.all(overlay.hosts.map((host) => host.processes()))).flat();
      const best = await highest(quick ? quickHalvings : halvings, async (megabits) => {
        const before = mainThreadSwitches(pids);
        const result = await udp(flow, size, megabits, quick ? quickSeconds : seconds);
        return { ...result, switches: mainThreadSwitches(pids) - before };
      });
      const readings = { udp: best.received };
      return contender === scripted ? { ...readings, 'wake-ups': best.switches / best.packets } : readings;
    }),
  };
}

/** A rate is too high where it loses more than is tolerated twice in a row: anything else on the machine does so once. */
async function highest(count: number, attempt: (megabits: number) => Promise<Attempt>): Promise<Attempt> {
  let best: Attempt | undefined;
  const carries = async (megabits: number): Promise<boolean> => {
    let made = await attempt(megabits);
    if (made.loss > toleratedLoss) made = await attempt(megabits);
    if (made.loss > toleratedLoss) return false;
    if (best === undefined || made.received > best.received) best = made;
    return true;
  };
  let high = firstRate;
  while (await carries(high)) {
    if (best!.sent < high * (1 - toleratedLag)) return best!;
    high *= climb;
  }
  let low = high / climb;
  for (let step = 0; step < count; step++) {
    const megabits = Math.sqrt(low * high);
    if (await carries(megabits)) low = megabits;
    else high = megabits;
  }
  if (!best) throw new Error(`more than ${toleratedLoss * 100} % are lost at ${high.toFixed(0)} Mbit/s too`);
  return best;
}
