/**
 * What TCP gets through the overlay between two hosts on one cable, one way, the other way and both ways at once, and
 * what that costs; beside it what the cable and two bare node-datachannel processes do.
 */
import { Lab } from '../../netns-tests/lab/lab.ts';
import { bareMegabits, plainTunings, wideTunings } from '../bare.ts';
import type { Contender, Overlay, OverlayOptions } from '../contender.ts';
import { flowBetween, tcp, total } from '../iperf.ts';
import { form, type Measurement, type Readings, type Scene, subjects } from '../measurement.ts';
import type { Pinger } from '../pinger.ts';
import { cpuSeconds } from '../processes.ts';
import { wired } from '../wired.ts';

const seconds = 8;
/** In reverse, and both ways. */
const furtherSeconds = 4;
/** Each of its tunings. */
const bareSeconds = 5;
const quickSeconds = 3;

/** Names of the subjects that are no contenders. */
export const cable = 'cable';
export const bare = 'bare node-datachannel';
export const bareWide = 'bare node-datachannel with an MTU of 1500';

/** `own` is measured over its datachannels as well, which is what the bare processes compare with. */
export function throughput(contenders: readonly Contender[], own: Contender): Measurement {
  return {
    name: 'throughput',
    limit: 120_000,
    subjects: [
      ...subjects(contenders, async (contender, { lab, pinger, quick }): Promise<Readings> => {
        const readings = await everyWay(await formed(lab, contender, pinger), quick);
        if (contender !== own) return readings;
        lab.close();
        await using other = new Lab();
        const overlay = await formed(other, contender, pinger, { direct: false });
        const [flow] = await tcp([await flowBetween(overlay, 0, 1)], quick ? quickSeconds : seconds);
        return { ...readings, 'tcp-datachannel': flow!.megabits };
      }),
      {
        name: cable,
        take: async ({ lab, quick }) => {
          const [from, to] = await wired(lab);
          const flow = { from, to, address: to.address };
          return { tcp: total(await tcp([flow], quick ? quickSeconds : seconds)) };
        },
      },
      ...[
        { name: bare, tunings: plainTunings },
        { name: bareWide, tunings: wideTunings },
      ].map(({ name, tunings }) => ({
        name,
        take: async ({ lab, quick }: Scene) => ({
          tcp: await bareMegabits(await wired(lab), tunings, quick ? quickSeconds : bareSeconds),
        }),
      })),
    ],
  };
}

async function formed(
  lab: Lab,
  contender: Contender,
  pinger: Pinger,
  options: OverlayOptions = {},
): Promise<Overlay> {
  const overlay = await contender.prepare(await wired(lab), options);
  await form(overlay, pinger, { interval: 50, limit: 30_000 });
  return overlay;
}

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
