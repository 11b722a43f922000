/** What a node with nine peers costs while nothing happens: the mean of the ten nodes of one mesh. */
import { setTimeout as pause } from 'node:timers/promises';
import { figure, type Measure, mean } from '../measure.ts';
import { cpuSeconds, proportionalMegabytes, residentMegabytes } from '../processes.ts';

const size = 10;
/** Milliseconds to settle, and of the look. */
const usual = { settle: 15_000, window: 30_000 };
const short = { settle: 8_000, window: 10_000 };

export const idle: Measure = {
  name: 'idle',
  about: 'CPU and memory of an idle node with 9 peers',
  figures: [
    figure('idle-cpu', 'idle node with 9 peers: CPU', '% of a core', 2, {
      atMost: 1,
      note: 'All processes of a node, over 30 s, 15 s after the mesh was complete; the mean of ten nodes.',
    }),
    figure('idle-rss', 'idle node with 9 peers: resident memory (RSS)', 'MB', 0, { atMost: 150 }),
    figure('idle-pss', 'idle node with 9 peers: its share of memory (PSS)', 'MB', 0, {
      note: 'Pages that several processes share are divided among them; ten nodes run on the machine.',
    }),
  ],
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.hosts(size));
    const { settle, window } = scene.quick ? short : usual;
    await pause(settle);
    const processes = await Promise.all(overlay.hosts.map((host) => host.processes()));
    const before = mean(processes.map(cpuSeconds));
    const start = performance.now();
    await pause(window);
    const used = mean(processes.map(cpuSeconds)) - before;
    return {
      'idle-cpu': (used / ((performance.now() - start) / 1000)) * 100,
      'idle-rss': mean(processes.map(residentMegabytes)),
      'idle-pss': mean(processes.map(proportionalMegabytes)),
    };
  },
};
