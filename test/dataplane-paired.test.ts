/** Links between the moment when ICE has a pair and the one when datachannels are open, which may never come. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { attemptWith, type Side } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';
import { connect, goDirect, type Lab, labOf, lossOf, pathsOf } from './direct-lab.ts';

/** Two dataplanes between which no datachannel opens, and what opens all of them. */
async function withoutChannels(context: TestContext, ...changes: [object?, object?]) {
  const [ours = {}, theirs = ours] = changes;
  const lab = await labOf(context, { autoMtu: true, ...ours }, { autoMtu: true, ...theirs });
  const held: (() => void)[] = [];
  lab.pairs.network.handshake = (open) => held.push(open);
  const open = () => {
    for (const each of held) each();
    lab.pairs.network.handshake = (each) => each();
  };
  return { lab, open };
}

const keysOf = ({ lines }: Side) => lines.filter(({ message }) => message === 'keys of a link').length;
const recordsOf = (side: Side, peer: string) => side.tun(peer)?.direct().counters().txRecords;

/** Neither end has a link, though both may have its interface. */
function assertDown({ a, b }: Lab): void {
  for (const [side, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const) {
    assert.ok(!side.reports.some(({ state }) => state === 'up'), 'never up');
    assert.equal(side.report(peer)!.path, null);
    assert.notEqual(side.tun(peer)?.carrier, true);
  }
}

test('a new link waits for no datachannel, and keeps its direct path and keys when there is one', async (context) => {
  const { lab, open } = await withoutChannels(context);
  const { a, b, clock, pairs } = lab;
  const negotiation = await pairs.negotiate(a, b);
  await goDirect(lab);
  assert.deepEqual([a.report('b')!.state, a.report('b')!.active, a.tun('b')!.carrier], ['up', null, true]);
  assert.equal(await lossOf(lab, 1000), 0);
  open();
  await clock.until('the connection', () => a.report('b')!.active === negotiation);
  assert.equal(await lossOf(lab, 1000), 0);
  assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  assert.deepEqual([keysOf(a), keysOf(b)], [1, 1]);
  await clock.pass(125_000);
  assert.deepEqual([keysOf(a), keysOf(b)], [2, 2], 'renewed');
});

test('a link to which no datachannel ever comes stays up, with the keys of each attempt to open one', async (context) => {
  const { lab } = await withoutChannels(context);
  const { a, b, clock, pairs } = lab;
  let negotiation = await pairs.negotiate(a, b);
  await goDirect(lab);
  for (let attempts = 0; attempts < 20; attempts++) {
    assert.equal(await lossOf(lab, 1000), 0);
    await clock.pass(9000);
    for (const [side, peer] of [
      [a, 'b'],
      [b, 'a'],
    ] as const)
      await side.shell.request('close', { peer, negotiation });
    await clock.pass(10_000);
    negotiation = await pairs.negotiate(a, b);
  }
  assert.equal(await lossOf(lab, 1000), 0);
  for (const side of [a, b]) {
    const states = side.reports.map(({ state }) => state);
    assert.ok(!states.slice(states.indexOf('up')).some((state) => state !== 'up'), 'since it was first up');
    assert.deepEqual(new Set(side.reports.map(({ active }) => active)), new Set([null]));
  }
});

test('a peer that never proves its keys by the pair gets no link, and no more probes once its attempt is over', async (context) => {
  const { lab } = await withoutChannels(context);
  const { a, b, clock, pairs } = lab;
  pairs.records.cut('a', 'b');
  const negotiation = await pairs.negotiate(a, b);
  await clock.pass(10_000);
  assertDown(lab);
  const asked = recordsOf(a, 'b')!;
  assert.ok(asked > 0 && asked < 40, `${asked} probes`);
  await a.shell.request('close', { peer: 'b', negotiation });
  await clock.pass(300_000);
  assert.equal(recordsOf(a, 'b'), asked);
  assertDown(lab);
});

test('what answers under other keys than the descriptions’ is nobody', async (context) => {
  const { lab } = await withoutChannels(context);
  const { a, b, clock } = lab;
  const { sdp, keys } = await a.shell.request('offer', attemptWith('b', 'x'));
  const forged = { ...keys, x25519: keys.x25519.map((byte) => byte ^ 1) };
  const answer = await b.shell.request('answer', { ...attemptWith('a', 'x'), sdp, keys: forged, epochs });
  await a.shell.request('accept', { peer: 'b', negotiation: 'x', ...answer, epochs });
  await clock.pass(5000);
  assert.ok(recordsOf(a, 'b')! > 0 && recordsOf(b, 'a')! > 0, 'both have tried');
  assertDown(lab);
});

test('an end that has no interface answers nothing: the other one has no link', async (context) => {
  const { lab } = await withoutChannels(context);
  lab.b.tuns.refusal = 'tun_failed';
  await lab.pairs.negotiate(lab.a, lab.b);
  await lab.clock.pass(5000);
  assertDown(lab);
});

for (const [what, ours, theirs] of [
  ['whose interfaces differ in packet information', { packetInformation: true }, {}],
  ['of which one takes no records by UDP', { direct: false }, {}],
] as const)
  test(`ends ${what} have no interface before their hellos`, async (context) => {
    const { lab } = await withoutChannels(context, ours, theirs);
    await lab.pairs.negotiate(lab.a, lab.b);
    await lab.clock.pass(1000);
    assert.deepEqual([lab.a.tun('b'), lab.b.tun('a')], [undefined, undefined]);
  });

test('a way that no link may take is not tried', async (context) => {
  const { lab } = await withoutChannels(context);
  const { a, b, clock, pairs } = lab;
  await pairs.negotiate(a, await pairs.add('c', { direct: true }));
  await clock.until('an interface', () => a.tun('c'));
  // Only the pair shows it: none of the candidates that were told leads there.
  pairs.mute.add('b');
  a.tuns.routes.set(pairs.network.addressOf('b'), 'cnc');
  await pairs.negotiate(a, b);
  await clock.pass(5000);
  assert.equal(a.tun('b'), undefined);
});

test('a peer that has started anew is linked again before there is a datachannel', async (context) => {
  const { lab, open } = await withoutChannels(context);
  const { a, b, clock, pairs } = lab;
  open();
  await connect(lab);
  await goDirect(lab);
  for (const downFor of [100, 8000]) {
    b.shell.close();
    await clock.pass(downFor);
    await b.hello();
    pairs.network.handshake = () => {};
    await pairs.negotiate(a, b);
    await clock.pass(500);
    assert.deepEqual([a.report('b')!.state, b.report('a')!.state], ['up', 'up'], `after ${downFor} ms`);
    assert.deepEqual([a.report('b')!.active, b.report('a')!.active], [null, null]);
    assert.equal(await lossOf(lab, 1000), 0);
  }
});
