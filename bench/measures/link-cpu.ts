/**
 * What the forming of a link costs one of its ends: the CPU time of a mesh from its start until every pair answers, less
 * that of the same nodes, started and watched for as long, when they make no links; divided by the links of a node.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { monotonic } from '../contender.ts';
import { figure, isOwn, type Measure, mean } from '../measure.ts';
import { cpuSeconds, isDataplane } from '../processes.ts';
import { secondsBetween } from '../scene.ts';

const size = 20;

export const linkCpu: Measure = {
  name: 'link-cpu',
  about: `CPU time of a link while a mesh of ${size} forms`,
  figures: [
    figure('link-cpu', `mesh of ${size} forms: CPU of one end of each link`, 'ms', 1, {
      atMost: 12,
      note: `All processes of a node from its start until every pair answers ping, less as much time with --deny '*', over ${size - 1}; the mean of ${size} nodes.`,
    }),
    figure('link-cpu-control', 'the same: control', 'ms', 1),
    figure('link-cpu-dataplane', 'the same: dataplane', 'ms', 1),
    figure('unlinked-cpu', `the same ${size} nodes with --deny '*': CPU of one`, 'ms', 0),
  ],
  of: isOwn,
  async take(scene, contender) {
    const { overlay, firstStart, formed } = await scene.formed(contender, await scene.hosts(size));
    const linked = await used(overlay.hosts);
    const hosts = await scene.hosts(size);
    const unlinked = await contender.prepare(hosts, { options: ['--deny', '*'] });
    const start = monotonic();
    for (const host of hosts.keys()) await unlinked.start(host);
    await pause(secondsBetween(firstStart - start + monotonic(), formed) * 1000);
    const alone = await used(hosts);
    // They did come up: else nothing was measured.
    await Promise.all([...hosts.keys()].slice(1).map((host) => unlinked.joined?.(host)));
    const perLink = (linkedSeconds: number, seconds: number): number =>
      ((linkedSeconds - seconds) / (size - 1)) * 1000;
    return {
      'link-cpu': perLink(linked.all, alone.all),
      'link-cpu-control': perLink(linked.all - linked.dataplane, alone.all - alone.dataplane),
      'link-cpu-dataplane': perLink(linked.dataplane, alone.dataplane),
      'unlinked-cpu': alone.all * 1000,
    };
  },
};

/** Seconds of one node, from its start on. */
async function used(hosts: readonly Namespace[]): Promise<{ all: number; dataplane: number }> {
  const processes = await Promise.all(hosts.map((host) => host.processes()));
  return {
    all: mean(processes.map(cpuSeconds)),
    dataplane: mean(processes.map((pids) => cpuSeconds(pids.filter(isDataplane)))),
  };
}
