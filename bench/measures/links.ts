/**
 * What a dataplane with a hundred links takes of memory while nothing happens: that of the first of 101 nodes, before and
 * after the others start, which make links with it alone. They start ten at a time, so that two cores suffice.
 *
 *   n1, the hub ──┐
 *   n2 ───────────┤ switch
 *   …             │
 *   n101 ─────────┘
 */
import { setTimeout as pause } from 'node:timers/promises';
import { figure, isOwn, type Measure, ofOthers } from '../measure.ts';
import { isDataplane, residentMegabytes } from '../processes.ts';

const count = 100;
const atOnce = 10;
const bounds = { interval: 500, limit: 60_000 };
const settleMilliseconds = 5_000;
const notes = ofOthers('Not measured.');

export const links: Measure = {
  name: 'links',
  about: `memory of a dataplane for each of ${count} links; needs 10 GB`,
  figures: [
    figure('link-rss', 'idle dataplane with 100 links: resident memory per link', 'MB', 2, {
      ...{ atMost: 0.5, notes },
      note: 'What its resident memory grows by from none to 100 links, over 100. What the kernel keeps for sockets and interfaces is not in it.',
    }),
    figure('links-rss', 'the same: resident memory of the process', 'MB', 0, { notes }),
  ],
  of: isOwn,
  async take(scene, contender) {
    const hosts = await scene.hosts(1 + count);
    const overlay = await contender.prepare(hosts, { policy: ['--allow', hosts[0]!.label] });
    const settled = async () => {
      await pause(settleMilliseconds);
      return residentMegabytes((await hosts[0]!.processes()).filter(isDataplane));
    };
    await overlay.start(0);
    const before = await settled();
    for (let first = 1; first <= count; first += atOnce) {
      const next = Array.from({ length: atOnce }, (_, i) => first + i);
      const { all } = await scene.pinger.reach(overlay.targets(0, next), bounds);
      for (const host of next) await overlay.start(host);
      await all;
    }
    const after = await settled();
    return { 'links-rss': after, 'link-rss': (after - before) / count };
  },
};
