import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prefixed } from '../control/core/environment.ts';
import {
  entryOf,
  learn,
  leave,
  type Membership,
  membersDigest,
  newMembership,
} from '../control/core/membership.ts';
import { meet, newPins } from '../control/core/pins.ts';
import { newRecent, remember, remembers } from '../control/core/recent.ts';
import { accept, newWindow } from '../control/core/replay.ts';
import { newStatements } from '../control/core/statements.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain, type NodeRecord, type SignedRecord } from '../protocol/signaling.ts';
import { keyOf, testEnvironment } from './environment.ts';

const start = 1_764_000_000_000;
const forgetAfter = 60_000;

function recordOf(id: string, epoch: number, key = keyOf(id)): NodeRecord {
  return { id, key, epoch, turn: false };
}

function signed(record: NodeRecord, signer = record.key): SignedRecord {
  const bytes = encode(record);
  return { record: bytes, signature: testEnvironment(signer, start).sign(prefixed(domain.record, bytes)) };
}

function membershipOf(id: string, pins = new Map<string, string>()): Membership {
  return newMembership(
    recordOf(id, start),
    newPins(new Map(), pins),
    newStatements([]),
    forgetAfter,
    testEnvironment(keyOf(id), start),
  );
}

const env = (now = start) => testEnvironment(keyOf('self'), now);
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function digestOf(membership: Membership): string {
  return hexOf(membersDigest(membership, env()));
}

test('a signed record is learned once; the same again only moves when the node was heard of', () => {
  const self = membershipOf('self');
  assert.deepEqual(learn(self, signed(recordOf('a', 5)), 3000, env()), { outcome: 'new', id: 'a' });
  assert.equal(self.members.get('a')!.heardAt, start - 3000);
  assert.equal(learn(self, signed(recordOf('a', 5)), 1000, env()).outcome, 'known');
  assert.equal(self.members.get('a')!.heardAt, start - 1000);
  assert.equal(learn(self, signed(recordOf('a', 5)), 9000, env()).outcome, 'known');
  assert.equal(self.members.get('a')!.heardAt, start - 1000, 'never back');
});

test('a later start replaces an earlier one, never the other way', () => {
  const self = membershipOf('self');
  learn(self, signed(recordOf('a', 5)), 0, env());
  assert.equal(learn(self, signed(recordOf('a', 6)), 0, env()).outcome, 'newer');
  assert.equal(learn(self, signed(recordOf('a', 5)), 0, env()).outcome, 'behind');
  assert.equal(self.members.get('a')!.record.epoch, 6);
});

test('another key for a known ID is a conflict, whatever its epoch, and changes nothing', () => {
  const self = membershipOf('self');
  learn(self, signed(recordOf('a', 5)), 0, env());
  const before = digestOf(self);
  for (const epoch of [1, 5, 9]) {
    const thief = signed(recordOf('a', epoch, keyOf('thief')));
    assert.equal(learn(self, thief, 0, env()).outcome, 'conflict');
    assert.equal(learn(self, { ...thief, signature: new Uint8Array(64) }, 0, env()).outcome, 'forged');
    assert.equal(learn(self, thief, forgetAfter, env()).outcome, 'stale', 'a node that is long gone');
  }
  assert.equal(digestOf(self), before);
  assert.equal(hexOf(self.members.get('a')!.record.key), hexOf(keyOf('a')));
});

test('a key pinned at an earlier start counts before the node is heard of', () => {
  const self = membershipOf('self', new Map([['a', hexOf(keyOf('a'))]]));
  assert.equal(learn(self, signed(recordOf('a', 9, keyOf('thief'))), 0, env()).outcome, 'conflict');
  assert.equal(learn(self, signed(recordOf('a', 1)), 0, env()).outcome, 'new');
});

test('another key than one that was proved stays refused after the node left', () => {
  const self = membershipOf('self');
  learn(self, signed(recordOf('a', 5)), 0, env());
  meet(self.pins, 'a', hexOf(keyOf('a')), start);
  leave(self, 'a', 5);
  assert.equal(learn(self, signed(recordOf('a', 9, keyOf('thief'))), 0, env()).outcome, 'conflict');
  assert.equal(self.members.has('a'), false);
});

test('a record signed by another key, altered, or no record at all is forged', () => {
  const self = membershipOf('self');
  const good = signed(recordOf('a', 5));
  assert.equal(learn(self, signed(recordOf('a', 5), keyOf('b')), 0, env()).outcome, 'forged');
  assert.equal(learn(self, { ...good, signature: new Uint8Array(64) }, 0, env()).outcome, 'forged');
  for (let at = 0; at < good.record.length; at++) {
    const record = Uint8Array.from(good.record);
    record[at]! ^= 1;
    assert.equal(
      learn(self, { record, signature: good.signature }, 0, env()).outcome,
      'forged',
      `byte ${at}`,
    );
  }
  assert.equal(
    learn(self, { record: Uint8Array.of(0xc1), signature: good.signature }, 0, env()).outcome,
    'forged',
  );
  assert.equal(self.members.size, 0);
});

test('our own record is known; our ID with another key is a conflict', () => {
  const self = membershipOf('self');
  assert.deepEqual(learn(self, self.selfSigned, 0, env()), { outcome: 'known', id: 'self' });
  assert.equal(learn(self, signed(recordOf('self', start + 1, keyOf('twin'))), 0, env()).outcome, 'conflict');
  assert.equal(self.members.size, 0);
});

test('a node that said goodbye stays away until it starts again', () => {
  const self = membershipOf('self');
  learn(self, signed(recordOf('a', 5)), 0, env());
  assert.ok(!leave(self, 'a', 4), 'the goodbye of an earlier start');
  assert.ok(leave(self, 'a', 5));
  assert.ok(!leave(self, 'a', 5), 'no news');
  assert.equal(learn(self, signed(recordOf('a', 5)), 0, env()).outcome, 'stale');
  assert.equal(learn(self, signed(recordOf('a', 6)), 0, env()).outcome, 'new');
  assert.ok(!leave(self, 'b', 1), 'an unknown node');
});

test('hearsay as old as the time to forget teaches nothing', () => {
  const self = membershipOf('self');
  assert.equal(learn(self, signed(recordOf('a', 5)), forgetAfter, env()).outcome, 'stale');
  assert.equal(learn(self, signed(recordOf('a', 5)), forgetAfter - 1, env()).outcome, 'new');
});

test('what is told of a node is its record and how long ago it was heard of, and adds up over hops', () => {
  const [a, b] = [membershipOf('self'), membershipOf('b')];
  learn(a, signed(recordOf('x', 5)), 7000, env());
  const told = entryOf(a, 'x', start + 2000)!;
  assert.equal(told.age, 9000);
  learn(b, told, told.age, env(start + 2500));
  assert.equal(entryOf(b, 'x', start + 3500)!.age, 10_000);
  assert.deepEqual(entryOf(a, 'self', start + 99), { ...a.selfSigned, age: 0 });
  assert.equal(entryOf(a, 'nobody', start), undefined);
});

test('one neighbor brings at most half of the nodes that are kept; a newer start of a known one is no more', () => {
  const self = membershipOf('self');
  const tell = (id: string, epoch: number, teller: string) =>
    learn(self, signed(recordOf(id, epoch)), 0, env(), teller).outcome;
  for (let i = 0; i < 2048; i++) assert.equal(tell(`n${i}`, 5, 'a'), 'new');
  assert.equal(tell('one-more', 5, 'a'), 'full');
  assert.equal(tell('n7', 6, 'a'), 'newer');
  for (let i = 0; i < 2047; i++) assert.equal(tell(`m${i}`, 5, 'b'), 'new');
  assert.equal(tell('c', 5, 'c'), 'new');
  assert.equal(self.members.size, 4096);
  assert.equal(tell('d', 5, 'd'), 'new', 'who brings less than others is heard');
  assert.equal(tell('e', 5, 'b'), 'full');
  meet(self.pins, 'known', hexOf(keyOf('known')), start);
  assert.equal(tell('known', 5, 'a'), 'new', 'and who proved its key, whoever tells of it');
  assert.equal(self.members.size, 4096);
  assert.deepEqual([self.members.has('n2047'), self.members.has('n2046')], [false, false]);
  assert.ok(self.members.has('c') && self.members.has('d'));
});

test('two digests are equal exactly when both know the same nodes in the same epochs', () => {
  const known = fc.uniqueArray(
    fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'self'), epoch: fc.nat(2) }),
    {
      selector: ({ id }) => id,
      maxLength: 4,
    },
  );
  const view = (self: string, nodes: readonly { id: string; epoch: number }[]) => {
    const membership = newMembership(
      recordOf(self, 1),
      newPins(new Map(), new Map()),
      newStatements([]),
      forgetAfter,
      testEnvironment(keyOf(self), start),
    );
    for (const { id, epoch } of nodes) learn(membership, signed(recordOf(id, epoch)), 0, env());
    const set = [
      `${self} 1`,
      ...[...membership.members.values()].map(({ record }) => `${record.id} ${record.epoch}`),
    ];
    return { digest: digestOf(membership), set: set.sort().join() };
  };
  fc.assert(
    fc.property(known, known, fc.boolean(), (left, right, same) => {
      const a = view('self', left);
      const b = view(same ? 'self' : 'a', right);
      assert.equal(a.digest === b.digest, a.set === b.set);
    }),
    { numRuns: 2000 },
  );
});

test('golden: the digest of two nodes', () => {
  const self = membershipOf('self');
  learn(self, signed(recordOf('a', 5)), 0, env());
  assert.equal(digestOf(self), '3ab59fd41bbab592');
});

test('a replay window accepts every counter once, in any order, within its width', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1024 }), { maxLength: 200 }), (counters) => {
      const window = newWindow();
      const seen = new Set<number>();
      for (const counter of counters) {
        assert.equal(accept(window, 1, counter), !seen.has(counter));
        seen.add(counter);
      }
    }),
    { numRuns: 500 },
  );
});

test('no counter is ever accepted twice, however far the window moves', () => {
  const steps = fc.array(fc.record({ epoch: fc.nat(3), counter: fc.integer({ min: 1, max: 5000 }) }), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(steps, (bodies) => {
      const window = newWindow();
      const accepted = new Set<string>();
      let newest = 0;
      for (const { epoch, counter } of bodies) {
        const taken = accept(window, epoch, counter);
        if (epoch < newest) assert.ok(!taken, 'an older epoch');
        if (taken) assert.ok(!accepted.has(`${epoch} ${counter}`));
        if (taken) accepted.add(`${epoch} ${counter}`);
        newest = Math.max(newest, epoch);
      }
      assert.ok(window.seen.size <= 1025);
    }),
    { numRuns: 500 },
  );
});

test('the edges of the window: the last 1024 counters are new, anything older is not', () => {
  const window = newWindow();
  assert.ok(accept(window, 1, 2000));
  assert.ok(accept(window, 1, 2000 - 1023));
  assert.ok(!accept(window, 1, 2000 - 1024));
  assert.ok(!accept(window, 1, 1));
  assert.ok(accept(window, 1, 2001));
  assert.ok(!accept(window, 1, 2001 - 1024));
  assert.ok(accept(window, 1, Number.MAX_SAFE_INTEGER));
  assert.ok(!accept(window, 1, 2002));
});

test('a new epoch starts its counters anew; the old one is over', () => {
  const window = newWindow();
  assert.ok(accept(window, 1, 500));
  assert.ok(accept(window, 2, 1));
  assert.ok(!accept(window, 1, 501));
  assert.ok(!accept(window, 2, 1));
  assert.ok(accept(window, 2, 500));
});

test('a set of recent keys remembers at least the last ones, and never more than twice as many', () => {
  const size = 50;
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 600 }), (numbers) => {
      const recent = newRecent(size);
      const order: string[] = [];
      for (const key of numbers.map(String)) {
        const isNew = !remembers(recent, key);
        if (isNew) remember(recent, key);
        const last = new Set(order.slice(-size));
        if (last.has(key)) assert.ok(!isNew, 'one of the last');
        if (!order.includes(key)) assert.ok(isNew, 'never seen');
        if (isNew) order.push(key);
        assert.ok(recent.young.size + recent.old.size <= 2 * size);
      }
    }),
    { numRuns: 200 },
  );
});
