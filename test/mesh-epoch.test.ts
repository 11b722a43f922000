/** A node that starts with an earlier epoch than the mesh knows of it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { prefixed } from '../control/core/environment.ts';
import type { Effect } from '../control/core/events.ts';
import { leave } from '../control/core/membership.ts';
import { encode } from '../protocol/msgpack.ts';
import { lastEpoch } from '../protocol/schema.ts';
import { domain, type MemberEntry, type NeighborMessage } from '../protocol/signaling.ts';
import { keyOf, testEnvironment } from './environment.ts';
import { formed, isFullMesh, missing, nodeOf, viewOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

const minute = 60_000;
const never = Number.POSITIVE_INFINITY;

/** A start in 1970, as on a machine without a clock. */
const early = 3_000;

function comesBack(simulation: Simulation, limit: number): void {
  const took = simulation.until(() => isFullMesh(simulation), limit);
  const pair = missing(simulation.nodes.values());
  assert.ok(Number.isFinite(took), `not linked after ${limit} ms: ${pair?.map(({ id }) => id)}`);
}

function epochOf(node: SimulatedNode): number {
  return node.mesh.self.epoch;
}

/** A record of `id` with this epoch; `signer` signs. */
function entryOf(id: string, epoch: number, { signer = id, age = 0 } = {}): MemberEntry {
  const record = encode({ id, key: keyOf(id), epoch, turn: false });
  return { record, signature: testEnvironment(keyOf(signer), 0).sign(prefixed(domain.record, record)), age };
}

function membersOf(...entries: readonly MemberEntry[]): NeighborMessage {
  return { type: 'members', entries: [...entries] };
}

/** Hands a message to `node` from its first neighbor, or from `from`. */
function hand(
  simulation: Simulation,
  node: SimulatedNode,
  message: NeighborMessage,
  from?: string,
): readonly Effect[] {
  const [channel] = [...node.mesh.neighbors].find(([, { id }]) => from === undefined || id === from)!;
  return simulation.happen(node, { type: 'message', channel, message });
}

const isShown = (effect: Effect) => effect.type === 'send' && effect.message.type === 'members';

suite('a node that comes back with an earlier epoch', () => {
  for (const id of ['n3', 'long-id']) {
    for (const epoch of [early, 0]) {
      test(`${id} after its goodbye, at epoch ${epoch}: linked again within three seconds, and both sides say why`, () => {
        const simulation = formed(60, 4);
        if (id === 'long-id') simulation.dial(simulation.add(id), 'n0');
        comesBack(simulation, 3000);
        const before = epochOf(nodeOf(simulation, id));
        simulation.stop(nodeOf(simulation, id));
        simulation.pass(5000);
        const again = simulation.add(id, { epoch });
        simulation.dial(again, 'n1');
        comesBack(simulation, 3000);
        assert.equal(epochOf(again), before + 1);
        assert.equal(again.keptEpoch, before + 1);
        assert.match(again.warnings.get('epoch')!, /the clock is behind/);
        assert.match(
          nodeOf(simulation, 'n1').warnings.get(`epoch ${id}`)!,
          /earlier than that of its last start/,
        );
        for (const node of simulation.nodes.values()) {
          if (node !== again) assert.equal(node.mesh.membership.members.get(id)!.record.epoch, before + 1);
        }
        simulation.pass(minute);
        assert.deepEqual([...nodeOf(simulation, 'n1').warnings], [], 'the peer’s is over');
        simulation.pass(10 * minute);
        assert.deepEqual([...again.warnings], []);
        assert.ok(isFullMesh(simulation));
      });
    }
  }

  test('after a goodbye that is hours ago', () => {
    const simulation = formed(61, 4);
    const before = epochOf(nodeOf(simulation, 'n2'));
    simulation.stop(nodeOf(simulation, 'n2'));
    simulation.pass(180 * minute);
    const again = simulation.add('n2', { epoch: early });
    simulation.dial(again, 'n0');
    comesBack(simulation, 3000);
    assert.equal(epochOf(again), before + 1);
  });

  for (const noticed of [0, 3000, never]) {
    test(`after a kill that the peers notice after ${noticed} ms`, () => {
      const simulation = formed(62, 5);
      const before = epochOf(nodeOf(simulation, 'n3'));
      simulation.kill(nodeOf(simulation, 'n3'), noticed);
      simulation.pass(1000);
      const again = simulation.add('n3', { epoch: early });
      simulation.dial(again, 'n1');
      simulation.pass(10);
      comesBack(simulation, 5000);
      assert.equal(epochOf(again), before + 1);
    });
  }

  test('after everybody has forgotten it for its silence', () => {
    const simulation = formed(63, 4);
    const before = epochOf(nodeOf(simulation, 'n3'));
    simulation.kill(nodeOf(simulation, 'n3'), 1000);
    simulation.pass(3 * minute);
    assert.ok(![...simulation.nodes.values()].some(({ mesh }) => mesh.membership.members.has('n3')));
    const again = simulation.add('n3', { epoch: early });
    simulation.dial(again, 'n2');
    comesBack(simulation, 3000);
    assert.equal(epochOf(again), before + 1);
  });

  test('while its dataplane keeps its links: none of them is disturbed', () => {
    for (const id of ['n0', 'n2']) {
      const simulation = formed(64, 4);
      const node = nodeOf(simulation, id);
      const before = epochOf(node);
      simulation.watch = (who, event, effects) => {
        for (const { type } of effects) {
          assert.ok(type !== 'close' && type !== 'remove', `${who.id}: ${event.type} led to ${type}`);
        }
      };
      simulation.restartControl(node, { epoch: early });
      simulation.pass(5000);
      assert.equal(epochOf(node), before + 1);
      assert.ok(isFullMesh(simulation));
    }
  });

  test('through a node that never heard of it, where only those behind that one know', () => {
    for (const gone of [2000, 10 * minute]) {
      const simulation = formed(65, 4);
      const before = epochOf(nodeOf(simulation, 'n3'));
      simulation.stop(nodeOf(simulation, 'n3'));
      simulation.pass(gone);
      simulation.dial(simulation.add('fresh'), 'n0');
      comesBack(simulation, 3000);
      const again = simulation.add('n3', { epoch: early });
      simulation.dial(again, 'fresh');
      comesBack(simulation, 5000);
      assert.equal(epochOf(again), before + 1, `${gone} ms`);
    }
  });

  test('through a network that loses a third of what is said', () => {
    for (const seed of [66, 67, 68]) {
      const simulation = formed(seed, 4);
      simulation.stop(nodeOf(simulation, 'n3'));
      simulation.pass(5000);
      simulation.faults = { loss: 0.33, repeat: 0.2, delay: 200 };
      simulation.dial(simulation.add('n3', { epoch: early }), 'n1');
      comesBack(simulation, 2 * minute);
    }
  });

  test('from a time when its clock was far ahead: it goes on there', () => {
    const simulation = formed(69, 3);
    const far = 2 ** 50;
    simulation.dial(simulation.add('n7', { epoch: far }), 'n0');
    comesBack(simulation, 3000);
    simulation.stop(nodeOf(simulation, 'n7'));
    simulation.pass(5000);
    const again = simulation.add('n7');
    simulation.dial(again, 'n0');
    comesBack(simulation, 3000);
    assert.equal(epochOf(again), far + 1);
  });

  test('again and again: each start is one later than the last', () => {
    const simulation = formed(70, 3);
    let before = epochOf(nodeOf(simulation, 'n2'));
    for (let i = 0; i < 10; i++) {
      // Two starts at a time are told at once, as long as they are ten seconds apart on average.
      simulation.pass(20_000);
      simulation.stop(nodeOf(simulation, 'n2'));
      simulation.pass(1000);
      const again = simulation.add('n2', { epoch: early });
      simulation.dial(again, 'n0');
      comesBack(simulation, 3000);
      assert.equal(epochOf(again), ++before);
    }
  });

  test('what was said to it before it took a later epoch still counts, what was said to an earlier start does not', () => {
    const simulation = formed(71, 3);
    const before = epochOf(nodeOf(simulation, 'n2'));
    simulation.stop(nodeOf(simulation, 'n2'));
    simulation.pass(1000);
    const again = simulation.add('n2', { epoch: early });
    simulation.dial(again, 'n0');
    comesBack(simulation, 3000);
    assert.deepEqual(again.mesh.epochs.own, [early, before + 1]);
    assert.ok(!again.mesh.epochs.own.includes(before));
  });
});

suite('what moves no epoch', () => {
  test('a record of ours that we did not sign, an earlier one, and one at the end of all numbers', () => {
    const simulation = formed(72, 3);
    const node = nodeOf(simulation, 'n2');
    const before = viewOf(node);
    const { epoch } = node.mesh.self;
    const entries = [
      entryOf('n2', epoch + 5, { signer: 'n1' }),
      { ...entryOf('n2', epoch + 5), signature: new Uint8Array(64) },
      entryOf('n2', epoch - 5),
      entryOf('n2', epoch),
      entryOf('n2', Number.MAX_SAFE_INTEGER),
      entryOf('n2', lastEpoch),
      entryOf('n2', Number.MAX_SAFE_INTEGER - 1),
    ];
    for (const entry of entries) assert.deepEqual(hand(simulation, node, membersOf(entry)), []);
    assert.deepEqual(viewOf(node), before);
    assert.deepEqual([...node.warnings], []);
  });

  test('a record of another node at the end of all numbers, which would leave no later start to it', () => {
    const simulation = formed(71, 3);
    const [node, peer] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
    const before = viewOf(node);
    for (const epoch of [Number.MAX_SAFE_INTEGER, lastEpoch + 1])
      assert.deepEqual(hand(simulation, node, membersOf(entryOf('n2', epoch))), []);
    assert.deepEqual(viewOf(node), before);
    simulation.restartControl(peer);
    simulation.dial(peer, 'n0');
    comesBack(simulation, 3000);
  });

  test('a later record of ours, however often it is said again', () => {
    const simulation = formed(73, 3);
    const node = nodeOf(simulation, 'n2');
    const later = entryOf('n2', epochOf(node) + 100);
    hand(simulation, node, membersOf(later));
    const once = epochOf(node);
    for (let i = 0; i < 100; i++) assert.deepEqual(hand(simulation, node, membersOf(later)), []);
    assert.equal(epochOf(node), once);
    comesBack(simulation, 1000);
  });
});

suite('hostile neighbors', () => {
  test('who sends earlier records without end is shown sixteen in a second, and nobody else anything', () => {
    const simulation = formed(74, 4);
    const node = nodeOf(simulation, 'n1');
    const { epoch } = nodeOf(simulation, 'n2').mesh.self;
    const lies = Array.from({ length: 200 }, (_, i) => entryOf('n2', epoch - 1 - i));
    const shown = hand(simulation, node, membersOf(...lies), 'n3').filter(isShown);
    // Some tell the node itself: it might be one of two machines with one key.
    const toOthers = shown.filter((effect) => effect.type === 'send' && effect.channel !== 'link:n3');
    assert.ok(shown.length - toOthers.length <= 16 && toOthers.length <= 4, `${shown.length}`);
    for (const told of toOthers) shown.splice(shown.indexOf(told), 1);
    assert.equal(shown.length, 16);
    const [channel] = [...node.mesh.neighbors].find(([, { id }]) => id === 'n3')!;
    for (const effect of shown)
      assert.ok(effect.type === 'send' && node.mesh.neighbors.get(effect.channel)?.id === 'n3', channel);
    assert.equal(node.mesh.membership.members.get('n2')!.record.epoch, epoch);
    assert.deepEqual([...node.warnings], [], 'hearsay is no reason to warn of a peer');
    simulation.pass(1000);
    assert.equal(hand(simulation, node, membersOf(lies[0]!), 'n3').filter(isShown).length, 1);
  });

  test('earlier records with a signature that does not hold are answered by nothing', () => {
    const simulation = formed(75, 3);
    const { epoch } = nodeOf(simulation, 'n2').mesh.self;
    const forged = { ...entryOf('n2', epoch - 1), signature: new Uint8Array(64) };
    assert.deepEqual(hand(simulation, nodeOf(simulation, 'n1'), membersOf(forged)), []);
  });

  test('a later record of a neighbor, told in a loop, is passed on four times in ten seconds', () => {
    const simulation = formed(76, 4);
    const node = nodeOf(simulation, 'n1');
    const old = entryOf('n2', epochOf(nodeOf(simulation, 'n2')) + 9, { age: 5 * minute });
    let passed = 0;
    for (let i = 0; i < 20; i++)
      passed += hand(simulation, node, membersOf(old), 'n3').filter(isShown).length;
    assert.equal(passed, 4);
  });

  test('thousands of nodes that come only to leave do not push out what is kept of one that stayed', () => {
    const simulation = formed(77, 2);
    const stayed = simulation.add('stayed');
    simulation.dial(stayed, 'n0');
    comesBack(simulation, 3000);
    simulation.pass(10 * minute);
    const { epoch } = stayed.mesh.self;
    simulation.stop(stayed);
    simulation.pass(1000);
    const node = nodeOf(simulation, 'n0');
    for (let i = 0; i < 5000; i++) {
      hand(simulation, node, membersOf(entryOf(`x${i}`, 1)));
      leave(node.mesh.membership, `x${i}`, 1);
    }
    const { former } = node.mesh.membership;
    assert.equal(former.size, 4096);
    assert.equal(former.get('stayed')?.record.epoch, epoch);
  });
});
