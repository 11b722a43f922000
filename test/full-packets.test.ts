import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { isSuspicious, newFullPackets, step } from '../dataplane/core/full-packets.ts';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import { fullPacket, fullPacketNumber } from '../protocol/wire.ts';
import { closeAfter, Pairs, type Side } from './dataplane-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

test('a full packet has a number and any length but a short one', () => {
  const bytes = fullPacket(0x0102_0304, 1376);
  assert.equal(bytes.length, 1376);
  assert.equal(Buffer.from(bytes.subarray(0, 8)).toString('hex'), '0102030400000000');
  assert.equal(fullPacketNumber(bytes), 0x0102_0304);
  const shortest = fullPacket(7, 20);
  assert.equal(fullPacketNumber(shortest), 7);
  const inside = new Uint8Array(2000);
  inside.set(bytes, 100);
  assert.equal(fullPacketNumber(inside.subarray(100, 1476)), 0x0102_0304);
  for (const length of [shortest.length - 1, 3, 0])
    assert.equal(fullPacketNumber(new Uint8Array(length)), undefined);
});

test('what is not answered while four pings behind it are is lost; one answer tells that full packets arrive', () => {
  const state = newFullPackets(0);
  let now = 0;
  for (let number = 1; number <= 4; number++) {
    assert.deepEqual(step(state, { type: 'tick', number, spare: false }, now), ['ask']);
    assert.deepEqual(
      step(state, { type: 'tick', number: number + 1, spare: false }, now + 10_000),
      [],
      'not before the pong',
    );
    assert.deepEqual(step(state, { type: 'pong', number: number - 1 }, now), [], 'of an older ping');
    assert.equal(isSuspicious(state), number > 2);
    assert.deepEqual(step(state, { type: 'pong', number }, now), number === 4 ? ['lost'] : []);
    now = state.askAt ?? now;
  }
  assert.equal(state.phase, 'lost');
  assert.deepEqual(step(state, { type: 'answered' }, now), []);

  const other = newFullPackets(0);
  step(other, { type: 'tick', number: 1, spare: false }, 0);
  step(other, { type: 'pong', number: 1 }, 20);
  step(other, { type: 'answered' }, 21);
  assert.deepEqual([other.phase, other.askAt, isSuspicious(other)], ['arrive', 60_021, false]);
});

test('what arrived is asked for again, for a path may become narrower', () => {
  const state = newFullPackets(0);
  step(state, { type: 'tick', number: 1, spare: false }, 0);
  step(state, { type: 'answered' }, 10);
  assert.deepEqual(step(state, { type: 'tick', number: 2, spare: false }, 60_009), []);
  let now = 60_010;
  for (let number = 2; number <= 5; number++) {
    assert.deepEqual(step(state, { type: 'tick', number, spare: false }, now), ['ask']);
    assert.deepEqual(step(state, { type: 'pong', number }, now), number === 5 ? ['lost'] : []);
    if (state.askAt !== null) assert.equal(state.askAt - now, 2000, 'it may only be late');
    now = state.askAt ?? now;
  }
});

test('nothing is asked while the direct path takes all packets, and at once when it does not', () => {
  const state = newFullPackets(500);
  assert.deepEqual(step(state, { type: 'tick', number: 1, spare: true }, 500), []);
  assert.equal(state.askAt, 60_500, 'looked at again');
  step(state, { type: 'needed' }, 1000);
  assert.deepEqual(step(state, { type: 'tick', number: 1, spare: false }, 1000), ['ask']);
  step(state, { type: 'needed' }, 1001);
  assert.equal(state.askAt, null, 'it is asked already');
});

test('whatever a peer answers, it is asked four times a second at most, and at most four times in vain for an answer', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('tick' as const), number: fc.nat(50), spare: fc.boolean() }),
    fc.constant({ type: 'needed' as const }),
    fc.record({ type: fc.constant('pong' as const), number: fc.integer() }),
    fc.constant({ type: 'answered' as const }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(event, fc.oneof(fc.nat(100), fc.nat(100_000))), { maxLength: 300 }),
      (events) => {
        const state = newFullPackets(0);
        const asks: number[] = [];
        let now = 0;
        let vain = 0;
        for (const [each, wait] of events) {
          now += wait;
          if (each.type === 'answered') vain = 0;
          if (step(state, each, now)[0] !== 'ask') continue;
          asks.push(now);
          assert.ok(++vain <= 4);
        }
        assert.ok(asks.every((at, i) => i === 0 || at - asks[i - 1]! >= 250));
      },
    ),
  );
});

async function labOf(context: TestContext, network: FakeNetwork, direct = true) {
  const clock = new VirtualClock(context);
  const pairs = new Pairs(network);
  const [a, b] = [await pairs.add('a', { direct }), await pairs.add('b', { direct })];
  closeAfter(context, a, b);
  const connect = async () => {
    const negotiation = await pairs.negotiate(a, b);
    const isUp = (side: Side, peer: string) =>
      side.report(peer)?.connections.some((each) => each.negotiation === negotiation && each.open);
    await clock.until('the link', () => isUp(a, 'b') && isUp(b, 'a'));
  };
  await connect();
  return { a, b, clock, connect };
}

test('a path that loses full packets is direct at once; its connection is made anew with shorter ones, once', async (context) => {
  const network = new FakeNetwork({ loses: (_from, _to, bytes) => bytes.length >= 1280 });
  const { a, b, clock, connect } = await labOf(context, network);
  const direct = await clock.until('the direct path', () => a.report('b')!.path === 'direct');
  assert.ok(direct <= 100, `${direct} ms`);
  const told = await clock.until('the end of the connection', () => a.ended.length > 0 && b.ended.length > 0);
  assert.ok(told <= 1500, `${told} ms`);
  const reasons = [...a.ended, ...b.ended].map(({ reason }) => reason);
  assert.ok(reasons.includes('full packets are lost'), `${reasons}`);
  assert.deepEqual([a.report('b')!.state, b.report('a')!.state], ['up', 'up'], 'by the direct path');
  const ends = a.ended.length + b.ended.length;
  await connect();
  await clock.pass(60_000);
  assert.equal(a.ended.length + b.ended.length, ends);
});

test('a path that does not take the shortest of full packets either is said, once, until it takes them', async (context) => {
  let limit = 1280;
  const network = new FakeNetwork({ loses: (_from, _to, bytes) => bytes.length >= limit });
  const { a, b, clock, connect } = await labOf(context, network, false);
  const warned = async () => (await a.hello()).warnings!.map(({ subject, peer }) => `${subject} ${peer}`);
  await clock.until('the end of the connection', () => a.ended.length > 0 && b.ended.length > 0);
  assert.deepEqual(await warned(), [], 'a connection with shorter packets may do');
  await connect();
  await clock.pass(2000);
  assert.deepEqual(await warned(), ['narrow-path b']);
  await clock.pass(5 * 60_000);
  const lines = a.lines.filter(({ level, fields }) => level === 'warn' && fields.about === 'narrow-path');
  assert.equal(lines.length, 1);
  assert.equal(a.report('b')!.state, 'up', 'it carries what it carries');
  limit = 1500;
  await clock.pass(70_000);
  assert.deepEqual(await warned(), []);
});

test('a path that becomes narrower under a link is noticed within a minute and a bit', async (context) => {
  let limit = 1500;
  const network = new FakeNetwork({ loses: (_from, _to, bytes) => bytes.length >= limit });
  const { a, b, clock } = await labOf(context, network, false);
  await clock.pass(5000);
  limit = 1280;
  await clock.until('the end of the connection', () => a.ended.length > 0 && b.ended.length > 0, 70_000);
  const reasons = [...a.ended, ...b.ended].map(({ reason }) => reason);
  assert.ok(reasons.includes('full packets are lost'), `${reasons}`);
});

test('a path that loses one message in five keeps its connection', async (context) => {
  let random = 1;
  const chance = () => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return random / 2 ** 32;
  };
  const { a, b, clock } = await labOf(context, new FakeNetwork({ loses: () => chance() < 0.2 }), false);
  await clock.pass(30_000);
  assert.deepEqual([...a.ended, ...b.ended], []);
  const { counters } = (await a.shell.request('stats', {})).links[0]!;
  assert.deepEqual([counters.rxPackets, counters.rxDropped], [0, 0], 'full packets are no packets');
});
