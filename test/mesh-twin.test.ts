/** Another node with our ID, of which we hear through the mesh. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixed } from '../control/core/environment.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain, type MemberEntry } from '../protocol/signaling.ts';
import { fingerprintOf, keyOf, testEnvironment } from './environment.ts';
import { formed, isFullMesh, negotiations, nodeOf } from './mesh-view.ts';

/** A record of `id` with the key of `other`, signed by `signer`. */
function entryOf(id: string, other: string, signer = other): MemberEntry {
  const record = encode({ id, key: keyOf(other), epoch: 1, turn: false });
  const { sign } = testEnvironment(keyOf(signer), 0);
  return { record, signature: sign(prefixed(domain.record, record)), age: 0 };
}

test('a node that hears of another one with its ID warns with both keys while that goes on, and no longer', () => {
  const simulation = formed(61, 3);
  const node = nodeOf(simulation, 'n1');
  const [channel, { id: teller }] = [...node.mesh.neighbors][0]!;
  const hear = (entry: MemberEntry) =>
    simulation.happen(node, { type: 'message', channel, message: { type: 'members', entries: [entry] } });
  hear(entryOf('n1', 'stranger', 'forger'));
  assert.equal(node.warnings.get('id-elsewhere'), undefined, 'not signed by its key');
  for (let i = 0; i < 3; i++) {
    hear(entryOf('n1', 'stranger'));
    assert.equal(
      node.warnings.get('id-elsewhere'),
      `another node has the ID "n1", says ${teller}: our key is ${fingerprintOf(node.mesh.self.key)}, its key ${fingerprintOf(keyOf('stranger'))}; each node links with the one it met first, give one of them another ID`,
    );
    simulation.pass(node.mesh.config.forgetAfter / 2);
  }
  simulation.pass(node.mesh.config.forgetAfter);
  assert.equal(node.warnings.get('id-elsewhere'), undefined);
});

/** Two machines with the key of n3, at different bootstrap servers; each says so, as long as both run. */
for (const [what, epoch] of [
  ['with a clock that is behind', 3000],
  ['with a later start', undefined],
] as const) {
  test(`a copy of a machine, ${what}: both say so within an interval, take few turns, and say so for as long as both run`, () => {
    const simulation = formed(62, 4);
    const node = nodeOf(simulation, 'n3');
    const before = negotiations(simulation).filter((line) => !line.includes('n3'));
    let [climbs, errors] = [0, 0];
    simulation.watch = (_node, _event, effects) => {
      climbs += effects.filter(({ type }) => type === 'epoch').length;
      errors += effects.filter((effect) => effect.type === 'notice' && effect.level === 'error').length;
    };
    const clone = simulation.add('n3', { apart: true, ...(epoch === undefined ? {} : { epoch }) });
    simulation.connect(clone, nodeOf(simulation, 'n1'));
    simulation.pass(node.mesh.config.aliveInterval + 2000);
    for (let i = 0; i < 15; i++) {
      for (const each of [node, clone]) {
        assert.match(
          each.warnings.get('clone') ?? '',
          /^another machine runs as "n3" with our identity key /,
        );
        assert.equal(each.warnings.get('epoch'), undefined);
      }
      simulation.pass(60_000);
    }
    assert.equal(errors, 2, 'one line each');
    assert.ok(climbs <= 9, `${climbs}`);
    assert.deepEqual(
      negotiations(simulation).filter((line) => !line.includes('n3')),
      before,
    );
    simulation.kill(clone, 1000);
    simulation.pass(15 * 60_000);
    assert.equal(node.warnings.get('clone'), undefined, 'it is over when the copy is gone');
    assert.ok(isFullMesh(simulation));
  });
}
