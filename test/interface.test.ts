import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { linkLocal } from '../dataplane/io/link-local.ts';
import { RoundTrip } from '../dataplane/io/round-trip.ts';
import { interfaceName, interfaceNames, nameOwner } from '../protocol/interface-name.ts';
import { twins } from './interface-twins.ts';

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const prefix = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);

const names: readonly [prefix: string, peer: string, name: string][] = [
  ['cn', 'a', 'cna'],
  ['cn', 'berlin', 'cnberlin'],
  ['cn', 'exactly-13-by', 'cnexactly-13-by'],
  ['cn', 'fourteen-bytes', 'cnfourt~t7y4daf'],
  ['cn', 'homelab-rack-1-node-2', 'cnhomel~lykpbel'],
  ['cn', 'homelab-rack-1-node-3', 'cnhomel~eh5u7yb'],
  ['12345678', 'seven-7', '12345678seven-7'],
  ['12345678', 'eight-88', '12345678~b7nsuz'],
];

for (const [prefix, peer, name] of names) {
  test(`the interface to ${peer} with prefix ${prefix} is ${name}`, () => {
    assert.equal(interfaceName(prefix, peer), name);
  });
}

test('a name has at most 15 bytes, starts with the prefix, and is the same every time', () => {
  fc.assert(
    fc.property(prefix, id, (prefix, peer) => {
      const name = interfaceName(prefix, peer);
      assert.ok(Buffer.byteLength(name) <= 15);
      assert.ok(name.startsWith(prefix));
      assert.equal(interfaceName(prefix, peer), name);
      if (prefix.length + peer.length <= 15) assert.equal(name, prefix + peer);
      else assert.match(name, /~[a-z2-7]{6,7}$/);
    }),
    { numRuns: 2000 },
  );
});

test('where the name is taken there is a second one that stays, and then a number', () => {
  assert.deepEqual(interfaceNames('cn', 'b'), ['cnb', 'cnb~nhgy3b2', 'cn~%d']);
  assert.deepEqual(interfaceNames('cn', 'homelab-rack-1-node-2'), [
    'cnhomel~lykpbel',
    'cnhomel~yneq7gz',
    'cn~%d',
  ]);
  fc.assert(
    fc.property(prefix, id, (prefix, peer) => {
      const names = interfaceNames(prefix, peer);
      assert.deepEqual(names, interfaceNames(prefix, peer));
      assert.equal(new Set(names).size, 3);
      assert.match(names[1]!, /~[a-z2-7]{6,7}$/);
      for (const name of names) assert.ok(Buffer.byteLength(name) <= 15 && name.startsWith(prefix));
    }),
    { numRuns: 2000 },
  );
});

test('a short form is never the full form of another ID', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[A-Za-z0-9_-]{14,64}$/),
      fc.stringMatching(/^[A-Za-z0-9_-]{1,13}$/),
      (long, other) => {
        assert.notEqual(interfaceName('cn', long), interfaceName('cn', other));
      },
    ),
    { numRuns: 500 },
  );
});

test('ten thousand long IDs with one beginning collide no more often than 35 random bits would', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-';
  // xorshift32, Marsaglia 2003.
  let seed = 2463534242;
  const random = () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return seed >>> 0;
  };
  const ids = new Set<string>();
  while (ids.size < 10_000) {
    let tail = '';
    for (let i = 0; i < 20; i++) tail += letters[random() % 64];
    ids.add(`same-beginning-${tail}`);
  }
  const distinct = new Set([...ids].map((each) => interfaceName('cn', each)));
  // n² / 2 / 2³⁵ = 0.0015 collisions are expected; two or more have a probability of 1 in a million.
  assert.ok(ids.size - distinct.size < 2, `${ids.size - distinct.size} collisions`);
});

test('IDs that count up, as people name nodes, keep distinct names', () => {
  const ids = Array.from({ length: 4000 }, (_, i) => `homelab-rack-1-node-${i}`);
  const distinct = new Set(ids.map((each) => interfaceName('cn', each)));
  assert.equal(distinct.size, ids.length);
});

test('of two IDs of one short form the name is whose came first', () => {
  const [first, second] = twins;
  assert.equal(interfaceName('cn', first), interfaceName('cn', second));
  assert.equal(nameOwner('cn', second, ['b', first, second]), first);
  assert.equal(nameOwner('cn', first, ['b', first, second]), first);
  assert.equal(nameOwner('cn', first, ['b']), first, 'nobody has it yet');
  assert.equal(
    nameOwner('cn', second, ['router-amsterdam-1', 'router']),
    second,
    'nor others with that beginning',
  );
  assert.equal(nameOwner('c', 'b', ['cb', 'b']), 'b', 'a whole ID is a name of its own');
});

test('golden: link-local addresses of a link', () => {
  assert.equal(linkLocal('a', 'b'), 'fe80::768c:75a6:a7e1:3a2f');
  assert.equal(linkLocal('b', 'a'), 'fe80::9854:9d40:c319:6073');
  assert.equal(linkLocal('berlin', 'ams-1'), 'fe80::67c4:41c2:c68f:cccd');
});

test('both sides of a link have their own valid address in fe80::/64', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(id, id, (a, b) => {
      fc.pre(a !== b);
      const [ours, theirs] = [linkLocal(a, b), linkLocal(b, a)];
      assert.notEqual(ours, theirs);
      for (const address of [ours, theirs]) {
        assert.ok(isIPv6(address), address);
        assert.match(address, /^fe80::[1-9a-f][0-9a-f]{0,3}(:[0-9a-f]{1,4}){3}$/);
        assert.equal(new URL(`http://[${address}]`).hostname.startsWith('[fe80::'), true);
        seen.add(address);
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(seen.size > 3900, 'addresses of links differ');
});

test('round-trip time: the answer to the last ping counts, in milliseconds', () => {
  const roundTrip = new RoundTrip();
  assert.equal(roundTrip.latest, null);
  const first = roundTrip.asked(1000);
  roundTrip.answered(first, 1012.3456);
  assert.equal(roundTrip.latest, 12.346);
  const second = roundTrip.asked(2000);
  roundTrip.answered(first, 2001);
  roundTrip.answered(99, 2001);
  assert.equal(roundTrip.latest, 12.346, 'late and unknown answers do not');
  roundTrip.answered(second, 2003);
  assert.equal(roundTrip.latest, 3);
});
