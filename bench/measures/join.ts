/** How long a node that joins a mesh takes from the start of its program until each of its links carries packets. */
import { setTimeout as pause } from 'node:timers/promises';
import { figure, type Measure } from '../measure.ts';
import { secondsBetween } from '../scene.ts';

const size = 20;
/** Milliseconds without anything new in the mesh before the node starts. */
const rest = 10_000;
const quickRest = 3_000;
const bounds = { interval: 10, limit: 30_000 };

export const join: Measure = {
  name: 'join',
  about: `a node joins a mesh of ${size}, until all its links carry`,
  figures: [
    figure('join', `a node joins ${size} that stand: its start → all ${size} answer ping`, 's', 2, {
      atMost: 1,
    }),
  ],
  of: ({ discovers }) => discovers,
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.hosts(size + 1), { spare: 1 });
    await pause(scene.quick ? quickRest : rest);
    const others = Array.from({ length: size }, (_, index) => index);
    const { all } = await scene.pinger.reach(overlay.targets(size, others), bounds);
    const start = await overlay.start(size);
    return { join: secondsBetween(start, await all) };
  },
};
