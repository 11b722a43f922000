/** What happens in the life of machines: half of a mesh down for minutes, all of it asleep, a node with very many links. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formed, isFullMesh, linked, missing, negotiations, nodeOf } from './mesh-view.ts';
import { Simulation } from './simulation.ts';

const minute = 60_000;

test('three of six are dead for five minutes: the links of the others stay, and all are there again within seconds', () => {
  const simulation = formed(61, 6);
  const alive = ['n0', 'n1', 'n2'].map((id) => nodeOf(simulation, id));
  const dead = ['n3', 'n4', 'n5'];
  const links = () => negotiations(simulation).filter((line) => dead.every((id) => !line.includes(id)));
  const before = links();
  for (const id of dead) simulation.kill(nodeOf(simulation, id), 3000);
  simulation.pass(5 * minute);
  assert.equal(missing(alive), undefined);
  assert.deepEqual(links(), before);
  for (const node of alive) assert.equal(node.mesh.links.size, 2, 'who is silent is forgotten');
  for (const id of dead) simulation.dial(simulation.add(id), 'n0');
  const took = simulation.until(() => isFullMesh(simulation), minute);
  assert.ok(took <= 3000, `${took} ms`);
});

test('a mesh all of whose machines sleep for two minutes is one again within seconds', () => {
  const simulation = formed(62, 5);
  // Nothing runs, and then whatever was due is due at once; the dataplanes find their connections dead.
  simulation.now += 2 * minute;
  const nodes = [...simulation.nodes.values()];
  for (const a of nodes) for (const b of nodes) if (a.id < b.id) simulation.loseLink(a, b, 100);
  simulation.pass(200);
  const took = simulation.until(() => isFullMesh(simulation), minute);
  assert.ok(took <= 5000, `${took} ms`);
  simulation.pass(2 * minute);
  assert.ok(isFullMesh(simulation));
});

test('a node has three hundred links, loses them all at once, and has them again within seconds', () => {
  const simulation = new Simulation(63);
  const hub = simulation.add('n0');
  const policy = { allow: ['n0'], deny: [] };
  const spokes = Array.from({ length: 300 }, (_, i) => simulation.add(`m${i}`, { policy }));
  for (const spoke of spokes) simulation.dial(spoke, 'n0');
  const all = () => spokes.every((spoke) => linked(hub, spoke));
  // Those that find no room are told so, and try again half a second later (`maxAnswers`).
  const joined = simulation.until(all, minute);
  assert.ok(joined <= 3000, `${joined} ms`);
  for (const spoke of spokes) simulation.loseLink(hub, spoke, 100);
  simulation.pass(200);
  const took = simulation.until(all, minute);
  assert.ok(took <= 10_000, `${took} ms`);
});
