/** What one node sends to ten peers at once, one TCP flow each, next to what it sends to one of them alone. */
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender } from '../contender.ts';
import { flowBetween, tcp, total } from '../iperf.ts';
import { form, type Measurement, type Readings, subjects } from '../measurement.ts';

const peers = 10;
const seconds = 4;
const quickSeconds = 2;

export function fan(contenders: readonly Contender[]): Measurement {
  return {
    name: 'fan',
    limit: 150_000,
    subjects: subjects(contenders, async (contender, { lab, pinger, quick }): Promise<Readings> => {
      const labels = ['hub', ...Array.from({ length: peers }, (_, index) => `n${index + 1}`)];
      const { hosts } = await lan(lab, labels);
      const overlay = await contender.prepare(hosts);
      await form(overlay, pinger, { interval: 100, limit: 60_000 });
      const others = [...hosts.keys()].slice(1);
      const flows = await Promise.all(others.map((peer) => flowBetween(overlay, 0, peer)));
      const duration = quick ? quickSeconds : seconds;
      const alone = total(await tcp(flows.slice(0, 1), duration));
      const together = total(await tcp(flows, duration));
      return { fan: together, 'fan-ratio': together / alone };
    }),
  };
}
