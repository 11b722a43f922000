import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FakeNetwork, type FakeNetworkOptions } from '../dataplane/io/engine/fake.ts';
import { conformance } from './webrtc-conformance.ts';
import { connected, End, negotiate } from './webrtc-end.ts';

conformance('fake with fake', async () => {
  const network = new FakeNetwork();
  return { offerer: network.engine('a'), answerer: network.engine('b') };
});

function pairOf(options?: FakeNetworkOptions) {
  const network = new FakeNetwork(options);
  return { network, engines: { offerer: network.engine('a'), answerer: network.engine('b') } };
}

test('behind a cut nothing connects until it is healed', async () => {
  const { network, engines } = pairOf();
  network.cut('a', 'b');
  const [a, b] = [new End(engines.offerer), new End(engines.answerer)];
  await negotiate(a, b);
  await b.until('a candidate', () => b.candidates.length === 1);
  assert.deepEqual(a.states, ['connecting']);
  network.heal('a', 'b');
  await Promise.all([a.untilOpen(), b.untilOpen()]);
});

test('a cut loses data and holds the other channels back until it is healed', async () => {
  const { network, engines } = pairOf();
  const { offerer, answerer } = await connected(engines);
  network.cut('b', 'a');
  for (const channel of ['data', 'wire', 'signal'] as const)
    offerer.connection.send(channel, Buffer.from('x'));
  for (let turns = 0; turns < 10 && offerer.connection.buffered('data') > 0; turns += 1) await setImmediate();
  assert.equal(offerer.connection.buffered('wire'), 1);
  network.heal();
  await answerer.until('both', () => answerer.messages.wire.length + answerer.messages.signal.length === 2);
  assert.equal(answerer.messages.data.length, 0);
});

test('after a lapse both ends of a cut connection have failed, and other connections have not', async () => {
  const { network, engines } = pairOf();
  const lost = await connected(engines);
  const kept = await connected({ offerer: engines.offerer, answerer: network.engine('c') });
  network.cut('a', 'b');
  network.lapse();
  await Promise.all([lost.offerer.untilState('failed'), lost.answerer.untilState('failed')]);
  assert.deepEqual(lost.offerer.states.slice(-2), ['disconnected', 'failed']);
  assert.equal(kept.offerer.states.at(-1), 'connected');
});

test('a node that vanishes behind a cut is missed at the next lapse, not before', async () => {
  const { network, engines } = pairOf();
  const { offerer } = await connected(engines);
  network.cut('a', 'b');
  engines.answerer.close();
  network.heal();
  network.lapse();
  assert.equal(offerer.states.at(-1), 'connected');
  await offerer.untilState('failed');
});

test('data is lost as the network says, the other channels never are', async () => {
  let isNextLost = false;
  const loses = () => {
    isNextLost = !isNextLost;
    return isNextLost;
  };
  const { engines } = pairOf({ loses });
  const { offerer, answerer } = await connected(engines);
  for (let i = 0; i < 10; i += 1) {
    offerer.connection.send('data', Uint8Array.of(i));
    offerer.connection.send('wire', Uint8Array.of(i));
  }
  await answerer.until('ten on wire', () => answerer.messages.wire.length === 10);
  assert.deepEqual(
    answerer.messages.data.map((bytes) => bytes[0]),
    [1, 3, 5, 7, 9],
  );
});

test('a schedule that reorders tasks never reorders a channel', async () => {
  const tasks: (() => void)[] = [];
  const { engines } = pairOf({ schedule: (task) => void tasks.push(task) });
  const drain = () => {
    while (tasks.length > 0) tasks.splice(tasks.length >> 1, 1)[0]!();
  };
  const [a, b] = [new End(engines.offerer), new End(engines.answerer)];
  await negotiate(a, b);
  drain();
  assert.deepEqual(a.opened.toSorted(), ['data', 'signal', 'wire']);
  for (let i = 0; i < 50; i += 1) a.connection.send('wire', Uint8Array.of(i));
  drain();
  assert.deepEqual(
    b.messages.wire.map((bytes) => bytes[0]),
    Array.from({ length: 50 }, (_, i) => i),
  );
});
