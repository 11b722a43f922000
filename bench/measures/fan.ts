/** What one node sends to ten peers at once, one TCP flow each, next to what it sends to one of them alone. */
import { flowBetween, tcp, total } from '../iperf.ts';
import { figure, type Measure } from '../measure.ts';

const peers = 10;
const seconds = 4;
const quickSeconds = 2;

export const fan: Measure = {
  name: 'fan',
  about: 'one TCP flow to each of ten peers at once',
  figures: [
    figure('fan', 'one TCP flow to each of ten peers at once, the sum', 'Mbit/s', 0),
    figure('fan-ratio', 'the sum to ten peers ÷ one flow to one of them', '×', 2, { atLeast: 0.8 }),
  ],
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.hosts(1 + peers));
    const others = [...overlay.hosts.keys()].slice(1);
    const flows = await Promise.all(others.map((peer) => flowBetween(overlay, 0, peer)));
    const duration = scene.quick ? quickSeconds : seconds;
    const alone = total(await tcp(flows.slice(0, 1), duration));
    const together = total(await tcp(flows, duration));
    return { fan: together, 'fan-ratio': together / alone };
  },
};
