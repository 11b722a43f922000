/** Floods of a member that does not keep to the rules: what they teach, what becomes of them, what they cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../protocol/msgpack.ts';
import { answeredKeys, offeredKeys } from './descriptions.ts';
import { Hostile } from './hostile/gossip.ts';
import { formed, isFullMesh, linked, nodeOf } from './mesh-view.ts';
import type { Simulation } from './simulation.ts';

const offer = { kind: 'offer', negotiation: 'x', route: 'shared', sdp: 'v=0', keys: offeredKeys };
/** As large as a body may be. */
const large = { ...offer, sdp: 's'.repeat(16_384), more: 'm'.repeat(14_800) };

/** A full mesh of `size` nodes, one of which is hostile. */
function withHostile(seed: number, size: number): { simulation: Simulation; hostile: Hostile } {
  const simulation = formed(seed, size - 1);
  const hostile = new Hostile(simulation, 'n0');
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.pass(3000);
  return { simulation, hostile };
}

/** Floods that nodes send each other while `what` happens, and a second after. */
function floodsSent(simulation: Simulation, what: () => void): number {
  const sum = () => [...simulation.nodes.values()].reduce((total, { sent }) => total + sent.flood, 0);
  const before = sum();
  what();
  simulation.pass(1000);
  return sum() - before;
}

test('a flood that its sender did not sign goes nowhere and teaches no way', () => {
  const { simulation, hostile } = withHostile(80, 20);
  const ways = () => [...simulation.nodes.values()].map(({ mesh }) => [...mesh.routes]);
  const before = ways();
  for (const to of ['n3', 'nobody', '*']) {
    for (const signer of [undefined, 'mallory', 'n2']) {
      const message = hostile.flood({ from: 'n1', to, body: large, ...(signer && { signer }) });
      assert.equal(
        floodsSent(simulation, () => hostile.sayToAll(message)),
        0,
        `to ${to}, signed by ${signer}`,
      );
    }
  }
  assert.deepEqual(ways(), before);
});

test('a flood that crossed the mesh before goes nowhere when it comes again', () => {
  const { simulation, hostile } = withHostile(81, 8);
  const body = { kind: 'answer', negotiation: 'x', sdp: 'v=0', keys: answeredKeys };
  const message = hostile.flood({ from: 'mallory', to: '*', signer: 'mallory', body });
  const first = floodsSent(simulation, () => hostile.say(nodeOf(simulation, 'n1'), message));
  assert.ok(first > 0);
  for (const { mesh } of simulation.nodes.values()) {
    mesh.proven.young.clear();
    mesh.proven.old.clear();
  }
  assert.equal(
    floodsSent(simulation, () => hostile.sayToAll(message)),
    0,
  );
});

test('a link that is interrupted under forged floods every 3 ms is back within five seconds', () => {
  const { simulation, hostile } = withHostile(82, 8);
  const [one, other] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n5')];
  hostile.passNothingOn();
  hostile.every(3, () => {
    for (const [from, to] of [
      ['n3', 'n5'],
      ['n5', 'n3'],
    ] as const) {
      hostile.sayToAll(hostile.flood({ from, to, body: { kind: 'solicit' } }));
    }
  });
  simulation.pass(1000);
  simulation.loseLink(one, other, 0);
  simulation.pass(1);
  const took = simulation.until(() => linked(one, other), 20_000);
  assert.ok(took <= 5000, `after ${took} ms`);
});

test('ways that lead to who passes nothing on keep no link down: what is not answered goes by others, too', () => {
  for (const blind of [['n3'], ['n5'], ['n3', 'n5']]) {
    const { simulation, hostile } = withHostile(83, 8);
    const [one, other] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n5')];
    hostile.passNothingOn();
    simulation.loseLink(one, other, 0);
    for (const id of blind) nodeOf(simulation, id).mesh.routes.set(id === 'n3' ? 'n5' : 'n3', 'mallory');
    simulation.pass(1);
    const took = simulation.until(() => linked(one, other), 20_000);
    assert.ok(took <= 5000, `after ${took} ms where ${blind.join(' and ')} know a false way`);
  }
});

for (const lost of ['offer', 'answer'] as const) {
  test(`an ${lost} that gets lost is said again: no other connection is made for it`, () => {
    const simulation = formed(84, 8);
    const [one, other] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n5')];
    let swallowed = 0;
    simulation.swallows = ({ id }, message) => {
      if (message.type !== 'flood' || id !== message.from || swallowed > 0) return false;
      const { kind } = decode(message.body) as { kind: string };
      return kind === lost && ++swallowed > 0;
    };
    const made = { offer: 0, answer: 0 };
    simulation.watch = (_node, _event, effects) => {
      for (const { type } of effects) if (type === 'offer' || type === 'answer') made[type]++;
    };
    const messages = floodsSent(simulation, () => {
      simulation.loseLink(one, other, 0);
      simulation.pass(1);
      const took = simulation.until(() => linked(one, other), 20_000);
      assert.ok(took <= 3000, `after ${took} ms`);
    });
    assert.deepEqual({ swallowed, ...made }, { swallowed: 1, offer: 1, answer: 1 });
    assert.ok(messages <= 60, `${messages} messages`);
  });
}
