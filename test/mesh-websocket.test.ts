/** Links by the bootstrap WebSocket, where nothing else connects two nodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linked, nodeOf, openOf } from './mesh-view.ts';
import { reliable, type SimulatedNode } from './simulated-node.ts';
import { pairOf, Simulation } from './simulation.ts';

const minute = 60_000;

/** `n1` and `n2` have a WebSocket with `n0` each and none with each other; no UDP passes between any two. */
function withoutUdp(seed: number, webSocketPaths: Readonly<Record<string, boolean>> = {}) {
  const simulation = new Simulation(seed, reliable);
  const ids = ['n0', 'n1', 'n2'];
  for (const [index, id] of ids.entries()) {
    for (const other of ids.slice(0, index)) simulation.unreachable.add(pairOf(id, other));
    const node = simulation.add(id, { webSocketPaths: webSocketPaths[id] ?? true });
    if (index > 0) simulation.dial(node, 'n0');
  }
  const [n0, n1, n2] = ids.map((id) => nodeOf(simulation, id)) as [
    SimulatedNode,
    SimulatedNode,
    SimulatedNode,
  ];
  return { simulation, n0, n1, n2 };
}

const pathOf = (node: SimulatedNode, peer: SimulatedNode) =>
  node.mesh.links.get(peer.id)?.report?.path ?? null;

function disconnect(simulation: Simulation, node: SimulatedNode, peer: SimulatedNode): void {
  for (const [channel, other] of [...node.sockets]) if (other === peer) simulation.disconnect(node, channel);
}

test('two nodes without UDP are linked by their WebSocket within seconds; others without one are not', () => {
  const { simulation, n0, n1, n2 } = withoutUdp(1);
  const took = simulation.until(() => linked(n0, n1) && linked(n0, n2), minute);
  assert.ok(took < 5000, `${took} ms`);
  assert.deepEqual([pathOf(n0, n1), pathOf(n1, n0)], ['websocket', 'websocket']);
  simulation.pass(5 * minute);
  assert.deepEqual([openOf(n1, n2), openOf(n2, n1)], [[], []]);
  assert.ok(linked(n0, n1), 'and it stays');
});

test('a link by a WebSocket leaves it when another path is there, and nothing is without a link meanwhile', () => {
  const { simulation, n0, n1 } = withoutUdp(2);
  simulation.until(() => linked(n0, n1), minute);
  simulation.unreachable.clear();
  let down = 0;
  simulation.watch = (node) => {
    if (node === n0 && pathOf(n0, n1) === null) down++;
  };
  const took = simulation.until(
    () => pathOf(n0, n1) === 'datachannel' && pathOf(n1, n0) === 'datachannel',
    3 * minute,
  );
  assert.ok(took <= 130_000, `${took} ms`);
  simulation.pass(5000);
  assert.ok(linked(n0, n1), 'one connection is left');
  assert.equal(down, 0);
});

test('a link by a WebSocket ends with it, and is there again soon after the next one', () => {
  const { simulation, n0, n1 } = withoutUdp(3);
  simulation.until(() => linked(n0, n1), minute);
  disconnect(simulation, n1, n0);
  simulation.pass(10);
  assert.deepEqual([openOf(n0, n1), openOf(n1, n0)], [[], []]);
  const took = simulation.until(() => linked(n0, n1), minute);
  assert.ok(took < 8000, `${took} ms`);
});

test('a control that starts anew has the link by its next WebSocket', () => {
  const { simulation, n0, n1 } = withoutUdp(4);
  simulation.until(() => linked(n0, n1), minute);
  simulation.restartControl(n1, { webSocketPaths: true });
  simulation.pass(20);
  simulation.dial(n1, 'n0');
  const took = simulation.until(() => linked(n0, n1), minute);
  assert.ok(took < 15_000, `${took} ms`);
  assert.equal(pathOf(n1, n0), 'websocket');
});

for (const without of ['n0', 'n1']) {
  test(`where ${without} wants none there is no link by a WebSocket`, () => {
    const { simulation, n0, n1, n2 } = withoutUdp(5, { [without]: false });
    simulation.pass(2 * minute);
    assert.deepEqual([openOf(n0, n1), openOf(n1, n0)], [[], []]);
    assert.equal(linked(n0, n2), without === 'n1');
  });
}

test('who can have another path is not linked by a WebSocket first', () => {
  const { simulation, n0, n1 } = withoutUdp(6);
  simulation.unreachable.clear();
  const paths = new Set<string | null>();
  simulation.watch = () => void paths.add(pathOf(n0, n1));
  simulation.pass(minute);
  assert.deepEqual([...paths].sort(), ['datachannel', null]);
});
