/** How long a ping through the overlay takes between two hosts on one cable: alone, and beside one TCP flow that takes
 *  all it can get, in the same direction. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Contender } from '../contender.ts';
import { flowBetween, tcp } from '../iperf.ts';
import { form, type Measurement, type Readings, subjects } from '../measurement.ts';
import { wired } from '../wired.ts';

/** Pings, one every `interval` microseconds. */
const count = 600;
const interval = 5_000;
const graceMilliseconds = 1_000;
/** Before the pings, for the flow to have reached its rate. */
const leadMilliseconds = 1_500;
/** Outlasts the pings; a second of slow start is not counted among these. */
const flowSeconds = 5;

export function roundTrip(contenders: readonly Contender[]): Measurement {
  return {
    name: 'round-trip',
    limit: 90_000,
    subjects: subjects(contenders, async (contender, { lab, pinger }): Promise<Readings> => {
      const overlay = await contender.prepare(await wired(lab));
      await form(overlay, pinger, { interval: 50, limit: 30_000 });
      const flow = await flowBetween(overlay, 0, 1);
      const ping = async () => {
        const target = `/run/netns/${flow.from.name} ${flow.address}`;
        const { result } = await pinger.stream(target, { interval, count, grace: graceMilliseconds });
        return result;
      };
      const idle = await ping();
      const flowing = tcp([flow], flowSeconds);
      const [loaded] = await Promise.all([pause(leadMilliseconds).then(ping), flowing]);
      return {
        'rtt-p50': idle.rttP50Ms,
        'rtt-p99': idle.rttP99Ms,
        'rtt-load-p50': loaded.rttP50Ms,
        'rtt-load-p99': loaded.rttP99Ms,
      };
    }),
  };
}
