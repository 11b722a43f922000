import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUp } from '../control/core/link.ts';
import { formed, isFullMesh, linked, nodeOf, openOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, type Simulation } from './simulation.ts';

const minute = 60_000;

interface Pair {
  readonly simulation: Simulation;
  readonly a: SimulatedNode;
  readonly b: SimulatedNode;
}

/** A mesh whose nodes `n1` and `n2` have a direct path; then they lose their connection, and what was said before. */
function loseConnection(seed: number, before: (pair: Pair) => void = () => {}): Pair {
  const simulation = formed(seed, 4);
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const pair = { simulation, a, b };
  simulation.direct.add(pairOf('n1', 'n2'));
  for (const { notices } of [a, b]) notices.length = 0;
  before(pair);
  simulation.loseLink(a, b, 0);
  return pair;
}

/** Either end’s link, as control has it. */
function linksOf({ a, b }: Pair) {
  return [a.mesh.links.get(b.id)!, b.mesh.links.get(a.id)!];
}

const areNeighbors = ({ a, b }: Pair) =>
  a.mesh.neighbors.has(`link:${b.id}`) || b.mesh.neighbors.has(`link:${a.id}`);

/** When `a` and `b` made offers to each other. */
function watchOffers({ simulation, a, b }: Pair): number[] {
  const offers: number[] = [];
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) {
      const concerned = 'peer' in effect && pairOf(node.id, effect.peer) === pairOf(a.id, b.id);
      if (concerned && effect.type === 'offer') offers.push(simulation.now);
    }
  };
  return offers;
}

test('a link that only its direct path holds up is up and not lost, is no way to signal, and has a connection again at once', () => {
  const pair = loseConnection(41);
  const { simulation, a, b } = pair;
  simulation.pass(10);
  assert.ok(!linked(a, b), 'the connection is gone');
  for (const link of linksOf(pair)) {
    assert.ok(isUp(link));
    assert.equal(link.shown, 'up');
    assert.equal(link.report?.active, null);
  }
  assert.ok(!areNeighbors(pair));
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 1000);
  simulation.pass(20);
  assert.ok(areNeighbors(pair));
  for (const { notices, interfaces } of [a, b]) {
    assert.deepEqual(notices, []);
    assert.equal(interfaces.size, 3);
  }
});

for (const [how, what] of [
  ['is rejected', (pair: Pair) => pair.simulation.cannotAnswer.add('n1').add('n2')],
  ['finds no path', (pair: Pair) => pair.simulation.unreachable.add(pairOf('n1', 'n2'))],
] as const) {
  test(`a link on its direct path whose every offer ${how} stays up, is tried less and less often, and comes back`, () => {
    let offers: number[] = [];
    const pair = loseConnection(45, (pair) => {
      what(pair);
      offers = watchOffers(pair);
    });
    const { simulation, a, b } = pair;
    const start = simulation.now;
    simulation.pass(5 * minute);
    assert.ok(offers[0]! - start < 100, 'the first at once');
    assert.ok(offers.length >= 14 && offers.length <= 66, `${offers.length} offers in five minutes`);
    const late = offers.filter((at) => at > start + minute);
    for (const [i, at] of late.entries()) if (i > 0) assert.ok(at - late[i - 1]! >= 5000);
    for (const link of linksOf(pair)) assert.equal(link.shown, 'up');
    for (const { notices, mesh } of [a, b]) {
      assert.deepEqual(notices, []);
      assert.equal(mesh.membership.members.size, 3);
    }
    assert.ok(!areNeighbors(pair));
    simulation.cannotAnswer.clear();
    simulation.unreachable.clear();
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) <= 21_000);
    simulation.pass(20);
    assert.ok(areNeighbors(pair));
  });
}

test('a link whose direct path dies after its connection is lost, once, at both ends', () => {
  const pair = loseConnection(43, ({ simulation }) => simulation.unreachable.add(pairOf('n1', 'n2')));
  const { simulation, a, b } = pair;
  simulation.pass(30_000);
  simulation.direct.clear();
  for (const [node, peer] of [
    [a, b],
    [b, a],
  ] as const) {
    const report = { ...node.mesh.links.get(peer.id)!.report!, state: 'lost', path: null } as const;
    simulation.happen(node, { type: 'link', report });
  }
  for (const [node, peer] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.deepEqual(node.notices, [`warn link lost ${peer.id}`]);
    assert.notEqual(node.mesh.links.get(peer.id)!.shown, 'up');
  }
  simulation.unreachable.clear();
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) <= 11_000);
});

test('a control that starts again adopts a link that only its direct path holds up, and negotiates it at once', () => {
  const pair = loseConnection(44, ({ simulation }) => simulation.unreachable.add(pairOf('n1', 'n2')));
  const { simulation, a, b } = pair;
  simulation.pass(30_000);
  simulation.unreachable.clear();
  simulation.restartControl(a);
  assert.equal(a.mesh.links.get('n2')!.shown, 'up');
  assert.ok(!a.mesh.neighbors.has('link:n2'));
  simulation.dial(a, 'n0');
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) <= 11_000);
  assert.ok(linked(a, b));
});

test('a candidate of an open connection goes by every neighbor: what it would repair may carry no signaling any more', () => {
  const simulation = formed(43, 4);
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const [negotiation] = openOf(a, b);
  const by: string[] = [];
  simulation.watch = (node, _event, effects) => {
    if (node !== a) return;
    for (const effect of effects)
      if (effect.type === 'send' && effect.message.type === 'flood') by.push(effect.channel);
  };
  const candidate = 'candidate:2 1 UDP 1678769919 203.0.113.4 41684 typ srflx';
  simulation.happen(a, { type: 'candidate', peer: b.id, negotiation: negotiation!, candidate });
  simulation.pass(50);
  assert.deepEqual(by.toSorted(), ['link:n2', 'link:n3', 'ws:3']);
});
