/** Addresses and names of interfaces that control wants: `adjust`. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { LinkSettings } from '../protocol/dataplane.ts';
import { inVirtualTime, type Side } from './dataplane-pair.ts';

const [four, six, other] = ['10.20.2.1/32', 'fd20:2::1/128', '10.20.3.1/24'] as const;

/** Two dataplanes in virtual time, of which `a` wants this of its link with `b`. */
async function linkedPair(context: TestContext, settings: LinkSettings) {
  const lab = await inVirtualTime(context);
  const adjust = (wanted: LinkSettings) => lab.a.shell.request('adjust', { peer: 'b', settings: wanted });
  await adjust(settings);
  await lab.pairs.link(lab.a, lab.b);
  return { ...lab, adjust, given: () => [...lab.a.tun('b')!.given].sort() };
}

function told(side: Side): readonly string[] {
  return side.report('b')!.interface!.addresses ?? [];
}

async function warnings(side: Side): Promise<string[]> {
  return ((await side.hello()).warnings ?? []).map(({ subject, message }) => `${subject}: ${message}`);
}

test('an interface has the wanted addresses from the start, and the report says so', async (context) => {
  const { a, b, given } = await linkedPair(context, { addresses: [four, six] });
  assert.deepEqual(given(), [four, six]);
  assert.deepEqual(told(a), [four, six]);
  assert.deepEqual([...b.tun('a')!.given], []);
  assert.equal(b.report('a')!.interface!.addresses, undefined);
});

test('while the link is up, what is wanted now is given, what is not any more taken away, and no packet is held up', async (context) => {
  const { a, adjust, given } = await linkedPair(context, { addresses: [four, six] });
  const { ifindex } = a.tun('b')!;
  await adjust({ addresses: [six, other] });
  assert.deepEqual(given(), [other, six]);
  assert.deepEqual(told(a), [six, other]);
  await adjust({});
  assert.deepEqual(given(), []);
  assert.deepEqual(told(a), []);
  assert.equal(a.tun('b')!.ifindex, ifindex);
  assert.equal(a.report('b')!.state, 'up');
});

test('an address that somebody takes away is put back at the next look; who does so again and again is told of', async (context) => {
  const { a, pass, given } = await linkedPair(context, { addresses: [four] });
  const tun = a.tun('b')!;
  tun.given.delete(four);
  await pass(2);
  assert.deepEqual(given(), [four]);
  assert.ok(a.lines.some(({ level, message }) => level === 'info' && message === 'address put back'));
  assert.deepEqual(await warnings(a), []);
  let there = 0;
  for (let i = 0; i < 150; i++) {
    tun.given.delete(four);
    await pass(2);
    if (tun.given.has(four)) there++;
  }
  assert.ok(there > 3 && there < 12, `put back ${there} times in five minutes`);
  const [warning, ...more] = await warnings(a);
  assert.match(
    warning!,
    /^addresses: 10\.20\.2\.1\/32 is taken off cnb again and again, .*: find out by whom/,
  );
  assert.deepEqual(more, []);
  await pass(200);
  assert.deepEqual(given(), [four]);
  assert.deepEqual(await warnings(a), []);
});

test('what others gave stays, also where it is the same', async (context) => {
  const { a, adjust, pass, given } = await linkedPair(context, {});
  const tun = a.tun('b')!;
  for (const each of [four, '192.0.2.1/24']) tun.given.add(each);
  await adjust({ addresses: [four, six] });
  assert.deepEqual(told(a), [four, six]);
  await adjust({});
  assert.deepEqual(given(), [four, '192.0.2.1/24']);
  await adjust({ addresses: [four] });
  tun.given.delete(four);
  await pass(2);
  assert.deepEqual(given(), [four, '192.0.2.1/24']);
  await adjust({});
  assert.deepEqual(given(), ['192.0.2.1/24'], 'the one that was put back is ours');
});

test('addresses stay while the path is lost', async (context) => {
  const { a, pairs, pass, given } = await linkedPair(context, { addresses: [four, six] });
  const { ifindex } = a.tun('b')!;
  pairs.network.cut('a', 'b');
  await pass(60);
  assert.equal(a.report('b')!.state, 'lost');
  assert.deepEqual(given(), [four, six]);
  assert.equal(a.tun('b')!.ifindex, ifindex);
});

test('an address that the kernel refuses is a warning until it takes it', async (context) => {
  const { a, adjust, pass, given } = await linkedPair(context, {});
  a.tuns.withoutIpv6 = true;
  await adjust({ addresses: [six, four] });
  assert.deepEqual(given(), [four]);
  assert.deepEqual(told(a), [four]);
  const [warning] = await warnings(a);
  assert.match(
    warning!,
    /^addresses: cnb does not take the address fd20:2::1\/128: EACCES; change addresses in/,
  );
  a.tuns.withoutIpv6 = false;
  await pass(4);
  assert.deepEqual(told(a), [six, four]);
  assert.deepEqual(await warnings(a), []);
});

test('a removed link is forgotten with what was wanted of it', async (context) => {
  const { a, b, pairs, given } = await linkedPair(context, { addresses: [four], interface: 'to-b' });
  assert.equal(a.tun('b')!.name, 'to-b');
  await a.shell.request('remove', { peer: 'b' });
  await pairs.link(a, b);
  assert.equal(a.tun('b')!.name, 'cnb');
  assert.deepEqual(given(), []);
});

test('a wanted name that another program has gives way to the usual ones, and is the operator’s to give', async (context) => {
  const { a, b, pairs, adjust } = await linkedPair(context, {});
  a.tuns.open(
    { name: 'taken', alias: '', mtu: 1400, packetInformation: false, linkLocal: 'fe80::9' },
    () => {},
  );
  for (const [wanted, name] of [
    ['taken', 'cnb'],
    ['to-b', 'to-b'],
  ] as const) {
    await a.shell.request('remove', { peer: 'b' });
    await adjust({ interface: wanted });
    await pairs.link(a, b);
    assert.equal(a.tun('b')!.name, name);
  }
  // The name goes to another peer: who had it does not keep it.
  await a.shell.request('remove', { peer: 'b' });
  const c = await pairs.add('c');
  await a.shell.request('adjust', { peer: 'c', settings: { interface: 'to-b' } });
  await pairs.link(a, c);
  assert.equal(a.tun('c')!.name, 'to-b');
  c.shell.close();
});

test('a control that comes has nothing wanted of links that there are not', async (context) => {
  const { a, b, pairs, given } = await linkedPair(context, { addresses: [four] });
  await a.shell.request('adjust', { peer: 'c', settings: { interface: 'to-c' } });
  await a.hello();
  assert.deepEqual(given(), [four]);
  const c = await pairs.add('c');
  await pairs.link(a, c);
  assert.equal(a.tun('c')!.name, 'cnc');
  assert.ok(b.report('a'));
  c.shell.close();
});
