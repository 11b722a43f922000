/** What comes by the datachannels of a peer, and may be anybody's who is in the middle of DTLS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordKind, sealRecord } from '../dataplane/io/record.ts';
import { maxMessage } from '../dataplane/io/webrtc.ts';
import { encode } from '../protocol/msgpack.ts';
import { inVirtualTime, type Pairs, packet, type Side, twoOf } from './dataplane-pair.ts';
import { waitFor } from './native/wait.ts';
import { RawPeer } from './raw-peer.ts';

/** A peer that is the test's, by an open connection on which it has said nothing. */
async function rawPeer(pairs: Pairs, a: Side): Promise<RawPeer> {
  const peer = new RawPeer(pairs, a);
  await peer.answer();
  await waitFor('the channels', () => peer.isOpen && peer.heard.length > 0);
  return peer;
}

test('garbage on the wire channel is passed over; a ping is answered, and the hello that follows counts', async (context) => {
  const { pairs, a } = await twoOf(context);
  const peer = await rawPeer(pairs, a);
  const { heard } = peer;
  assert.deepEqual(heard[0], {
    ...{ type: 'hello', version: 1, packetInformation: false, mtu: 1500 },
    ...{ saysReady: true, carries: 1500, full: true },
  });
  for (const garbage of [
    Uint8Array.of(),
    Uint8Array.of(0xc1),
    encode({ type: 'weather' }),
    encode({ type: 'hello', version: 1 }),
    encode({ type: 'pong', number: 99 }),
    new Uint8Array(20_000),
  ]) {
    peer.send('wire', garbage);
  }
  peer.connection.send('data', packet(1));
  peer.say({ type: 'ping', number: 7 });
  await waitFor('the answer', () => heard.some((message) => message.type === 'pong' && message.number === 7));
  assert.equal(a.report('raw')!.state, 'connecting');
  peer.say({ type: 'hello', version: 1, packetInformation: false, mtu: 1280, more: 'later' });
  await waitFor('the link', () => a.report('raw')?.state === 'up');
  assert.equal(a.tun('raw')!.mtu, 1280);
});

test('nothing is believed that comes by a datachannel and that the peer did not seal: the connection ends', async (context) => {
  const bye = encode({ type: 'bye' });
  const other = await twoOf(context);
  const foreign = new RawPeer(other.pairs, other.a);
  await foreign.answer();
  const forgeries: readonly ((peer: RawPeer) => void)[] = [
    ({ connection }) => connection.send('wire', bye),
    ({ connection }) => connection.send('wire', foreign.agreement!.channels!.seal('wire', bye)),
    ({ connection, agreement }) => connection.send('wire', agreement!.channels!.seal('signal', bye)),
    ({ connection }) => connection.send('signal', Uint8Array.of(1)),
    ({ connection, agreement }) => {
      const ping = agreement!.channels!.seal('wire', encode({ type: 'ping', number: 1 }));
      for (let i = 0; i < 2; i++) connection.send('wire', ping);
    },
  ];
  for (const forge of forgeries) {
    const { pairs, a } = await twoOf(context);
    const peer = await rawPeer(pairs, a);
    forge(peer);
    await waitFor('the end', () => a.ended.length > 0);
    assert.match(a.ended[0]!.reason, /not what the peer sent/);
    assert.deepEqual((await a.shell.request('stats', {})).refused, { forged: 1 });
    assert.deepEqual([a.byes, a.signals], [[], []]);
  }
});

test('what anybody may send on `data` does not make a silent peer live', async (context) => {
  const { pairs, a, pass } = await inVirtualTime(context);
  const peer = new RawPeer(pairs, a);
  peer.hears = ({ type }) => {
    if (type === 'hello') peer.say({ type: 'hello', version: 1, packetInformation: false, mtu: 1500 });
  };
  await peer.answer();
  await waitFor('the link', () => a.report('raw')?.state === 'up');
  for (let i = 0; i < 5 && a.ended.length === 0; i++) {
    peer.connection.send('data', packet(i));
    await pass(2);
  }
  assert.equal(a.ended[0]?.reason, 'the peer does not answer');
});

test('what comes on `data` and is no record of the peer’s reaches no interface, and costs nothing else', async (context) => {
  const { pairs, a } = await twoOf(context);
  const peer = await rawPeer(pairs, a);
  peer.say({ type: 'hello', version: 1, packetInformation: false, mtu: 1500 });
  await waitFor('the link', () => a.report('raw')?.state === 'up');
  const made = sealRecord(
    { cipher: 'aes-256-gcm', key: new Uint8Array(32) },
    { kind: recordKind.packet, index: 1, counter: 0 },
    packet(6),
  );
  for (const bytes of [
    new Uint8Array(1600).fill(0x45),
    Uint8Array.of(0xc0, 0, 1),
    packet(5),
    made,
    new Uint8Array(0),
  ])
    peer.connection.send('data', bytes);
  peer.say({ type: 'ping', number: 7 });
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  const { counters } = (await a.shell.request('stats', {})).links[0]!;
  assert.equal(counters.rxPackets, 0);
  assert.deepEqual(a.tun('raw')!.written, []);
  assert.equal(a.report('raw')?.state, 'up');
});

test('a signal that is longer than any message is lost alone: those after it arrive', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const frame = Uint8Array.of(7);
  for (const said of [new Uint8Array(maxMessage), frame])
    a.shell.notification('signal', { peer: 'b', frame: said });
  await waitFor('the signal', () => b.signals.length > 0 || b.ended.length > 0);
  assert.deepEqual([b.signals, b.ended], [[{ peer: 'a', frame }], []]);
});
