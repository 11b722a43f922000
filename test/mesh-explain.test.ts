/** What one end of a link says of it to the other, and to nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../control/core/events.ts';
import { sendBody } from '../control/core/flood.ts';
import { noteCandidate, viewOf } from '../control/core/link-view.ts';
import { everyone } from '../protocol/signaling.ts';
import { formed, nodeOf, star } from './mesh-view.ts';
import { candidate, linkViewExample } from './messages.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, type Simulation } from './simulation.ts';

type Explained = Extract<Effect, { type: 'explained' }>;

/** What nodes are told from now on, by whom they were asked. */
function heardIn(simulation: Simulation): { readonly at: string; readonly effect: Explained }[] {
  const heard: { at: string; effect: Explained }[] = [];
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) if (effect.type === 'explained') heard.push({ at: node.id, effect });
  };
  return heard;
}

function ask(simulation: Simulation, node: SimulatedNode, peer: string, number: number, wide = false): void {
  simulation.happen(node, { type: 'explain', peer, number, wide });
}

test('a peer says what it sees of the link, over it and by way of others while it is down', () => {
  const simulation = formed(71, 3);
  const [n1, n2] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const link = n2.mesh.links.get('n1')!;
  noteCandidate(link.toldCandidates, candidate);
  noteCandidate(link.heardCandidates, candidate.replace('192.0.2.7', '192.0.2.8'));
  const heard = heardIn(simulation);
  ask(simulation, n1, 'n2', 5);
  simulation.pass(500);
  assert.deepEqual(
    heard.map(({ at, effect }) => [at, effect.peer, effect.number]),
    [['n1', 'n2', 5]],
  );
  const { view } = heard[0]!.effect;
  assert.deepEqual(
    [view.state, view.told, view.heard],
    ['up', ['host 192.0.2.7:2333'], ['host 192.0.2.8:2333']],
  );

  simulation.unreachable.add(pairOf('n1', 'n2'));
  for (const [node, peer] of [
    [n1, 'n2'],
    [n2, 'n1'],
  ] as const) {
    const nothing = { active: null, connections: [], path: null, pair: null, interface: null };
    node.connections.get(peer)!.splice(0);
    simulation.happen(node, { type: 'link', report: { peer, state: 'lost', reason: 'no path', ...nothing } });
  }
  heard.length = 0;
  ask(simulation, n1, 'n2', 6, true);
  simulation.pass(500);
  assert.equal(heard[0]?.effect.number, 6);
  assert.notEqual(heard[0].effect.view.state, 'up');
});

test('whom a policy denies gets no answer, and is not asked', () => {
  const simulation = star(72, 3);
  const n1 = nodeOf(simulation, 'n1');
  simulation.add('n3', { policy: { allow: [], deny: ['n1'] } });
  simulation.dial(nodeOf(simulation, 'n3'), 'n0');
  simulation.pass(10_000);
  const heard = heardIn(simulation);
  ask(simulation, n1, 'n3', 1);
  ask(simulation, nodeOf(simulation, 'n3'), 'n1', 2);
  ask(simulation, n1, 'nobody', 3);
  simulation.pass(1000);
  assert.deepEqual(heard, []);
  assert.equal(viewOf(nodeOf(simulation, 'n3').mesh, 'n1').state, 'denied');
});

test('a member that asks without end gets four answers in ten seconds, and one that asks everybody none', () => {
  const simulation = formed(73, 4);
  const [n1, n2] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const heard = heardIn(simulation);
  for (let i = 0; i < 50; i++) ask(simulation, n1, 'n2', i);
  simulation.pass(5000);
  assert.equal(heard.length, 4);
  ask(simulation, nodeOf(simulation, 'n3'), 'n2', 1);
  simulation.pass(500);
  assert.equal(heard.at(-1)?.at, 'n3', 'others are answered');
  simulation.pass(6000);
  ask(simulation, n1, 'n2', 60);
  simulation.pass(500);
  assert.equal(heard.at(-1)?.effect.number, 60);

  heard.length = 0;
  const turn = { mesh: n1.mesh, env: simulation.environmentOf(n1), effects: [] as Effect[] };
  sendBody(turn, everyone, { kind: 'explain', number: 7 });
  sendBody(turn, everyone, { kind: 'explained', number: 7, view: linkViewExample });
  for (const effect of turn.effects) {
    if (effect.type !== 'send') continue;
    const to = [...n1.mesh.neighbors].find(([channel]) => channel === effect.channel)![1].id;
    const node = nodeOf(simulation, to);
    const channel = [...node.mesh.neighbors].find(([, { id }]) => id === 'n1')![0];
    simulation.deliver(node, channel, effect.message);
  }
  simulation.pass(500);
  assert.deepEqual(heard, []);
  assert.ok(n2.mesh.links.has('n1'));
});

test('an address that ICE did not tell is not told now', () => {
  const simulation = formed(74, 2);
  const [n0, n1] = [nodeOf(simulation, 'n0'), nodeOf(simulation, 'n1')];
  const link = n1.mesh.links.get('n0')!;
  const pair = {
    local: { type: 'host', address: '192.0.2.7', port: 2333 },
    remote: { type: 'host', address: '192.0.2.8', port: 2333 },
  } as const;
  link.report = { ...link.report!, pair };
  const heard = heardIn(simulation);
  ask(simulation, n0, 'n1', 1);
  simulation.pass(500);
  assert.equal(heard[0]?.effect.view.pair, null);
  noteCandidate(link.toldCandidates, candidate);
  ask(simulation, n0, 'n1', 2);
  simulation.pass(500);
  assert.deepEqual(heard[1]?.effect.view.pair, pair);
});

test('of candidates the last are kept, each once, and nothing that is none', () => {
  const noted: string[] = [];
  for (let i = 0; i < 100; i++) noteCandidate(noted, `candidate:1 1 UDP 1 192.0.2.${i} 2333 typ host`);
  noteCandidate(noted, 'candidate:1 1 UDP 1 192.0.2.90 2333 typ host');
  noteCandidate(noted, 'candidate:1 1 UDP 1 2001:db8::1 2333 typ srflx raddr 10.0.0.1 rport 1');
  noteCandidate(noted, `candidate:1 1 UDP 1 ${'x'.repeat(46)} 2333 typ host`);
  noteCandidate(noted, 'candidate:1 1 tcp 1 192.0.2.1 2333 typ host');
  noteCandidate(noted, 'nonsense');
  assert.equal(noted.length, 24);
  assert.deepEqual(noted.slice(-3), [
    'host 192.0.2.99:2333',
    'host 192.0.2.90:2333',
    'srflx [2001:db8::1]:2333',
  ]);
});
