/** Nodes on small machines. */
import assert from 'node:assert/strict';
import { fileMegabytes } from '../bench/processes.ts';
import { addressLink, directPair, onPath } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { MemoryLimit } from './lab/memory-limit.ts';
import { story } from './lab/story.ts';
import { assertSoon } from './lab/wait.ts';

/** Bytes for both processes of a node. */
const room = 128 * 2 ** 20;

/*
 *   a  bootstrap ──┐ switch; TCP as fast as it goes
 *   b → a ─────────┘
 */
story('in 128 MiB a node carries a flow as fast as it goes', ['iperf3', 'memory limits'], async (lab) => {
  const { a, b } = await directPair(lab);
  // A start that has to strip types keeps what strips them in memory; the next one finds the sources compiled.
  for (const node of [a, b]) await node.start().ready(30_000);
  for (const node of [a, b]) await node.stop(10_000);
  const nodes = [a, b].map((node) => {
    const limit = new MemoryLimit(lab, node.id);
    limit.bytes = room;
    limit.add(node.start().program);
    return { node, limit };
  });
  await onPath('direct', [a, b], 30_000);
  const pids = () =>
    Promise.all(nodes.map(async ({ node }) => [node.program.pid, (await node.ready()).dataplane.pid!]));
  const before = await pids();
  // Both run the same program files, whose pages count where they were read first: elsewhere, most likely.
  const files = before.map((ofNode) => Math.max(...ofNode.map((pid) => fileMegabytes([pid]))) * 1e6);
  for (const [index, { limit }] of nodes.entries()) limit.bytes = room - files[index]!;
  const [address] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
  const flow = await Flow.start(a.namespace, address, b.namespace, { seconds: 5 });
  const { bytes, gap } = await flow.end();
  for (const [index, { node, limit }] of nodes.entries()) {
    const [held, mapped] = [limit.peak, files[index]!].map((each) => (each / 2 ** 20).toFixed(0));
    lab.figures.push(`${node.id}: at most ${held} MiB held, ${mapped} MiB of program files`);
    assert.equal(limit.kills, 0);
  }
  lab.figures.push(`${((bytes * 8) / 5e6).toFixed(0)} Mbit/s, ${gap} ms without a byte at most`);
  assert.deepEqual(await pids(), before);
  assertSoon(gap, 1000, lab);
  await onPath('direct', [a, b], 1_000);
});
