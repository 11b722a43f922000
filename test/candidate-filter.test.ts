import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { CandidateFilter } from '../dataplane/io/candidate-filter.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';

const loopback = Object.entries(networkInterfaces()).find(([, addresses]) =>
  addresses?.some(({ address }) => address === '127.0.0.1'),
)?.[0];

function host(address: string): string {
  return `candidate:1 1 UDP 2122317823 ${address} 2333 typ host`;
}

function filterOf(own: ReadonlySet<string>): { filter: CandidateFilter; tuns: MemoryTunFactory } {
  const tuns = new MemoryTunFactory();
  return { filter: new CandidateFilter(tuns, () => own), tuns };
}

test('a candidate of ours is told, unless it is an address of one of our interfaces', () => {
  assert.ok(filterOf(new Set()).filter.mayTell(host('127.0.0.1')));
  const { filter } = filterOf(new Set([loopback!]));
  assert.ok(!filter.mayTell(host('127.0.0.1')));
  assert.ok(filter.mayTell(host('192.0.2.1')));
});

test('an interface that has just been opened counts at once', () => {
  const own = new Set<string>();
  const { filter } = filterOf(own);
  assert.ok(filter.mayTell(host('127.0.0.1')));
  own.add(loopback!);
  assert.ok(!filter.mayTell(host('127.0.0.1')));
  own.delete(loopback!);
  assert.ok(filter.mayTell(host('127.0.0.1')));
});

test('a remote candidate is tried, unless the kernel would route it through one of our interfaces', () => {
  const { filter, tuns } = filterOf(new Set(['cnberlin']));
  tuns.routes.set('10.1.0.1', 'cnberlin').set('192.0.2.1', 'eth0').set('fe80::1', 'cnberlin');
  assert.ok(!filter.mayTry(host('10.1.0.1')));
  assert.ok(!filter.mayTry(host('fe80::1')));
  assert.ok(filter.mayTry(host('192.0.2.1')));
  assert.ok(filter.mayTry(host('198.51.100.9')), 'no route: the engine will see');
});

test('without an interface of ours, nothing is looked up', () => {
  const { filter, tuns } = filterOf(new Set());
  tuns.route = () => assert.fail('looked up');
  assert.ok(filter.mayTry(host('10.1.0.1')));
});

test('a reflexive or relayed candidate is judged by the address it is reached at, not by its base', () => {
  const { filter, tuns } = filterOf(new Set(['cnberlin']));
  tuns.routes.set('10.1.0.1', 'cnberlin');
  const reflexive = (address: string, base: string) =>
    `candidate:2 1 UDP 1686052607 ${address} 2333 typ srflx raddr ${base} rport 2333`;
  assert.ok(filter.mayTry(reflexive('198.51.100.1', '10.1.0.1')));
  assert.ok(!filter.mayTry(reflexive('10.1.0.1', '198.51.100.1')));
});

test('a line without an address is neither told nor tried', () => {
  const { filter } = filterOf(new Set(['cnberlin']));
  for (const line of ['', 'candidate:1', 'candidate:1 1 UDP 5', 'end-of-candidates']) {
    assert.ok(!filter.mayTell(line));
    assert.ok(!filter.mayTry(line));
  }
});

test('whatever a peer sends as a candidate, the answer is yes or no', () => {
  const { filter } = filterOf(new Set(['cnberlin']));
  const field = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom('candidate:1', 'UDP', 'typ', 'host', 'x.local', '0', '-1'),
  );
  const line = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 600 }),
    fc.array(field, { maxLength: 12 }).map((fields) => fields.join(' ')),
  );
  fc.assert(
    fc.property(line, (candidate) => {
      assert.equal(typeof filter.mayTell(candidate), 'boolean');
      assert.equal(typeof filter.mayTry(candidate), 'boolean');
    }),
    { numRuns: 2000 },
  );
});
