/** What others change about the interfaces, and how the dataplane answers. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { inVirtualTime, type Side } from './dataplane-pair.ts';

/** Two linked dataplanes in virtual time; `pass` looks once every two seconds. */
async function linkedPair(context: TestContext, before: (a: Side) => void = () => {}) {
  const lab = await inVirtualTime(context);
  before(lab.a);
  await lab.pairs.link(lab.a, lab.b);
  return lab;
}

async function warningsOf(side: Side) {
  return (await side.hello()).warnings ?? [];
}

async function subjectsOf(side: Side): Promise<string[]> {
  return (await warningsOf(side)).map(({ subject, peer }) => `${subject} ${peer ?? ''}`.trim()).sort();
}

test('a link-local address that is taken away is put back at the next look', async (context) => {
  const { a, pass } = await linkedPair(context);
  const tun = a.tun('b')!;
  const address = tun.options.linkLocal;
  assert.equal(a.report('b')!.interface!.address, address);
  tun.loseAddress();
  await pass(2);
  assert.ok(tun.hasAddress);
  assert.ok(
    a.lines.some(({ level, message }) => level === 'info' && message === 'link-local address put back'),
  );
  assert.equal(a.report('b')!.interface!.address, address);
  assert.deepEqual(await subjectsOf(a), []);
});

test('whoever takes it away again and again is told of once, and has it most of the time', async (context) => {
  const { a, pass } = await linkedPair(context);
  const tun = a.tun('b')!;
  let there = 0;
  for (let i = 0; i < 150; i++) {
    tun.loseAddress();
    await pass(2);
    if (tun.hasAddress) there++;
  }
  assert.ok(there > 5 && there < 12, `put back ${there} times in five minutes`);
  assert.deepEqual(await subjectsOf(a), ['address b']);
  assert.equal(a.report('b')!.interface!.address, '', 'the status has what is there');
  const said = a.lines.filter(({ level, fields }) => level === 'warn' && fields.about === 'address');
  assert.equal(said.length, 1);
  await pass(200);
  assert.deepEqual(await subjectsOf(a), []);
  assert.equal(a.report('b')!.interface!.address, tun.options.linkLocal);
});

test('where IPv6 is switched off the status has no address of ours, and has it once IPv6 is back', async (context) => {
  const { a, pass } = await linkedPair(context, ({ tuns }) => {
    tuns.withoutIpv6 = true;
  });
  assert.equal(a.report('b')!.state, 'up');
  assert.equal(a.report('b')!.interface!.address, '');
  await pass(60);
  assert.deepEqual(await subjectsOf(a), []);
  a.tuns.withoutIpv6 = false;
  await pass(2);
  assert.equal(a.report('b')!.interface!.address, a.tun('b')!.options.linkLocal);
});

test('a reverse path filter that udev sets on a new interface is taken off; one of later is the administrator’s, and said', async (context) => {
  const { a, pass } = await linkedPair(context);
  const tun = a.tun('b')!;
  tun.rpFilter = 2;
  await pass(2);
  assert.equal(tun.rpFilter, 0);
  await pass(20);
  tun.rpFilter = 1;
  await pass(4);
  assert.equal(tun.rpFilter, 1);
  assert.deepEqual(await subjectsOf(a), ['rp_filter b']);
  assert.match(
    (await warningsOf(a))[0]!.message,
    /^net\.ipv4\.conf\.cnb\.rp_filter is 1, .*sysctl -w net\.ipv4\.conf\.cnb\.rp_filter=0$/,
  );
  tun.rpFilter = 0;
  a.tuns.rpFilter = 2;
  await pass(2);
  assert.deepEqual(await subjectsOf(a), ['rp_filter']);
  assert.match((await warningsOf(a))[0]!.message, /conf\.all\.rp_filter is 2/);
  a.tuns.rpFilter = 0;
  await pass(2);
  assert.deepEqual(await subjectsOf(a), []);
});
