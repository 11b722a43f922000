/** Which key may speak for an ID, in a whole mesh: reinstalled nodes, invented ones, and what both sides are told. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex, prefixed } from '../control/core/environment.ts';
import { pinOf } from '../control/core/pins.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain, type MemberEntry } from '../protocol/signaling.ts';
import { fingerprintOf, keyOf, testEnvironment } from './environment.ts';
import { formed, isFullMesh, linked, negotiations, nodeOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

const minute = 60_000;

function entryOf(id: string, key: string, epoch = 1): MemberEntry {
  const record = encode({ id, key: keyOf(key), epoch, turn: false });
  const { sign } = testEnvironment(keyOf(key), 0);
  return { record, signature: sign(prefixed(domain.record, record)), age: 0 };
}

function hand(simulation: Simulation, node: SimulatedNode, from: string, ...entries: readonly MemberEntry[]) {
  const [channel] = [...node.mesh.neighbors].find(([, { id }]) => id === from)!;
  return simulation.happen(node, {
    type: 'message',
    channel,
    message: { type: 'members', entries: [...entries] },
  });
}

/** What the warning says to do: the operator adds a line, and has the file read again. */
function accept(simulation: Simulation, node: SimulatedNode, id: string): void {
  const [, line] = /accept its new key by: echo '([^']+)' >> identities && reload$/.exec(
    node.warnings.get(`identity ${id}`) ?? '',
  ) ?? ['', ''];
  const [named, key] = line!.split(' ');
  assert.equal(named, id, node.warnings.get(`identity ${id}`));
  node.pins.set(id, key!);
  simulation.happen(node, { type: 'pins', kept: node.pins });
}

const refusedBy = ({ mesh }: SimulatedNode, neighbor: string) =>
  Object.fromEntries(mesh.accounts.get(neighbor)?.refused ?? []);

const isLinked = (a: SimulatedNode, b: SimulatedNode) => () => linked(a, b);

suite('a node that was installed again', () => {
  for (const [id, through] of [
    ['n3', 'n0'],
    ['longer', 'n0'],
    ['n0', 'n0'],
  ] as const) {
    test(`${id}: both sides say so with both keys, and it links with each as soon as that accepts its key`, () => {
      const simulation = formed(80, 4);
      if (!simulation.nodes.has(id)) simulation.dial(simulation.add(id), 'n0');
      assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
      const before = nodeOf(simulation, id);
      simulation.kill(before, 1000);
      simulation.pass(2 * minute);
      const again = simulation.add(id, { key: 'installed again' });
      if (id !== through) simulation.dial(again, through);
      const [ours, old] = [fingerprintOf(again.key), fingerprintOf(before.key)];
      const others = [...simulation.nodes.values()].filter((node) => node !== again);
      simulation.pass(minute);
      const first = id === through ? others[1]! : nodeOf(simulation, through);
      const words = first.warnings.get(`identity ${id}`) ?? '';
      assert.ok(words.includes(`wants the ID "${id}": ${ours}, and its key here is ${old}`), words);
      assert.match(again.warnings.get('id')!, new RegExp(`^node ID "${id}" is not taken by `));
      assert.ok([ours, old].every((key) => again.warnings.get('id')!.includes(key)));
      for (const node of others) assert.ok(!node.interfaces.has(id));
      accept(simulation, first, id);
      assert.equal(first.warnings.get(`identity ${id}`), undefined);
      assert.ok(simulation.until(isLinked(first, again), minute) < 15_000);
      simulation.pass(minute);
      for (const node of others.filter((node) => node !== first)) {
        assert.ok(!linked(node, again), node.id);
        assert.ok(again.warnings.get('id') !== undefined, 'some refuse it still');
        accept(simulation, node, id);
        // Each of them was told of it meanwhile: nothing has to be heard first.
        assert.ok(simulation.until(isLinked(node, again), minute) < 15_000, node.id);
      }
      assert.ok(isFullMesh(simulation));
      simulation.pass(4 * minute);
      assert.deepEqual(
        [...simulation.nodes.values()].flatMap(({ warnings }) => [...warnings]),
        [],
      );
    });
  }

  test('the former key, of which nodes tell that have not accepted the new one yet, is none that wants the ID', () => {
    const simulation = formed(83, 4);
    const before = nodeOf(simulation, 'n3');
    const entry = entryOf('n3', 'n3', before.mesh.self.epoch);
    simulation.kill(before, 1000);
    simulation.pass(2 * minute);
    const again = simulation.add('n3', { key: 'installed again' });
    simulation.dial(again, 'n0');
    simulation.pass(minute);
    const node = nodeOf(simulation, 'n1');
    for (const each of [nodeOf(simulation, 'n0'), node]) {
      each.pins.set('n3', hex(again.key));
      simulation.happen(each, { type: 'pins', kept: each.pins });
    }
    assert.ok(simulation.until(isLinked(node, again), minute) < 30_000);
    assert.deepEqual([...node.warnings], []);
    hand(simulation, node, 'n2', entry);
    assert.deepEqual([...node.warnings], []);
    hand(simulation, node, 'n3', entry);
    assert.ok(node.warnings.has('identity n3'), 'by its own word it is');
    hand(simulation, node, 'n2', entryOf('n3', 'a third'));
    assert.ok(node.warnings.get('identity n3')!.includes('says n2'));
  });

  test('a line that is deleted accepts the next key, and a node that is linked stays', () => {
    const simulation = formed(81, 3);
    const node = nodeOf(simulation, 'n0');
    const before = negotiations(simulation);
    node.pins.clear();
    simulation.happen(node, { type: 'pins', kept: node.pins });
    simulation.pass(minute);
    assert.deepEqual(negotiations(simulation), before);
    simulation.kill(nodeOf(simulation, 'n2'), 1000);
    simulation.pass(5000);
    const again = simulation.add('n2', { key: 'installed again' });
    simulation.dial(again, 'n0');
    assert.ok(simulation.until(isLinked(node, again), minute) < 15_000);
  });
});

suite('which key is pinned', () => {
  test('a record pins nothing, a handshake for a day, a link for good', () => {
    const simulation = formed(82, 3);
    const node = nodeOf(simulation, 'n1');
    hand(simulation, node, 'n0', entryOf('invented', 'invented'));
    assert.equal(pinOf(node.mesh.membership.pins, 'invented'), undefined);
    assert.ok(node.mesh.membership.members.has('invented'));
    assert.deepEqual([...node.pins.keys()].sort(), ['n0', 'n2']);
    const apart = simulation.add('met', { policy: { allow: [], deny: ['*'] } });
    simulation.connect(apart, node);
    simulation.pass(minute);
    assert.equal(pinOf(node.mesh.membership.pins, 'met'), hex(apart.key));
    assert.ok(!node.pins.has('met'), 'never linked: not written');
    simulation.kill(apart, 100);
    simulation.pass(25 * 60 * minute);
    assert.equal(pinOf(node.mesh.membership.pins, 'met'), undefined);
  });

  test('an ID that somebody invented first is had by the node that proves its key, by a handshake or by a link', () => {
    for (const [seed, through] of [
      [83, 'n0'],
      [84, 'n2'],
    ] as const) {
      const simulation = formed(seed, 4);
      // A future epoch wins nothing.
      for (const node of simulation.nodes.values()) {
        if (node.id !== 'n3') hand(simulation, node, 'n3', entryOf('true', 'thief', 2 ** 50));
      }
      simulation.pass(5000);
      assert.ok(nodeOf(simulation, 'n0').mesh.membership.members.has('true'));
      simulation.dial(simulation.add('true'), through);
      assert.ok(simulation.until(() => isFullMesh(simulation), 2 * minute) < minute);
      for (const node of simulation.nodes.values()) {
        if (node.id !== 'true') assert.equal(node.pins.get('true'), hex(keyOf('true')));
      }
    }
  });

  test('another key for an ID that is linked is said by both sides, with an epoch of the future too, and disturbs nothing', () => {
    const simulation = formed(85, 4);
    const before = negotiations(simulation);
    const thief = simulation.add('n2', { key: 'thief', apart: true, epoch: 2 ** 50 });
    for (const node of simulation.nodes.values()) simulation.connect(thief, node);
    simulation.pass(1000);
    for (const node of simulation.nodes.values()) {
      if (node.id === 'n2') assert.ok(node.warnings.get('id-elsewhere')!.includes(fingerprintOf(thief.key)));
      else assert.match(node.warnings.get('identity n2')!, /the node that has it is linked; refused/);
    }
    assert.ok(thief.warnings.get('id')!.includes(fingerprintOf(keyOf('n2'))));
    simulation.pass(minute);
    assert.deepEqual(negotiations(simulation), before);
  });

  test('a key that the operator names while the node runs ends the link of another, and no other link', () => {
    const simulation = formed(87, 4);
    const [n0, n2] = [nodeOf(simulation, 'n0'), nodeOf(simulation, 'n2')];
    const others = () => negotiations(simulation).filter((line) => !/^n[02] n[02] /.test(line));
    const before = others();
    const name = (named: ReadonlyMap<string, string>) =>
      simulation.happen(n0, { type: 'config', config: { ...n0.mesh.config, named } });
    name(new Map([['n2', hex(keyOf('n2'))]]));
    assert.ok(isLinked(n0, n2)(), 'its own key changes nothing');
    name(new Map([['n2', hex(keyOf('thief'))]]));
    assert.ok(!n0.interfaces.has('n2') && !n0.mesh.membership.members.has('n2'));
    simulation.pass(minute);
    assert.ok(!n0.interfaces.has('n2'));
    name(new Map());
    assert.ok(simulation.until(isLinked(n0, n2), minute) < minute);
    assert.deepEqual(others(), before);
  });

  test('a key that the operator named is the only one, whoever comes first', () => {
    const simulation = formed(86, 2);
    const node = simulation.add('guarded', { named: new Map([['late', hex(keyOf('late'))]]) });
    simulation.dial(node, 'n0');
    simulation.pass(5000);
    const thief = simulation.add('late', { key: 'thief', apart: true });
    simulation.connect(thief, node);
    hand(simulation, node, 'n0', entryOf('late', 'thief'));
    assert.match(
      node.warnings.get('identity late')!,
      /accept its new key by: change what the configuration names for it$/,
    );
    assert.ok(!node.mesh.membership.members.has('late'));
    simulation.dial(simulation.add('late'), 'guarded');
    assert.ok(simulation.until(isLinked(node, nodeOf(simulation, 'late')), minute) < 5000);
    assert.equal(node.warnings.get('identity late'), undefined);
    assert.ok(!node.pins.has('late'));
  });
});

test('a fingerprint that the operator named lets in the one key that has it, as a kept one does', () => {
  const named = new Map([['late', fingerprintOf(keyOf('late'))]]);
  const simulation = formed(92, 2);
  const node = simulation.add('guarded', { named });
  simulation.dial(node, 'n0');
  simulation.pass(5000);
  const thief = simulation.add('late', { key: 'thief', apart: true });
  simulation.connect(thief, node);
  hand(simulation, node, 'n0', entryOf('late', 'thief'));
  assert.ok(node.warnings.get('identity late')!.includes(`its key here is ${named.get('late')}`));
  assert.ok(!node.mesh.membership.members.has('late'));
  const late = simulation.add('late');
  simulation.dial(late, 'n0');
  assert.ok(simulation.until(isLinked(node, late), minute) < 5000, 'hearsay and a link are enough');
  assert.equal(pinOf(node.mesh.membership.pins, 'late'), hex(late.key));
  assert.equal(node.warnings.get('identity late'), undefined);
});

suite('one ID for a key', () => {
  test('a key that claims any number of IDs has one, and newcomers have theirs', () => {
    const simulation = formed(87, 3);
    const node = nodeOf(simulation, 'n1');
    for (let i = 0; i < 20; i++) {
      const entries = Array.from({ length: 100 }, (_, j) => entryOf(`x${100 * i + j}`, 'thief', 2 ** 50));
      hand(simulation, node, 'n2', ...entries);
    }
    assert.deepEqual(
      [...node.mesh.membership.members.keys()].filter((id) => id.startsWith('x')),
      ['x0'],
    );
    const said = node.notices.filter((line) => line.startsWith('warn node refused'));
    assert.equal(said.length, 1);
    assert.deepEqual(refusedBy(node, 'n2'), { key_in_use: 1999 });
    simulation.pass(minute);
    const [line] = hand(simulation, node, 'n2', entryOf('x9', 'thief', 2 ** 50));
    assert.ok(line?.type === 'notice' && line.fields.leftOut === 1998, JSON.stringify(line));
    simulation.dial(simulation.add('honest'), 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
  });

  test('a node that was given another ID has it when the one before is gone; a copy under another ID is refused', () => {
    const simulation = formed(88, 3);
    const copy = simulation.add('copy', { key: 'n2', apart: true });
    simulation.connect(copy, nodeOf(simulation, 'n0'));
    simulation.pass(5000);
    assert.match(copy.warnings.get('id')!, /a node of another ID has our key .*; was the machine copied\?/);
    assert.ok(isFullMesh(simulation));
    simulation.stop(nodeOf(simulation, 'n2'));
    simulation.pass(1000);
    const renamed = simulation.add('renamed', { key: 'n2' });
    simulation.dial(renamed, 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
    assert.equal(nodeOf(simulation, 'n0').pins.get('renamed'), hex(keyOf('n2')));
  });
});

test('a line that is deleted after the fact accepts the node that is refused', () => {
  const simulation = formed(91, 3);
  const node = nodeOf(simulation, 'n0');
  simulation.kill(nodeOf(simulation, 'n2'), 1000);
  simulation.pass(5000);
  const again = simulation.add('n2', { key: 'installed again' });
  simulation.dial(again, 'n0');
  simulation.pass(1000);
  assert.ok(node.warnings.has('identity n2'));
  node.pins.delete('n2');
  simulation.happen(node, { type: 'pins', kept: node.pins });
  assert.equal(node.warnings.get('identity n2'), undefined);
  assert.ok(simulation.until(isLinked(node, again), minute) < 15_000);
});

test('who makes keys for the IDs of others without end is said in eight warnings and a line a minute', () => {
  const simulation = formed(89, 12);
  const node = nodeOf(simulation, 'n1');
  const notices = () => node.notices.filter((line) => line.startsWith('warn identity refused'));
  for (let i = 0; i < 50; i++) {
    for (const { id } of simulation.nodes.values()) {
      if (id !== 'n1') hand(simulation, node, 'n2', entryOf(id, `thief ${i}`, 2 ** 50));
    }
  }
  assert.equal([...node.warnings.keys()].filter((key) => key.startsWith('identity')).length, 8);
  assert.equal(notices().length, 1);
  assert.deepEqual(refusedBy(node, 'n2'), { identity_mismatch: 50 * 11 });
  simulation.happen(node, { type: 'claim', id: 'n11', key: keyOf('installed again') });
  assert.ok(node.warnings.has('identity n11'), 'what was proved counts more than what was told');
  assert.equal(node.mesh.disputes.size, 8);
  simulation.pass(4 * minute);
  assert.deepEqual([...node.warnings], [], 'it is over when nobody says it any more');
  assert.ok(isFullMesh(simulation));
});

test('records of our own ID without a signature that holds are nothing to say a word about', () => {
  const simulation = formed(90, 3);
  const node = nodeOf(simulation, 'n1');
  const forged = { ...entryOf('n1', 'thief'), signature: new Uint8Array(64) };
  for (let i = 0; i < 100; i++) assert.deepEqual(hand(simulation, node, 'n2', forged), []);
  assert.deepEqual(refusedBy(node, 'n2'), { forged: 100 });
  hand(simulation, node, 'n2', entryOf('n1', 'thief'));
  assert.deepEqual(refusedBy(node, 'n2'), { forged: 100, id_in_use: 1 });
});
