import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFullMesh, missing } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, Simulation } from './simulation.ts';

const minute = 60_000;
const maxNodes = 7;
/** An epoch of a machine without a clock. */
const early = 3000;

interface Happening {
  readonly what:
    | 'join'
    | 'kill'
    | 'again'
    | 'early'
    | 'control early'
    | 'control'
    | 'dataplane'
    | 'lose'
    | 'cut'
    | 'bye'
    | 'noise'
    | 'quiet';
  readonly a: number;
  readonly b: number;
  /** Milliseconds: until an end is noticed, and until the next happening. */
  readonly noticed: number;
  readonly wait: number;
}

const happening: fc.Arbitrary<Happening> = fc.record({
  what: fc.constantFrom(
    'join',
    'join',
    'kill',
    'again',
    'early',
    'control early',
    'control',
    'dataplane',
    'lose',
    'cut',
    'bye',
    'noise',
    'quiet',
  ),
  a: fc.nat(),
  b: fc.nat(),
  noticed: fc.oneof(fc.constantFrom(0, 30_000), fc.integer({ min: 0, max: 20_000 })),
  wait: fc.oneof({ weight: 3, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(30_000) }),
});

/** IDs of different lengths: each node offers to some and answers to others. */
const ids = ['n0', 'n1', 'x', 'long-id', 'n2', 'y', 'berlin'];

function happen(simulation: Simulation, { what, a, b, noticed }: Happening): void {
  const living = [...simulation.nodes.values()].filter(({ running, mesh }) => running && !mesh.stopped);
  const dead = ids.slice(0, maxNodes).filter((id) => !simulation.nodes.has(id));
  const [one, other] = [living[a % living.length], living[b % living.length]];
  switch (what) {
    case 'join':
    case 'again':
    case 'early': {
      const id = dead[a % dead.length];
      if (id === undefined) return;
      const node = simulation.add(id, what === 'early' ? { epoch: early + (b % 5000) } : {});
      if (other !== undefined) simulation.dial(node, other.id);
      return;
    }
    case 'noise':
      simulation.faults = { loss: (a % 40) / 100, repeat: (b % 50) / 100, delay: 1 + (a % 1500) };
      return;
    case 'quiet':
      simulation.faults = { loss: 0, repeat: 0, delay: 20 };
      return;
  }
  if (one === undefined || other === undefined) return;
  if (what === 'kill') simulation.kill(one, noticed);
  if (what === 'bye') simulation.stop(one);
  if (what === 'control') simulation.restartControl(one);
  if (what === 'control early') simulation.restartControl(one, { epoch: early + (b % 5000) });
  if (what === 'dataplane') simulation.restartDataplane(one, noticed);
  if (one === other) return;
  if (what === 'lose') simulation.loseLink(one, other, noticed);
  if (what === 'cut') simulation.cutSockets(one, other);
}

/** The network is whole again, and nodes that had nobody to ask find one. */
function calm(simulation: Simulation): void {
  simulation.faults = { loss: 0, repeat: 0, delay: 20 };
  simulation.cut.clear();
  const [root, ...others] = simulation.nodes.values();
  for (const node of others) simulation.dial(node, root!.id);
}

/** What holds at every moment. */
function checkAlways(simulation: Simulation): void {
  simulation.watch = (node) => {
    const { mesh } = node;
    assert.ok(!mesh.links.has(node.id), 'no link with itself');
    assert.ok(!mesh.membership.members.has(node.id));
    for (const [peer, link] of mesh.links) {
      const routes = [...link.attempts.values()].map(({ route }) => route);
      assert.equal(new Set(routes).size, routes.length, `${node.id} ${peer}: two attempts on one route`);
      assert.ok(link.early.candidates.length <= 64);
    }
    for (const [peer, connections] of node.connections) {
      const routes = connections.map(({ route }) => route);
      assert.equal(new Set(routes).size, routes.length, `${node.id} ${peer}: two connections on one route`);
    }
  };
}

/** What holds once everything is quiet: each node has the others as members, links and interfaces, and nothing else. */
function checkCalm(nodes: readonly SimulatedNode[]): void {
  const all = nodes.map(({ id }) => id).sort();
  for (const { id, mesh, interfaces, connections } of nodes) {
    const others = all.filter((other) => other !== id);
    assert.deepEqual([...mesh.membership.members.keys()].sort(), others, `members of ${id}`);
    assert.deepEqual([...mesh.links.keys()].sort(), others, `links of ${id}`);
    assert.deepEqual([...interfaces].sort(), others, `interfaces of ${id}`);
    for (const [peer, list] of connections)
      assert.ok(list.length <= 1, `${id} ${peer}: ${list.length} connections`);
    for (const link of mesh.links.values()) assert.equal(link.attempts.size, 1);
  }
}

test('whatever happens to a mesh, once it stops the living are a full mesh and the dead are forgotten', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.array(happening, { maxLength: 25 }),
      (seed, happenings) => {
        const simulation = new Simulation(seed);
        checkAlways(simulation);
        for (const id of ids.slice(0, 4)) simulation.add(id);
        for (const id of ids.slice(1, 4)) simulation.dial(simulation.nodes.get(id)!, ids[0]!);
        for (const each of happenings) {
          happen(simulation, each);
          simulation.pass(each.wait);
        }
        simulation.pass(200);
        if (simulation.nodes.size === 0) return;
        calm(simulation);
        const took = simulation.until(() => isFullMesh(simulation), 3 * minute);
        const pair = missing(simulation.nodes.values())?.map(({ id }) => id);
        assert.ok(
          Number.isFinite(took),
          `no full mesh after three minutes: ${pair && pairOf(pair[0]!, pair[1]!)}`,
        );
        simulation.pass(3 * minute);
        assert.ok(isFullMesh(simulation), 'still a full mesh three minutes later');
        checkCalm([...simulation.nodes.values()]);
      },
    ),
    { numRuns: 120 },
  );
});
