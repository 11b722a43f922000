/**
 * What TCP gets through the overlay between two hosts on one cable, one way, the other way and both ways at once, and
 * what that costs; beside it what the cable and two bare node-datachannel processes do.
 */
import { bareMegabits } from '../bare.ts';
import type { Overlay } from '../contender.ts';
import { flowBetween, tcp, total } from '../iperf.ts';
import { comparable, figure, isOwn, type Measure, ofOthers, type Readings } from '../measure.ts';
import { cpuSeconds } from '../processes.ts';

const seconds = 8;
/** In reverse, and both ways. */
const furtherSeconds = 4;
/** Each of its tunings. */
const bareSeconds = 5;
const quickSeconds = 3;

const bare = 'bare node-datachannel';
const bareWide = 'bare node-datachannel with an MTU of 1500';

const baselines: NonNullable<Measure['baselines']> = {
  cable: async (scene) => {
    const [from, to] = await scene.wired();
    const flow = { from, to, address: to.address };
    return { tcp: total(await tcp([flow], scene.quick ? quickSeconds : seconds)) };
  },
  [bare]: async (scene) => ({
    tcp: await bareMegabits(await scene.wired(), scene.quick ? quickSeconds : bareSeconds),
  }),
  [bareWide]: async (scene) => ({
    tcp: await bareMegabits(await scene.wired(), scene.quick ? quickSeconds : bareSeconds, 1500),
  }),
};

export const throughput: Measure = {
  name: 'throughput',
  about: 'one TCP flow: each way, both ways, and over datachannels',
  figures: [
    figure('tcp', 'one TCP flow (iperf3)', 'Mbit/s', 0, { atLeast: 8, times: comparable, old: 0.98 }),
    figure('tcp-reverse', 'the same in reverse', 'Mbit/s', 0),
    figure('tcp-balance', 'the slower direction ÷ the faster', '×', 2, { atLeast: 0.85 }),
    figure('tcp-both', 'one TCP flow each way at once, the sum', 'Mbit/s', 0),
    figure('tcp-both-ratio', 'the sum of both ÷ one flow alone', '×', 2, { atLeast: 1 }),
    figure('cpu-per-gb', 'CPU time per 10⁹ bytes of that flow', 's', 2, {
      ...{ atMost: 0.3, times: ['wireguard-go'] },
      note: 'User and system time of the overlay’s processes at both ends. What the kernel does in its own threads and in soft interrupts cannot be laid to a program and is left out.',
    }),
    figure('tcp-datachannel', 'one TCP flow over datachannels alone', 'Mbit/s', 0, {
      old: 0.9,
      notes: ofOthers('Has no datachannels.'),
    }),
    figure('tcp-ratio', 'one TCP flow ÷ two bare node-datachannel processes', '×', 2, {
      atLeast: 0.7,
      note: 'cryonet over datachannels alone. What two processes with nothing but node-datachannel move in 1200-byte messages over one unordered datachannel without retransmits, with the library’s defaults or the settings of cryonet’s engine, whichever is better; ratios are taken within each round.',
    }),
    figure('tcp-ratio-wide', 'one TCP flow ÷ the same with an MTU of 1500', '×', 2, {
      note: 'With the library’s default of 1280 a message of 1200 bytes takes two packets.',
    }),
  ],
  baselines,
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.wired());
    const readings = await everyWay(overlay, scene.quick);
    if (!isOwn(contender)) return readings;
    const options = ['--no-direct'];
    const { overlay: slow } = await scene.formed(contender, await scene.wired(), { options });
    const results = await tcp([await flowBetween(slow, 0, 1)], scene.quick ? quickSeconds : seconds);
    return { ...readings, 'tcp-datachannel': total(results) };
  },
  derive(results) {
    const ours = results.subjects('tcp-datachannel');
    for (const subject of results.subjects('tcp').filter((name) => !(name in baselines))) {
      const key = ours.includes(subject) ? 'tcp-datachannel' : 'tcp';
      results.divide('tcp-ratio', subject, [key, subject], ['tcp', bare]);
      results.divide('tcp-ratio-wide', subject, [key, subject], ['tcp', bareWide]);
    }
  },
};

async function everyWay(overlay: Overlay, quick: boolean): Promise<Readings> {
  const there = await flowBetween(overlay, 0, 1);
  const back = await flowBetween(overlay, 1, 0);
  const further = quick ? quickSeconds : furtherSeconds;
  const pids = (await Promise.all(overlay.hosts.map((host) => host.processes()))).flat();
  const before = cpuSeconds(pids);
  const [flow] = await tcp([there], quick ? quickSeconds : seconds);
  const used = cpuSeconds(pids) - before;
  const { megabits, bytes } = flow!;
  const reverse = total(await tcp([back], further));
  const both = total(await tcp([there, back], further));
  return {
    tcp: megabits,
    'tcp-reverse': reverse,
    'tcp-balance': Math.min(megabits, reverse) / Math.max(megabits, reverse),
    'tcp-both': both,
    'tcp-both-ratio': both / megabits,
    'cpu-per-gb': used / (bytes / 1e9),
  };
}
