/** How a mesh forms on a machine that its nodes overload, and over links that are slow on machines that are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFullMesh, star } from './mesh-view.ts';
import type { Simulation } from './simulation.ts';

/** Milliseconds of a processor for one end's description, and for both ends' opening. */
const toDescribe = 30;
const toOpen = 60;

/** All dataplanes share the processors of one machine, which take up work as it comes. */
function share(simulation: Simulation, processors: number): void {
  const freeAt = Array<number>(processors).fill(0);
  const work = (cost: number) => {
    const first = freeAt.indexOf(Math.min(...freeAt));
    const end = Math.max(freeAt[first]!, simulation.now) + cost;
    freeAt[first] = end;
    return end - simulation.now;
  };
  simulation.takes = { describe: () => work(toDescribe), open: () => work(toOpen) };
}

test('thirty nodes that start at once on two processors have their links after little more than the work they are', () => {
  const simulation = star(1, 30);
  share(simulation, 2);
  const work = (((30 * 29) / 2) * (2 * toDescribe + toOpen)) / 2;
  const took = simulation.until(() => isFullMesh(simulation), 300_000);
  assert.ok(took <= 1.25 * work, `${Math.round(took)} ms for ${work} ms of work`);
});

test('sixty nodes with slow links between them, and processors to spare, try as many at a time as ever', () => {
  const simulation = star(7, 60, { loss: 0, repeat: 0, delay: 300 });
  simulation.takes = { describe: () => 10, open: () => 1500 };
  let most = 0;
  simulation.watch = (node) => {
    const trying = [...node.mesh.links.values()].filter(
      ({ offerer, attempts }) => offerer && attempts.size > 0,
    );
    most = Math.max(most, trying.filter(({ shown }) => shown !== 'up').length);
  };
  const took = simulation.until(() => isFullMesh(simulation), 60_000);
  assert.ok(took <= 8000, `${Math.round(took)} ms`);
  assert.equal(most, 32);
});
