import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type DirectKeyPair, deriveDirectKeys, newDirectKeyPair } from '../dataplane/io/direct-keys.ts';
import { fingerprintOf } from '../dataplane/io/engine/sdp.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import type { Connection } from '../dataplane/io/webrtc.ts';
import type { DirectMessage } from '../protocol/direct.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { wireMessage } from '../protocol/wire.ts';
import { attemptWith, closeAfter, Pairs, type Side } from './dataplane-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A dataplane, and a peer that speaks WebRTC and is the test in all else. */
interface Lab {
  readonly a: Side;
  readonly clock: VirtualClock;
  readonly pairs: Pairs;
  /** Of both DTLS certificates. */
  readonly fingerprints: { readonly a: string; readonly raw: string };
  /** What `a` said of keys. */
  readonly heard: DirectMessage[];
  say(message: unknown): void;
}

/** With the link up, by a connection that one of both offered. */
async function labOf(context: TestContext, offering: 'a' | 'raw'): Promise<Lab> {
  const clock = new VirtualClock(context);
  const pairs = new Pairs();
  const a = await pairs.add('a', { direct: true });
  closeAfter(context, a);
  const heard: DirectMessage[] = [];
  const say = (message: unknown) => void connection.send('wire', encode(message));
  let open = 0;
  const connection: Connection = pairs.network.engine('raw').connect(
    { route: 'shared', iceServers: [] },
    {
      candidate: (candidate) =>
        a.shell.notification('candidate', { peer: 'raw', negotiation: 'r', candidate }),
      state: () => {},
      open: () => {
        open++;
      },
      message: (channel, bytes) => {
        if (channel !== 'wire') return;
        const message = parse(wireMessage, bytes);
        if (message.type === 'direct') heard.push(message);
        if (message.type === 'ping') say({ type: 'pong', number: message.number });
      },
      drain: () => {},
      unserved: () => {},
      misused: () => {},
    },
  );
  const attempt = attemptWith('raw', 'r');
  const sdp = { a: '', raw: '' };
  if (offering === 'a') {
    sdp.a = (await a.shell.request('offer', attempt)).sdp;
    sdp.raw = await connection.answer(sdp.a);
    await a.shell.request('accept', { peer: 'raw', negotiation: 'r', sdp: sdp.raw });
  } else {
    sdp.raw = await connection.offer();
    sdp.a = (await a.shell.request('answer', { ...attempt, sdp: sdp.raw })).sdp;
    await connection.accept(sdp.a);
  }
  await clock.until('the channels', () => open === 3);
  say({ type: 'hello', version: 1, packetInformation: false, mtu: 1500 });
  await clock.until('the keys', () => heard.length > 0);
  const fingerprints = { a: fingerprintOf(sdp.a), raw: fingerprintOf(sdp.raw) };
  return { a, clock, pairs, fingerprints, heard, say };
}

/** The peer answers probes under the first keys, the private one of which is `pair`'s. `a` made the offer. */
function answerProbes(
  { pairs, fingerprints, heard }: Lab,
  pair: DirectKeyPair,
  message: DirectMessage,
): void {
  const tuns = new MemoryTunFactory();
  const [theirs] = heard;
  const keys = deriveDirectKeys(
    pair.agree(theirs!.key),
    { identity: attemptWith('raw', '').identity, fingerprint: fingerprints.raw, message },
    { identity: attemptWith('a', '').identity, fingerprint: fingerprints.a, message: theirs! },
    false,
  );
  tuns.join({ network: pairs.records, node: 'raw', address: pairs.network.addressOf('raw') });
  tuns.openDirect({ port: 2333, workers: 1, mark: 0 }, { heard() {}, answered() {}, roamed() {} });
  const options = { name: 'raw', alias: '', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' };
  const link = tuns.open(options, () => {}).direct()!;
  assert.ok(link.setEndpoint(pairs.network.addressOf('a'), 2333));
  assert.ok(link.add({ index: message.index, peerIndex: theirs!.index, ...keys }));
}

function keysOf(generation: number, changes: Partial<DirectMessage> = {}): DirectMessage {
  return {
    type: 'direct',
    version: 1,
    generation,
    index: 1000 + generation,
    key: newDirectKeyPair().publicKey,
    ciphers: ['chacha20-poly1305'],
    ...changes,
  };
}

/** Sessions that `a` installed. */
function installed({ a }: Lab): unknown[] {
  return a.lines.filter(({ message }) => message === 'direct keys').map(({ fields }) => fields.generation);
}

for (const [what, changes] of [
  ['a key of small order', { key: new Uint8Array(32) }],
  ['another version', { version: 2 }],
] as const) {
  test(`a peer that offers ${what} gets no direct path, a warning and a reason, and keeps its link`, async (context) => {
    const lab = await labOf(context, 'raw');
    lab.say(keysOf(0, changes));
    await lab.clock.until('the warning', () => lab.a.lines.some(({ level }) => level === 'warn'));
    const warnings = lab.a.lines.filter(({ level }) => level === 'warn');
    assert.deepEqual(
      warnings.map(({ message, fields }) => [message, fields.peer]),
      [['no keys for a direct path', 'raw']],
    );
    assert.deepEqual(installed(lab), []);
    const report = (await lab.a.hello()).links[0]!;
    assert.deepEqual([report.state, report.path], ['up', 'datachannel']);
    assert.deepEqual(report.direct, { state: 'off', reason: 'the keys do not agree' });
    lab.say(keysOf(0));
    await lab.clock.pass(100);
    assert.deepEqual(installed(lab), [], 'a private key serves one agreement');
  });
}

test('our own key that comes back is none of the peer’s', async (context) => {
  const lab = await labOf(context, 'a');
  lab.say(lab.heard[0]);
  await lab.clock.until('the warning', () => lab.a.lines.some(({ level }) => level === 'warn'));
  assert.deepEqual(installed(lab), []);
});

test('the answerer takes the next generation and no other, answers it with its key, and each once', async (context) => {
  const lab = await labOf(context, 'raw');
  const { heard, clock } = lab;
  const answers = async (message: DirectMessage) => {
    const before = heard.length;
    lab.say(message);
    await clock.pass(50);
    return heard.slice(before);
  };
  assert.equal(heard[0]!.generation, 0);
  assert.deepEqual(await answers(keysOf(1)), [], 'before the first');
  assert.deepEqual(await answers(keysOf(0)), [], 'nobody asks for the first ones');
  assert.deepEqual(await answers(keysOf(0)), []);
  assert.deepEqual(await answers(keysOf(2)), []);
  const renewal = keysOf(1);
  const [answer, ...more] = await answers(renewal);
  assert.deepEqual([answer!.generation, answer!.echo, more], [1, renewal.key, []]);
  assert.notDeepEqual(answer!.key, heard[0]!.key);
  assert.notEqual(answer!.index, heard[0]!.index);
  assert.deepEqual(await answers(renewal), []);
  assert.deepEqual(await answers(keysOf(3)), []);
  assert.deepEqual(installed(lab), [0, 1]);
});

test('the offerer takes no answer to what it did not ask', async (context) => {
  const lab = await labOf(context, 'a');
  for (const message of [keysOf(1), keysOf(0), keysOf(0), keysOf(1, { echo: lab.heard[0]!.key })])
    lab.say(message);
  await lab.clock.pass(200);
  assert.equal(lab.heard.length, 1);
  assert.deepEqual(installed(lab), [0]);
  assert.ok(!lab.a.lines.some(({ level }) => level === 'warn'));
});

test('the offerer takes no answer to a renewal but that which echoes its key', async (context) => {
  const lab = await labOf(context, 'a');
  const { a, clock, heard } = lab;
  const pair = newDirectKeyPair();
  const first = keysOf(0, { key: pair.publicKey });
  answerProbes(lab, pair, first);
  lab.say(first);
  await clock.until('the direct path', () => a.report('raw')?.path === 'direct');
  await clock.until('a renewal', () => heard.length > 1, 125_000);
  const [before, renewal] = heard;
  assert.deepEqual([renewal!.generation, renewal!.echo], [1, undefined]);
  for (const echo of [before!.key, newDirectKeyPair().publicKey]) lab.say(keysOf(1, { echo }));
  lab.say(keysOf(1));
  await clock.pass(200);
  assert.deepEqual(installed(lab), [0]);
  lab.say(keysOf(1, { echo: renewal!.key }));
  await clock.pass(200);
  assert.deepEqual(installed(lab), [0, 1]);
  assert.ok(!a.lines.some(({ level }) => level === 'warn'));
});

test('a peer whose records do not come leaves the link on its datachannel, as a path that is tried', async (context) => {
  const lab = await labOf(context, 'a');
  lab.say(keysOf(0));
  await lab.clock.pass(30_000);
  const report = (await lab.a.hello()).links[0]!;
  assert.deepEqual([report.state, report.path, report.direct?.state], ['up', 'datachannel', 'trying']);
});
