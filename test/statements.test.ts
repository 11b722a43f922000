/** Statements of operators, at one node: which of them count, and that their order does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hex } from '../control/core/environment.ts';
import { isOut, isRevoked } from '../control/core/membership.ts';
import { step } from '../control/core/mesh.ts';
import { pinOf } from '../control/core/pins.ts';
import { type Mesh, newMesh } from '../control/core/state.ts';
import {
  allStatements,
  assess,
  digestsOf,
  maxStatements,
  signedStatements,
} from '../control/core/statements.ts';
import type { SignedStatement } from '../protocol/statement.ts';
import { operatorIn, operatorText } from '../protocol/statement.ts';
import { fingerprintOf, keyOf, testEnvironment } from './environment.ts';
import { accept, forget, operatorKeys, revoke, said } from './operators.ts';

const now = 1_764_000_000_000;
const env = testEnvironment(keyOf('self'), now);
const { digest } = env;

/** A node that has kept these keys, by the names of their nodes. */
function nodeWith(
  kept: Readonly<Record<string, string>> = {},
  operators = ['op'],
  before: readonly SignedStatement[] = [],
): Mesh {
  return newMesh(
    { id: 'self', key: keyOf('self'), epoch: 1, turn: false },
    {
      ...{
        policy: { allow: [], deny: [] },
        checkInterval: 10_000,
        forgetAfter: 60_000,
        aliveInterval: 20_000,
        webSocketPaths: false,
      },
      ...{ named: new Map(), operators: operatorKeys(...operators), identities: { file: '', reload: '' } },
    },
    new Map(Object.entries(kept).map(([id, key]) => [id, hex(keyOf(key))])),
    env,
    before,
  );
}

function hear(mesh: Mesh, ...all: readonly SignedStatement[]) {
  return all.flatMap((signed) => step(mesh, { type: 'statement', signed }, env));
}

/** The pin of an ID, named by whose key it is of. */
function pinned(mesh: Mesh, id: string, ...keys: readonly string[]): string | undefined {
  const pin = pinOf(mesh.membership.pins, id);
  return keys.find((key) => pin === hex(keyOf(key)) || pin === fingerprintOf(keyOf(key))) ?? pin;
}

const outBy = ({ membership }: Mesh, id: string, key: string) =>
  isRevoked(membership, { id, key: keyOf(key) }, digest);

test('a revoked ID is out with every key, until a later accept has one speak for it', () => {
  const mesh = nodeWith({ b: 'b' });
  hear(mesh, said('op', revoke('b', 10)));
  assert.ok(outBy(mesh, 'b', 'b') && outBy(mesh, 'b', 'other') && !outBy(mesh, 'c', 'b'));
  hear(mesh, said('op', accept('b', 'new', 9)));
  assert.ok(outBy(mesh, 'b', 'new'), 'an earlier one changes nothing');
  hear(mesh, said('op', accept('b', 'new', 11)));
  assert.ok(!outBy(mesh, 'b', 'new'));
  assert.equal(pinned(mesh, 'b', 'b', 'new'), 'new');
});

test('a revoked key is out under every ID, but for one for which it was accepted later', () => {
  const mesh = nodeWith({ b: 'b' });
  hear(mesh, said('op', revoke(fingerprintOf(keyOf('b')), 10)));
  assert.ok(outBy(mesh, 'b', 'b') && outBy(mesh, 'any', 'b') && !outBy(mesh, 'b', 'other'));
  assert.ok(isOut(mesh.membership, 'b', digest), 'by the key that is kept');
  hear(mesh, said('op', accept('b', 'b', 11)));
  assert.ok(!outBy(mesh, 'b', 'b') && outBy(mesh, 'any', 'b'));
  hear(mesh, said('op', revoke(fingerprintOf(keyOf('b')), 12)));
  assert.ok(outBy(mesh, 'b', 'b'));
});

test('what is forgotten is the kept pin, and an earlier accept; a revocation stays', () => {
  const mesh = nodeWith({ b: 'b', c: 'c', d: 'd' });
  const effects = hear(mesh, said('op', accept('c', 'new', 1)), said('op', revoke('d', 1)));
  assert.ok(!effects.some(({ type }) => type === 'pin'));
  const unpinned = hear(mesh, ...['b', 'c', 'd'].map((id) => said('op', forget(id, 2))));
  assert.deepEqual(
    unpinned.flatMap((effect) => (effect.type === 'pin' ? effect.id : [])),
    ['b', 'c', 'd'],
  );
  assert.deepEqual(
    ['b', 'c', 'd'].map((id) => pinOf(mesh.membership.pins, id)),
    [undefined, undefined, undefined],
  );
  assert.ok(outBy(mesh, 'd', 'd'));
});

test('of one operator, of another key, or by a key that signs for another: only the first counts, and leaves a trace', () => {
  const mesh = nodeWith({ b: 'b' });
  const foreign = [said('stranger', revoke('b', 10)), said('op', revoke('b', 10), 'stranger')];
  const broken = { statement: new Uint8Array([0x80]), signature: new Uint8Array(64) };
  const verified: number[] = [];
  const counting = {
    verify: (...given: Parameters<typeof env.verify>) => {
      verified.push(1);
      return env.verify(...given);
    },
  };
  const outcomes = [...foreign, broken].map(
    (signed) => assess(mesh.membership.statements, signed, counting).taken,
  );
  assert.deepEqual(outcomes, ['foreign', 'forged', 'forged']);
  assert.equal(verified.length, 1, 'what is of no operator of ours is not verified');
  assert.deepEqual(hear(mesh, ...foreign, broken), []);
  assert.equal([...allStatements(mesh.membership.statements)].length, 0);
  hear(mesh, said('op', revoke('b', 10)));
  for (const again of [said('op', revoke('b', 10)), said('op', accept('b', 'thief', 9))])
    assert.notEqual(assess(mesh.membership.statements, again, { verify: () => assert.fail() }).taken, 'new');
});

test('of an operator so many are kept, the latest, and one that is earlier than all of them is not verified', () => {
  const mesh = nodeWith();
  for (let i = 0; i < maxStatements + 10; i++) hear(mesh, said('op', revoke(`n${i}`, 1000 + i)));
  const kept = [...allStatements(mesh.membership.statements)].map(({ statement }) => statement.time);
  assert.deepEqual([kept.length, Math.min(...kept)], [maxStatements, 1010]);
  assert.ok(!outBy(mesh, 'n9', 'any') && outBy(mesh, 'n10', 'any'));
  const early = said('op', revoke('early', 999));
  assert.equal(assess(mesh.membership.statements, early, { verify: () => assert.fail() }).taken, 'full');
  hear(mesh, said('op', accept('n2000', 'x', 5000)));
  assert.ok(outBy(mesh, 'n10', 'any'), 'who is named anew pushes nobody out');
});

test('an operator whose key is taken out of the configuration has said nothing, and another one’s word counts again', () => {
  const mesh = nodeWith({ b: 'b' }, ['one', 'two']);
  hear(mesh, said('one', revoke('b', 10)), said('two', accept('b', 'new', 20)), said('two', revoke('c', 5)));
  assert.equal(pinned(mesh, 'b', 'b', 'new'), 'new');
  const config = { ...mesh.config, operators: operatorKeys('one') };
  const effects = step(mesh, { type: 'config', config }, env);
  assert.ok(outBy(mesh, 'b', 'new') && !outBy(mesh, 'c', 'any'));
  assert.equal(pinned(mesh, 'b', 'b', 'new'), 'b');
  assert.ok(effects.some(({ type }) => type === 'statements'));
  assert.equal(signedStatements(mesh.membership.statements).length, 1);
});

test('a node that is started again knows what it knew; what the file has of others, or has been edited, is not taken', () => {
  const mesh = nodeWith({ b: 'b' });
  hear(mesh, said('op', accept('b', 'new', 20)), said('op', revoke('c', 5)));
  const all = signedStatements(mesh.membership.statements);
  const again = nodeWith(
    { b: 'b' },
    ['op'],
    [...all, said('stranger', revoke('d', 1)), said('op', revoke('e', 1), 'x')],
  );
  assert.equal(pinned(again, 'b', 'b', 'new'), 'new');
  assert.ok(outBy(again, 'c', 'any') && !outBy(again, 'd', 'any') && !outBy(again, 'e', 'any'));
});

test('a node that is revoked itself says so, links with whom it had, and takes it back', () => {
  const mesh = nodeWith({ b: 'b' });
  const warnings = (all: ReturnType<typeof hear>) =>
    all.flatMap((effect) =>
      effect.type === 'warning' && effect.subject === 'revoked' ? [effect.message] : [],
    );
  const [message] = warnings(hear(mesh, said('op', revoke('self', 10))));
  assert.match(
    message!,
    /^the operator ed25519:\S{43} has revoked this node: .* cryoc accept self --fingerprint SHA256:\S{43}$/,
  );
  assert.deepEqual(warnings(hear(mesh, said('op', accept('self', 'self', 11)))), [null]);
});

test('the text of an operator key is read back, and nothing else is one', () => {
  const key = keyOf('op');
  const text = operatorText(key);
  assert.match(text, /^ed25519:[\w-]{43}$/);
  assert.deepEqual(operatorIn(text), new Uint8Array(key));
  for (const bad of [
    text.slice(8),
    `${text}=`,
    text.slice(0, -1),
    `${text.slice(0, -1)}_`,
    text.toUpperCase(),
  ])
    assert.equal(operatorIn(bad), undefined, bad);
});

const draft = fc.record({
  operator: fc.constantFrom('one', 'two', 'three'),
  kind: fc.constantFrom('accept', 'revoke', 'revoke key', 'forget'),
  id: fc.constantFrom('a', 'b', 'c'),
  key: fc.constantFrom('a', 'b', 'new'),
  time: fc.integer({ min: 1, max: 6 }),
});

test('a key that was accepted, forgotten at the same time, and revoked is forgotten, in whatever order that is heard', () => {
  const all = [
    said('one', accept('a', 'a', 1)),
    said('one', forget('a', 1)),
    said('one', revoke('a', 2)),
  ] as const;
  for (const order of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const) {
    const mesh = nodeWith({ a: 'a' }, ['one']);
    hear(mesh, ...order.map((at) => all[at]));
    assert.equal(pinned(mesh, 'a', 'a'), undefined, order.join());
  }
});

test('the same statements have the same outcome in whatever order, and however often, they come', () => {
  const outcome = (all: readonly SignedStatement[]) => {
    const mesh = nodeWith({ a: 'a', b: 'b' }, ['one', 'two']);
    hear(mesh, ...all);
    const { statements } = mesh.membership;
    return {
      digests: digestsOf(statements, digest).map((each) => hex(each.digest)),
      pins: ['a', 'b', 'c'].map((id) => pinned(mesh, id, 'a', 'b', 'new')),
      out: ['a', 'b', 'c'].flatMap((id) => ['a', 'b', 'new'].map((key) => outBy(mesh, id, key))),
    };
  };
  fc.assert(
    fc.property(fc.array(draft, { maxLength: 12 }), fc.infiniteStream(fc.nat()), (drafts, random) => {
      const all = drafts.map(({ operator, kind, id, key, time }) => {
        if (kind === 'accept') return said(operator, accept(id, key, time));
        if (kind === 'forget') return said(operator, forget(id, time));
        return said(operator, revoke(kind === 'revoke' ? id : fingerprintOf(keyOf(key)), time));
      });
      const shuffled = all
        .concat(all)
        .map((signed) => ({ signed, at: random.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ signed }) => signed);
      assert.deepEqual(outcome(shuffled), outcome(all));
    }),
    { numRuns: 300 },
  );
});
