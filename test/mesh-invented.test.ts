/** A member that makes nodes up: what that costs the others, and what becomes of nodes that are there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../control/core/events.ts';
import { offers } from '../control/core/offerer.ts';
import { recordOverhead } from '../dataplane/io/direct.ts';
import { maxMessage } from '../dataplane/io/webrtc.ts';
import { encode } from '../protocol/msgpack.ts';
import { offeredKeys } from './descriptions.ts';
import { Hostile } from './hostile/gossip.ts';
import { formed, isFullMesh, linked, nodeOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

function withHostile(seed: number): { simulation: Simulation; hostile: Hostile } {
  const simulation = formed(seed, 7);
  const hostile = new Hostile(simulation, 'n0');
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.pass(30_000);
  return { simulation, hostile };
}

/** Half of them have to be asked by the others, half have to ask. */
function invent(hostile: Hostile, count: number, to: SimulatedNode): void {
  const ids = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? `${i}` : `invented-${i}`));
  for (let i = 0; i < count; i += 250) {
    const entries = ids.slice(i, i + 250).map((id) => ({ ...hostile.record(id), age: 0 }));
    hostile.say(to, { type: 'members', entries });
  }
}

/** What each node does from then on. */
function follow(simulation: Simulation) {
  const seen = { most: 0, offers: 0, floods: 0 };
  simulation.watch = ({ mesh }, _event, effects: readonly Effect[]) => {
    const made = effects.filter(({ type }) => type === 'offer').length;
    seen.offers += made;
    for (const effect of effects)
      if (effect.type === 'send' && effect.message.type === 'flood') seen.floods++;
    if (made === 0) return;
    const tried = [...mesh.links.values()].filter(
      ({ offerer, attempts }) =>
        offerer && [...attempts.values()].some(({ state }) => state.phase !== 'open'),
    );
    seen.most = Math.max(seen.most, tried.length);
  };
  return seen;
}

test('hundreds of invented nodes: a few are tried at a time, links and newcomers do not wait for them', () => {
  const { simulation, hostile } = withHostile(100);
  const seen = follow(simulation);
  invent(hostile, 400, nodeOf(simulation, 'n3'));
  simulation.pass(10_000);
  const known = [...simulation.nodes.values()].filter((node) => node.mesh.membership.members.size > 350);
  assert.ok(known.length >= 7, 'everybody was told of them');
  assert.ok(seen.most <= 16, `${seen.most} at a time`);

  const [one, other] = [nodeOf(simulation, 'n2'), nodeOf(simulation, 'n5')];
  simulation.loseLink(one, other, 0);
  simulation.pass(1);
  const back = simulation.until(() => linked(one, other), 20_000);
  assert.ok(back < 1000, `a lost link is back after ${back} ms`);

  // Of both kinds: who has to ask the others, and who has to be asked.
  for (const id of ['x', 'zz-long']) {
    const late = simulation.add(id);
    simulation.dial(late, 'n0');
    const old = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map((id) => nodeOf(simulation, id));
    const took = simulation.until(() => old.every((node) => linked(late, node)), 120_000);
    assert.ok(took < 30_000, `${id} is linked with all after ${took} ms`);
  }

  const before = { ...seen };
  simulation.pass(20_000);
  assert.ok(seen.most <= 32, `${seen.most} at a time`);
  const [made, sent] = [seen.offers - before.offers, seen.floods - before.floods];
  const nodes = simulation.nodes.size;
  assert.ok(made <= nodes * 16 * 3, `${made} offers in 20 s`);
  assert.ok(sent <= nodes * 1000, `${sent} messages of floods in 20 s`);
  assert.ok(!offers('x', 'zz-long'));
});

test('a list of nodes fits into one message by datachannel, however long somebody makes their records', () => {
  const { simulation, hostile } = withHostile(103);
  let longest = 0;
  simulation.watch = (_node, _event, effects) => {
    for (const effect of effects)
      if (effect.type === 'send' && effect.message.type === 'members')
        longest = Math.max(longest, encode(effect.message).length);
  };
  const padding = { padding: 'x'.repeat(400) };
  for (let part = 0; part < 4; part++) {
    const ids = Array.from({ length: 60 }, (_, i) => `long-${part}-${i}`);
    const entries = ids.map((id) => ({ ...hostile.record(id, undefined, id, padding), age: 0 }));
    hostile.say(nodeOf(simulation, 'n3'), { type: 'members', entries });
  }
  simulation.pass(10_000);
  const known = [...simulation.nodes.values()].filter((node) => node.mesh.membership.members.size > 240);
  assert.ok(known.length >= 7, 'everybody was told of them');
  assert.ok(longest > 30_000 && longest <= maxMessage - recordOverhead, `${longest} bytes`);
});

test('offers of invented nodes without end: so many are answered at a time, and an honest one among them', () => {
  const { simulation, hostile } = withHostile(101);
  const n3 = nodeOf(simulation, 'n3');
  let [answers, most] = [0, 0];
  simulation.watch = (node, _event, effects) => {
    if (node !== n3) return;
    answers += effects.filter(({ type }) => type === 'answer').length;
    const answering = [...node.mesh.links.values()].filter(
      ({ offerer, attempts, everUp }) => !offerer && attempts.size > 0 && !everUp,
    );
    most = Math.max(most, answering.length);
  };
  let i = 0;
  const stop = hostile.every(5, () => {
    const from = `invented-${i++ % 200}`;
    const body = { kind: 'offer', negotiation: `x${i}`, route: 'shared', sdp: 'v=0', keys: offeredKeys };
    hostile.say(n3, hostile.flood({ from, to: 'n3', signer: from, sender: hostile.record(from), body }));
  });
  simulation.pass(3000);
  const late = simulation.add('zz-long');
  simulation.dial(late, 'n0');
  const took = simulation.until(() => linked(late, n3), 60_000);
  assert.ok(took < 10_000, `linked after ${took} ms`);
  simulation.pass(2000);
  stop();
  assert.ok(i > 900, 'so many came');
  assert.ok(most <= 80, `${most} at a time`);
  assert.ok(answers <= 2 * 257, `${answers} of ${i} answered`);
});

test('a peer has so many offers answered and candidates tried in a minute, whatever it says', () => {
  const { simulation, hostile } = withHostile(102);
  const victim = [...simulation.nodes.values()].find(({ id }) => offers(hostile.id, id))!;
  let [answers, candidates] = [0, 0];
  simulation.watch = (node, _event, effects) => {
    if (node !== victim) return;
    answers += effects.filter(({ type }) => type === 'answer').length;
    candidates += effects.filter(({ type }) => type === 'add-candidate').length;
  };
  let i = 0;
  hostile.every(50, () => {
    const negotiation = `x${++i}`;
    const say = (body: Record<string, unknown>) =>
      hostile.say(victim, hostile.flood({ from: 'mallory', to: victim.id, signer: 'mallory', body }));
    say({ kind: 'offer', negotiation, route: 'shared', sdp: 'v=0', keys: offeredKeys });
    const third = Array.from({ length: 32 }, (_, j) => `candidate:1 1 UDP 1 192.0.2.1 ${1000 + j} typ host`);
    say({ kind: 'candidate', negotiation, candidates: third });
  });
  simulation.pass(60_000);
  assert.ok(answers <= 2 * 64, `${answers} answers`);
  assert.ok(candidates <= 2 * 192, `${candidates} candidates`);
});
