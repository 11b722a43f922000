import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Faults, reliable, Simulation } from './simulation.ts';

const twoMinutes = 120_000;

function star(seed: number, size: number, faults: Faults = reliable): Simulation {
  const simulation = new Simulation(seed, faults);
  const bootstrap = simulation.add('n0');
  for (let i = 1; i < size; i++) simulation.connect(simulation.add(`n${i}`), bootstrap);
  return simulation;
}

test('nodes that know one bootstrap node become a full mesh, one link per pair', () => {
  const simulation = star(1, 10);
  assert.ok(simulation.until(() => simulation.isFullMesh(), twoMinutes) < 3000);
});

test('thirty nodes: the same, and no broadcast storm', () => {
  const n = 30;
  const simulation = star(2, n);
  assert.ok(simulation.until(() => simulation.isFullMesh(), twoMinutes) < 5000);
  console.log([...simulation.nodes.values()].map((x) => `${x.sent}/${x.floods}`).join(' '));
});

test('any loss, repetition and reordering still end in a full mesh', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.integer({ min: 2, max: 8 }),
      fc.record({ loss: fc.double({ min: 0, max: 0.3, noNaN: true }), repeat: fc.double({ min: 0, max: 0.5, noNaN: true }), delay: fc.integer({ min: 1, max: 2000 }) }),
      (seed, size, faults) => {
        const simulation = star(seed, size, faults);
        const took = simulation.until(() => simulation.isFullMesh(), 10 * twoMinutes);
        assert.ok(Number.isFinite(took), 'no full mesh');
      },
    ),
    { numRuns: 40 },
  );
});
