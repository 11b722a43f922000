/** How a mesh forms on a machine that its nodes overload, and over links that are slow on machines that are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFullMesh, star } from './mesh-view.ts';
import type { Simulation } from './simulation.ts';

/** Milliseconds of a processor for one end's description, and for both ends' opening. */
const toDescribe = 30;
const toOpen = 60;

/** All nodes share the processors of one machine, which take up work as it comes; `toHear` is what a message is. */
function share(simulation: Simulation, processors: number, toHear = 0): void {
  const freeAt = Array<number>(processors).fill(0);
  const work = (cost: number) => {
    const first = freeAt.indexOf(Math.min(...freeAt));
    const end = Math.max(freeAt[first]!, simulation.now) + cost;
    freeAt[first] = end;
    return end - simulation.now;
  };
  simulation.takes = {
    describe: () => work(toDescribe),
    open: () => work(toOpen),
    hear: () => (toHear === 0 ? 0 : work(toHear)),
  };
}

/** Counts what the nodes of a simulation have their dataplanes do. */
function countOffers(simulation: Simulation): { offers: number } {
  const counts = { offers: 0 };
  simulation.watch = (_node, _event, effects) => {
    counts.offers += effects.filter(({ type }) => type === 'offer').length;
  };
  return counts;
}

const pairs = (30 * 29) / 2;

test('thirty nodes that start at once on two processors have their links after little more than the work they are', () => {
  const simulation = star(1, 30);
  share(simulation, 2);
  const counts = countOffers(simulation);
  const work = (pairs * (2 * toDescribe + toOpen)) / 2;
  const took = simulation.until(() => isFullMesh(simulation), 300_000);
  assert.ok(took <= 1.1 * work, `${Math.round(took)} ms for ${work} ms of work`);
  assert.ok(counts.offers <= 1.1 * pairs, `${counts.offers} offers for ${pairs} links`);
});

for (const [toHear, limit] of [
  [0.7, 45_000],
  [1.5, 70_000],
] as const) {
  test(`the same where each message is ${toHear} ms of the processors, too`, () => {
    const simulation = star(1, 30);
    share(simulation, 2, toHear);
    const counts = countOffers(simulation);
    const took = simulation.until(() => isFullMesh(simulation), limit);
    assert.ok(took <= limit, `${Math.round(took)} ms`);
    assert.ok(counts.offers <= 1.25 * pairs, `${counts.offers} offers for ${pairs} links`);
  });
}

for (const [toHear, limit] of [
  [12, 30_000],
  [30, 75_000],
] as const) {
  test(`thirty nodes whose links all come about through one that takes ${toHear} ms for each message`, () => {
    const simulation = star(1, 30);
    let freeAt = 0;
    const queue = () => {
      freeAt = Math.max(freeAt, simulation.now) + toHear;
      return freeAt - simulation.now;
    };
    simulation.takes = { describe: () => 10, open: () => 60, hear: ({ id }) => (id === 'n0' ? queue() : 0) };
    const counts = countOffers(simulation);
    const took = simulation.until(() => isFullMesh(simulation), limit);
    assert.ok(took <= limit, `${Math.round(took)} ms`);
    assert.ok(counts.offers <= 1.1 * pairs, `${counts.offers} offers for ${pairs} links`);
  });
}

test('sixty nodes with slow links between them, and processors to spare, try as many at a time as ever', () => {
  const simulation = star(7, 60, { loss: 0, repeat: 0, delay: 300 });
  simulation.takes = { describe: () => 10, open: () => 1500, hear: () => 0 };
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

test('a link is made by its first offer where each of its steps takes eight seconds', () => {
  const simulation = star(1, 2);
  simulation.takes = { describe: () => 8000, open: () => 8000, hear: () => 0 };
  const counts = countOffers(simulation);
  assert.ok(simulation.until(() => isFullMesh(simulation), 60_000) <= 25_000);
  assert.equal(counts.offers, 1);
});
