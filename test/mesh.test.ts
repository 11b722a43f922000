import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFullMesh, star } from './mesh-view.ts';

const twoMinutes = 120_000;

test('nodes that know one bootstrap node become a full mesh, one link per pair', () => {
  const simulation = star(1, 10);
  assert.ok(simulation.until(() => isFullMesh(simulation), twoMinutes) < 3000);
});

test('thirty nodes: the same', () => {
  const simulation = star(2, 30);
  assert.ok(simulation.until(() => isFullMesh(simulation), twoMinutes) < 5000);
});

test('any loss, repetition and reordering still end in a full mesh', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.integer({ min: 2, max: 8 }),
      fc.record({
        loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
        repeat: fc.double({ min: 0, max: 0.5, noNaN: true }),
        delay: fc.integer({ min: 1, max: 2000 }),
      }),
      (seed, size, faults) => {
        const simulation = star(seed, size, faults);
        const took = simulation.until(() => isFullMesh(simulation), 10 * twoMinutes);
        assert.ok(Number.isFinite(took), 'no full mesh');
      },
    ),
    { numRuns: 40 },
  );
});
