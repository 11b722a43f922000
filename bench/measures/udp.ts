/** The highest rate at which an overlay loses hardly any UDP packet, between two hosts on one cable; and how often the
 *  JavaScript of a node is woken by such packets. */
import { flowBetween, type UdpResult, udp } from '../iperf.ts';
import { figure, isOwn, type Measure, ofOthers } from '../measure.ts';
import { mainThreadSwitches } from '../processes.ts';

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

export const udpRate: Measure = {
  name: 'udp',
  about: 'the highest rate of UDP packets with hardly any lost',
  figures: [
    figure('udp', 'highest rate of 1200-byte UDP packets with at most 0.1 % lost', 'Mbit/s', 0, {
      ...{ atLeast: 2, times: ['wireguard-go'] },
      note: 'Payload that arrived. Looked for in runs of two seconds of iperf3 -u -l 1200, to within 9 %; a rate at which more is lost twice in a row is too high.',
    }),
    figure('wake-ups', 'wake-ups of JavaScript per packet at that rate', '', 3, {
      atMost: 0.001,
      notes: ofOthers('Runs no JavaScript.'),
      note: 'Context switches of the main threads of control and dataplane, voluntary or not, at both ends: timers that have nothing to do with packets are among them.',
    }),
  ],
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.wired());
    const flow = await flowBetween(overlay, 0, 1);
    const pids = (await Promise.all(overlay.hosts.map((host) => host.processes()))).flat();
    const best = await highest(scene.quick ? quickHalvings : halvings, async (megabits) => {
      const before = mainThreadSwitches(pids);
      const result = await udp(flow, size, megabits, scene.quick ? quickSeconds : seconds);
      return { ...result, switches: mainThreadSwitches(pids) - before };
    });
    const readings = { udp: best.received };
    return isOwn(contender) ? { ...readings, 'wake-ups': best.switches / best.packets } : readings;
  },
};

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
