/** How long a ping through the overlay takes between two hosts on one cable: alone, and beside one TCP flow that takes
 *  all it can get, in the same direction. */
import { setTimeout as pause } from 'node:timers/promises';
import { flowBetween, tcp } from '../iperf.ts';
import { figure, type Measure } from '../measure.ts';

/** Pings, one every `interval` microseconds; milliseconds that late answers have. */
const pings = { count: 600, interval: 5_000, grace: 1_000 };
/** Milliseconds before the pings, for the flow to have reached its rate. */
const lead = 1_500;
/** Outlasts the pings; a second of slow start is not counted among these. */
const flowSeconds = 5;
const note =
  'One ping every 5 ms, 600 of them; a round trip ends when the kernel has the answer, and one without an answer counts as a second. The flow goes the same way as the pings.';
const asGood = { atMost: 1, times: ['wireguard-go'] };

export const roundTrip: Measure = {
  name: 'round-trip',
  about: 'round trips of pings, idle and beside a TCP flow',
  figures: [
    figure('rtt-p50', 'round trip, idle: median', 'ms', 3, { ...asGood, note }),
    figure('rtt-p99', 'round trip, idle: 99th percentile', 'ms', 3, asGood),
    figure('rtt-load-p50', 'round trip beside one TCP flow: median', 'ms', 2, { ...asGood, note }),
    figure('rtt-load-p99', 'round trip beside one TCP flow: 99th percentile', 'ms', 2, asGood),
  ],
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.wired());
    const flow = await flowBetween(overlay, 0, 1);
    const target = `/run/netns/${flow.from.name} ${flow.address}`;
    const ping = async () => (await scene.pinger.stream(target, pings)).result;
    const idle = await ping();
    const [loaded] = await Promise.all([pause(lead).then(ping), tcp([flow], flowSeconds)]);
    return {
      'rtt-p50': idle.rttP50Ms,
      'rtt-p99': idle.rttP99Ms,
      'rtt-load-p50': loaded.rttP50Ms,
      'rtt-load-p99': loaded.rttP99Ms,
    };
  },
};
