/** What one neighbor may cost the others, whatever it says, and what becomes of honest links meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neighborStatuses } from '../control/status.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import { answeredKeys } from './descriptions.ts';
import { Hostile } from './hostile/gossip.ts';
import { formed, isFullMesh, nodeOf } from './mesh-view.ts';
import { sizeOf } from './simulated-message.ts';
import type { Simulation } from './simulation.ts';

interface Sent {
  messages: number;
  bytes: number;
}

/** A full mesh of twenty nodes, one of which is hostile, and what the others send from then on. */
function withHostile(seed: number): { simulation: Simulation; hostile: Hostile; sent: Sent } {
  const simulation = formed(seed, 19);
  const hostile = new Hostile(simulation, 'n0');
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.pass(30_000);
  const sent = { messages: 0, bytes: 0 };
  simulation.watch = (node, _event, effects) => {
    if (node === hostile.node) return;
    for (const effect of effects) {
      if (effect.type !== 'send') continue;
      sent.messages++;
      sent.bytes += sizeOf(effect.message);
    }
  };
  return { simulation, hostile, sent };
}

function refusedBy(simulation: Simulation, id: string, neighbor = 'mallory'): Record<string, number> {
  const statuses = neighborStatuses(nodeOf(simulation, id).mesh);
  return statuses.find(({ id }) => id === neighbor)!.refused ?? {};
}

const wrongDigest: NeighborMessage = { type: 'alive', digest: new Uint8Array(8), ask: [] };

test('whoever says all the time that it knows other nodes is told the list once in ten seconds', () => {
  const { simulation, hostile, sent } = withHostile(90);
  hostile.every(10, () => hostile.say(nodeOf(simulation, 'n3'), wrongDigest));
  simulation.pass(20_000);
  assert.ok(sent.messages < 20 * 25, `${sent.messages} messages`);
  assert.ok(sent.bytes < 100_000, `${sent.bytes} bytes`);
  assert.ok(refusedBy(simulation, 'n3').lists! > 10, 'lists are counted');
  assert.ok(refusedBy(simulation, 'n3').alives! > 1000, 'and so is what was not looked at');
  assert.deepEqual(refusedBy(simulation, 'n4'), {});
});

test('a neighbor that connects again and again is told the list a few times', () => {
  const { simulation, hostile, sent } = withHostile(91);
  const n3 = nodeOf(simulation, 'n3');
  for (let i = 0; i < 200; i++) simulation.disconnect(n3, simulation.connect(hostile.node, n3)!);
  simulation.pass(1000);
  assert.ok(sent.bytes < 200_000, `${sent.bytes} bytes`);
  assert.ok(refusedBy(simulation, 'n3').welcomes! >= 190);
});

test('a node that starts again without end is told of once in ten seconds', () => {
  const { simulation, hostile, sent } = withHostile(92);
  let epoch = hostile.node.mesh.self.epoch;
  const stop = hostile.every(100, () => {
    hostile.say(nodeOf(simulation, 'n3'), {
      type: 'members',
      entries: [{ ...hostile.record('mallory', ++epoch), age: 0 }],
    });
  });
  simulation.pass(60_000);
  stop();
  // Whoever it is that starts is told of its other starts as well, by each node once in a while.
  const own = 19 * 4 * 20 + 20 * 20;
  assert.ok(sent.messages < own + 8 * 400, `${sent.messages} messages`);
  assert.ok(refusedBy(simulation, 'n3').starts! > 500);
});

test('floods by all ways that a node signs itself cost so many bytes in a minute, and nobody else’s links', () => {
  const { simulation, hostile, sent } = withHostile(93);
  const body = {
    kind: 'answer',
    negotiation: 'x',
    sdp: 's'.repeat(16_384),
    keys: answeredKeys,
    wide: true,
    more: 'm'.repeat(14_800),
  };
  const stop = hostile.every(50, () => {
    for (const node of hostile.neighbors) {
      hostile.say(node, hostile.flood({ from: 'mallory', to: '*', signer: 'mallory', body }));
    }
  });
  simulation.pass(4000);
  simulation.loseLink(nodeOf(simulation, 'n3'), nodeOf(simulation, 'n5'), 0);
  simulation.pass(1000);
  stop();
  assert.ok(sent.bytes < 20 * 5 * 1_048_576, `${sent.bytes} bytes`);
  assert.ok(refusedBy(simulation, 'n4').copies! > 50);
  simulation.pass(10_000);
  assert.ok(isFullMesh(simulation));
  assert.match(nodeOf(simulation, 'n4').warnings.get('excess mallory')!, /more than a node has to/);
  simulation.pass(80_000);
  assert.equal(nodeOf(simulation, 'n4').warnings.get('excess mallory'), undefined);
});
