import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linked, nodeOf } from './mesh-view.ts';
import { reliable } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

const minute = 60_000;

/** Two nodes that only a relay connects, `aa` the offerer; resolves once they are linked. */
function relayed(seed: number, lifetimes: { aa?: number; b?: number }, faults = reliable): Simulation {
  const simulation = new Simulation(seed, faults);
  for (const id of ['aa', 'b'] as const) {
    const relayLifetime = lifetimes[id];
    simulation.add(id, { turn: true, ...(relayLifetime === undefined ? {} : { relayLifetime }) });
  }
  simulation.unreachable.add('aa b');
  simulation.dial(nodeOf(simulation, 'b'), 'aa');
  const [aa, b] = [nodeOf(simulation, 'aa'), nodeOf(simulation, 'b')];
  assert.ok(Number.isFinite(simulation.until(() => linked(aa, b), minute)));
  return simulation;
}

/** What happens to the link within a time: the connections that carried it, at each end, and whether it was ever lost. */
function watch(simulation: Simulation, milliseconds: number) {
  const seen = { aa: new Set<string>(), b: new Set<string>() };
  let [lost, most] = [0, 0];
  const end = simulation.now + milliseconds;
  while (simulation.now < end) {
    simulation.pass(100);
    for (const [id, other] of [
      ['aa', 'b'],
      ['b', 'aa'],
    ] as const) {
      const { report } = nodeOf(simulation, id).mesh.links.get(other)!;
      if (report?.active == null) lost++;
      else seen[id].add(report.active);
      most = Math.max(most, report?.connections.length ?? 0);
    }
  }
  return { lost, most, carriers: [seen.aa.size, seen.b.size] };
}

for (const [whose, lifetimes] of [
  ['the offerer', { aa: 4 * minute }],
  ['the answerer', { b: 4 * minute }],
] as const) {
  test(`a relayed connection whose end at ${whose} ends is replaced before that, and the link is up all the time`, () => {
    const simulation = relayed(1, lifetimes);
    // Each is replaced after three of its four minutes.
    const { lost, most, carriers } = watch(simulation, 10 * minute);
    assert.deepEqual([lost, carriers], [0, [4, 4]]);
    assert.ok(most <= 3, 'the shared route is tried meanwhile');
    simulation.pass(5000);
    const { report } = nodeOf(simulation, 'aa').mesh.links.get('b')!;
    assert.equal(report!.connections.filter(({ open }) => open).length, 1);
  });
}

test('where both ends of relays end, one offer replaces both', () => {
  const simulation = relayed(2, { aa: 4 * minute, b: 4 * minute });
  const { lost, carriers } = watch(simulation, 10 * minute);
  assert.deepEqual([lost, carriers], [0, [4, 4]]);
});

test('a relay that lasts as its connection does is left alone', () => {
  const { lost, carriers } = watch(relayed(3, {}), 10 * minute);
  assert.deepEqual([lost, carriers], [0, [1, 1]]);
});

test('a replacement that fails is tried again, while the first one carries', () => {
  const simulation = relayed(4, { aa: 8 * minute });
  simulation.cannotAnswer.add('b');
  assert.deepEqual(watch(simulation, 6.5 * minute).carriers, [1, 1]);
  simulation.cannotAnswer.delete('b');
  const { lost, carriers } = watch(simulation, minute);
  assert.deepEqual([lost, carriers], [0, [2, 2]]);
});

test('a control that starts while one connection replaces another keeps the newer, and replaces it soon', () => {
  const simulation = relayed(6, { aa: 4 * minute });
  const aa = nodeOf(simulation, 'aa');
  const openOnes = () =>
    aa.connections
      .get('b')!
      .filter(({ open }) => open)
      .map(({ negotiation }) => negotiation);
  simulation.until(() => openOnes().length === 2, 4 * minute);
  const [, newer] = openOnes();
  simulation.restartControl(aa, { turn: true, relayLifetime: 4 * minute });
  simulation.pass(5000);
  assert.deepEqual(openOnes(), [newer]);
  const { lost, carriers } = watch(simulation, 2 * minute);
  assert.deepEqual([lost, carriers], [0, [2, 2]]);
});

test('the shared route ends it all', () => {
  const simulation = relayed(5, { aa: 4 * minute });
  simulation.unreachable.clear();
  simulation.pass(4 * minute);
  const { carriers } = watch(simulation, 10 * minute);
  assert.deepEqual(carriers, [1, 1]);
  assert.deepEqual(
    nodeOf(simulation, 'aa')
      .mesh.links.get('b')!
      .report!.connections.map(({ route }) => route),
    ['shared'],
  );
});
