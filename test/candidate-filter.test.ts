import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { InterfaceRules } from '../dataplane/core/interface-rules.ts';
import { CandidateFilter } from '../dataplane/io/candidate-filter.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { RecentHost } from '../dataplane/io/recent-host.ts';

function host(address: string): string {
  return `candidate:1 1 UDP 2122317823 ${address} 2333 typ host`;
}

const up = { flags: 0x41, kind: '', rpFilter: 0 };
const plain = { flags: 0, prefixLength: 24, scope: 0 };

/** A machine with an address on eth0, on wg0 and on each of our own interfaces. */
function filterOf(
  own: ReadonlySet<string>,
  rules: InterfaceRules = {},
): { filter: CandidateFilter; tuns: MemoryTunFactory } {
  const tuns = new MemoryTunFactory();
  const names = ['eth0', 'wg0', 'cnberlin'];
  tuns.foreign.links = names.map((name, i) => ({ ...up, index: i + 1, name }));
  tuns.foreign.addresses = names.map((_, i) => ({ ...plain, index: i + 1, address: `10.0.${i}.1` }));
  const filter = new CandidateFilter({ host: tuns, own: () => own, rules: () => rules, mark: () => 7 });
  return { filter, tuns };
}

function isTried(filter: CandidateFilter, candidate: string): boolean {
  return filter.refusal(candidate) === undefined;
}

test('a candidate of ours is told, unless it is an address of one of our interfaces', () => {
  assert.ok(filterOf(new Set()).filter.mayTell(host('10.0.2.1')));
  const { filter } = filterOf(new Set(['cnberlin']));
  assert.ok(!filter.mayTell(host('10.0.2.1')));
  assert.ok(filter.mayTell(host('10.0.0.1')));
  assert.ok(filter.mayTell(host('192.0.2.1')));
});

test('links that come up together share a list of interfaces; a quarter of a second later there is another', (context) => {
  let now = 1000;
  context.mock.method(performance, 'now', () => now);
  const { tuns } = filterOf(new Set());
  const listed = context.mock.method(tuns, 'links');
  const host = new RecentHost(tuns);
  const names = () => host.links().map(({ name }) => name);
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(names(), ['eth0', 'wg0', 'cnberlin']);
    assert.equal(host.addresses().length, 3);
  }
  assert.equal(listed.mock.callCount(), 1);
  tuns.foreign.links = [];
  now += 250;
  assert.deepEqual(names(), []);
});

test('an interface that has just been opened counts at once', () => {
  const own = new Set<string>();
  const { filter } = filterOf(own);
  assert.ok(filter.mayTell(host('10.0.2.1')));
  own.add('cnberlin');
  assert.ok(!filter.mayTell(host('10.0.2.1')));
  own.delete('cnberlin');
  assert.ok(filter.mayTell(host('10.0.2.1')));
});

test('a remote candidate is tried, unless the kernel would route it through one of our interfaces', () => {
  const { filter, tuns } = filterOf(new Set(['cnberlin']));
  tuns.routes.set('10.1.0.1', 'cnberlin').set('192.0.2.1', 'eth0').set('fe80::1', 'cnberlin');
  assert.ok(!isTried(filter, host('10.1.0.1')));
  assert.ok(!isTried(filter, host('fe80::1')));
  assert.ok(isTried(filter, host('192.0.2.1')));
  assert.ok(isTried(filter, host('198.51.100.9')), 'no route: the engine will see');
});

test('a refusal says which way the kernel would go, for packets with our mark', () => {
  const { filter, tuns } = filterOf(new Set(['cnberlin']), { excludeInterfaces: ['wg*'] });
  const marks: number[] = [];
  tuns.route = (address, mark) => {
    marks.push(mark);
    return { interface: { '10.1.0.1': 'cnberlin', '10.2.0.1': 'wg0' }[address] ?? 'eth0', source: undefined };
  };
  assert.equal(
    filter.refusal(host('10.1.0.1')),
    'the route to 10.1.0.1 goes through cnberlin, our own tunnel',
  );
  assert.equal(filter.refusal(host('10.2.0.1')), 'the route to 10.2.0.1 goes through wg0, which is excluded');
  assert.equal(filter.refusal(host('10.3.0.1')), undefined);
  assert.deepEqual(new Set(marks), new Set([7]));
  tuns.route = () => ({ forbids: 'unreachable' });
  assert.equal(filter.refusal(host('10.3.0.1')), 'the route to 10.3.0.1 is of type unreachable');
});

test('addresses of excluded interfaces are not told, and where some are named those of no other', () => {
  const told = (rules: InterfaceRules) => {
    const { filter } = filterOf(new Set(), rules);
    return ['10.0.0.1', '10.0.1.1', '10.0.2.1', '192.0.2.1'].filter((address) =>
      filter.mayTell(host(address)),
    );
  };
  assert.deepEqual(told({}), ['10.0.0.1', '10.0.1.1', '10.0.2.1', '192.0.2.1']);
  assert.deepEqual(told({ excludeInterfaces: ['wg?', 'cn*'] }), ['10.0.0.1', '192.0.2.1']);
  assert.deepEqual(told({ interfaces: ['*0'] }), ['10.0.0.1', '10.0.1.1', '192.0.2.1']);
  assert.deepEqual(told({ interfaces: ['*0'], excludeInterfaces: ['wg0'] }), ['10.0.0.1', '192.0.2.1']);
});

test('a path may lead through an interface that is not named, but through none that is excluded', () => {
  const { filter, tuns } = filterOf(new Set(), { interfaces: ['eth0'], excludeInterfaces: ['wg0'] });
  tuns.routes.set('10.2.0.1', 'wg0').set('127.0.0.1', 'lo');
  assert.ok(isTried(filter, host('127.0.0.1')));
  assert.ok(!isTried(filter, host('10.2.0.1')));
});

test('without an interface of ours, nothing is looked up', () => {
  const { filter, tuns } = filterOf(new Set());
  tuns.route = () => assert.fail('looked up');
  assert.ok(isTried(filter, host('10.1.0.1')));
});

test('a reflexive or relayed candidate is judged by the address it is reached at, not by its base', () => {
  const { filter, tuns } = filterOf(new Set(['cnberlin']));
  tuns.routes.set('10.1.0.1', 'cnberlin');
  const reflexive = (address: string, base: string) =>
    `candidate:2 1 UDP 1686052607 ${address} 2333 typ srflx raddr ${base} rport 2333`;
  assert.ok(isTried(filter, reflexive('198.51.100.1', '10.1.0.1')));
  assert.ok(!isTried(filter, reflexive('10.1.0.1', '198.51.100.1')));
});

test('a line without an address is neither told nor tried', () => {
  const { filter } = filterOf(new Set(['cnberlin']));
  for (const line of ['', 'candidate:1', 'candidate:1 1 UDP 5', 'end-of-candidates']) {
    assert.ok(!filter.mayTell(line));
    assert.ok(!isTried(filter, line));
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
      assert.equal(typeof isTried(filter, candidate), 'boolean');
    }),
    { numRuns: 2000 },
  );
});
