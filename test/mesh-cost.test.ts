/**
 * What a mesh costs in messages. For n nodes around one bootstrap node, nothing lost:
 *
 *   one flood      a node passes it on at most once, at most one message to each neighbor, none back to whom it came from
 *   forming        2 · n · (n − 1) floods (offer, answer, and candidates both ways for each pair), and on average at most
 *                  two messages for each of them (to the bootstrap node and on); at most 6 · (n − 1) lists of members
 *   a newcomer     4 floods for each of its links; each node tells each neighbor of it at most once
 *   a lost link    4 floods, and up to 2 by which the side that does not offer asks
 *   signatures     while n nodes form: at most three verified and two made for each link, also by the bootstrap node that
 *                  passes everything on
 *   steady state   for each node and interval one `alive` to each neighbor; no flood, no list
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../control/core/events.ts';
import { signWith, verifyWith } from '../control/io/crypto.ts';
import type { FloodMessage } from '../protocol/signaling.ts';
import { newIdentity } from './identity.ts';
import { formed, isFullMesh, nodeOf, star } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

/** Milliseconds of signatures, at most, for any node while a hundred join at once. */
const mostWork = 500;
/** Bytes of the body of an offer, about: a description, and keys of 1,216 bytes. */
const offerBytes = 2048;

const aliveInterval = 20_000;
/** Announcements come up to a tenth early. */
const shortestInterval = 0.9 * aliveInterval;

type Sent = Extract<Effect, { type: 'send' }>;

/** Checks every flood of every node on its way; returns how often each was sent. */
function followFloods(simulation: Simulation): Map<string, number> {
  const messages = new Map<string, number>();
  const passed = new Map<SimulatedNode, Set<string>>();
  simulation.watch = (node, event, effects) => {
    const ofNode = passed.get(node) ?? new Set();
    passed.set(node, ofNode);
    const source = event.type === 'message' ? node.mesh.neighbors.get(event.channel)?.id : undefined;
    const targets = new Map<string, Set<string>>();
    for (const effect of effects) {
      if (effect.type !== 'send' || effect.message.type !== 'flood') continue;
      const { channel, message } = effect as Sent & { message: FloodMessage };
      const key = Buffer.from(message.signature).toString('hex');
      const target = node.mesh.neighbors.get(channel)!.id;
      assert.ok(!ofNode.has(key), `${node.id} passes on a flood a second time`);
      assert.ok(!targets.get(key)?.has(target), `${node.id} sends a flood to ${target} twice`);
      if (event.type === 'message' && message.from !== node.id) {
        assert.notEqual(target, source, 'back to where it came from');
        assert.notEqual(target, message.from, 'back to who made it');
      }
      targets.set(key, (targets.get(key) ?? new Set()).add(target));
      messages.set(key, (messages.get(key) ?? 0) + 1);
    }
    for (const key of targets.keys()) ofNode.add(key);
  };
  return messages;
}

/** By node. */
function countSignatures(simulation: Simulation): Map<string, { made: number; verified: number }> {
  const counts = new Map<string, { made: number; verified: number }>();
  const plain = simulation.environmentOf.bind(simulation);
  simulation.environmentOf = (node) => {
    const environment = plain(node);
    const count = counts.get(node.id) ?? { made: 0, verified: 0 };
    counts.set(node.id, count);
    return {
      ...environment,
      sign: (message) => {
        count.made++;
        return environment.sign(message);
      },
      verify: (...signed) => {
        count.verified++;
        return environment.verify(...signed);
      },
    };
  };
  return counts;
}

/** Milliseconds of processor time that one signature of an offer takes this machine to make, and to verify. */
function signatureTimes(): { make: number; verify: number } {
  const identity = newIdentity();
  const message = new Uint8Array(offerBytes).fill(7);
  const signature = signWith(identity, message);
  const timeOf = (work: () => unknown) => {
    const before = process.cpuUsage();
    for (let i = 0; i < 1000; i++) work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000_000;
  };
  return {
    make: timeOf(() => signWith(identity, message)),
    verify: timeOf(() => verifyWith(identity.publicKey, message, signature)),
  };
}

function sum(simulation: Simulation, kind: 'alive' | 'members' | 'flood'): number {
  return [...simulation.nodes.values()].reduce((total, { sent }) => total + sent[kind], 0);
}

for (const n of [2, 5, 10, 20, 30]) {
  test(`${n} nodes form and stay a mesh at the stated cost`, () => {
    const simulation = star(60, 0);
    const floods = followFloods(simulation);
    const signatures = countSignatures(simulation);
    simulation.add('n0');
    for (let i = 1; i < n; i++) simulation.dial(simulation.add(`n${i}`), 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), 60_000) < 5000);
    simulation.pass(1000);
    assert.equal(floods.size, 2 * n * (n - 1));
    const messages = sum(simulation, 'flood');
    assert.ok(messages <= floods.size * 2, `${messages} messages of ${floods.size} floods`);
    assert.ok(sum(simulation, 'members') <= 6 * (n - 1), `${sum(simulation, 'members')} lists`);
    for (const [id, { made, verified }] of signatures) {
      assert.ok(
        made <= 2 * (n - 1) + 1 && verified <= 3 * (n - 1),
        `${id}: ${made} made, ${verified} verified`,
      );
    }

    simulation.pass(2 * aliveInterval);
    const before = [...simulation.nodes.values()].map(({ sent }) => ({ ...sent }));
    const intervals = n > 20 ? 5 : 20;
    simulation.pass(intervals * aliveInterval);
    const most = Math.ceil((intervals * aliveInterval) / shortestInterval) * (n - 1);
    for (const [i, { id, sent }] of [...simulation.nodes.values()].entries()) {
      assert.equal(sent.flood, before[i]!.flood, `${id} floods`);
      assert.equal(sent.members, before[i]!.members, `${id} sends lists`);
      const alive = sent.alive - before[i]!.alive;
      assert.ok(alive <= most && alive >= (intervals - 1) * (n - 1), `${id}: ${alive} announcements`);
    }
  });
}

test('while a hundred nodes join at once, none has half a second of signatures to make and verify', (context) => {
  const n = 100;
  const simulation = star(64, 0);
  const signatures = countSignatures(simulation);
  simulation.add('n0');
  for (let i = 1; i < n; i++) simulation.dial(simulation.add(`n${i}`), 'n0');
  const took = simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.pass(1000);
  const { make, verify } = signatureTimes();
  const work = [...signatures].map(([id, { made, verified }]) => ({
    ...{ id, made, verified },
    milliseconds: made * make + verified * verify,
  }));
  const busiest = work.reduce((a, b) => (b.milliseconds > a.milliseconds ? b : a));
  const [making, verifying] = [make, verify].map((ms) => ms.toFixed(3));
  context.diagnostic(
    `linked after ${took.toFixed(0)} ms of virtual time; ${busiest.id} makes ${busiest.made} signatures of ${making} ms ` +
      `and verifies ${busiest.verified} of ${verifying} ms: ${busiest.milliseconds.toFixed(0)} ms`,
  );
  assert.ok(busiest.milliseconds <= mostWork, JSON.stringify(busiest));
});

test('a node that joins a mesh of twenty costs four floods for each link, and one list from each node to each neighbor', () => {
  const simulation = formed(61, 20);
  simulation.pass(2 * aliveInterval);
  const lists = sum(simulation, 'members');
  const floods = followFloods(simulation);
  simulation.dial(simulation.add('late'), 'n7');
  simulation.until(() => isFullMesh(simulation), 10_000);
  simulation.pass(1000);
  assert.equal(floods.size, 4 * 20);
  assert.ok(sum(simulation, 'members') - lists <= 20 * 21, `${sum(simulation, 'members') - lists} lists`);
});

test('a control that starts again in a mesh of twenty costs no flood', () => {
  const simulation = formed(62, 20);
  simulation.pass(2 * aliveInterval);
  const lists = sum(simulation, 'members');
  const floods = followFloods(simulation);
  simulation.restartControl(nodeOf(simulation, 'n5'));
  simulation.pass(10_000);
  assert.equal(floods.size, 0);
  assert.ok(sum(simulation, 'members') - lists <= 20 * 20, `${sum(simulation, 'members') - lists} lists`);
});

test('a lost link costs at most six floods', () => {
  const simulation = formed(63, 10);
  simulation.pass(2 * aliveInterval);
  const floods = followFloods(simulation);
  simulation.loseLink(nodeOf(simulation, 'n3'), nodeOf(simulation, 'n4'), 0);
  simulation.pass(10_000);
  assert.ok(isFullMesh(simulation));
  assert.ok(floods.size >= 4 && floods.size <= 6, `${floods.size} floods`);
});
