import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { newOfferKeys, newX25519 } from '../dataplane/io/link-keys.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import type { RenewMessage } from '../protocol/keys.ts';
import { attemptWith, closeAfter, Pairs, type Side, twoOf } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';
import { RawPeer } from './raw-peer.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A dataplane, and a peer that speaks WebRTC and is the test in all else. */
interface Lab {
  readonly a: Side;
  readonly clock: VirtualClock;
  readonly pairs: Pairs;
  readonly peer: RawPeer;
  /** What `a` said of keys. */
  readonly heard: RenewMessage[];
}

/** With the link up, by a connection that one of both offered. */
async function labOf(context: TestContext, offering: 'a' | 'raw'): Promise<Lab> {
  const clock = new VirtualClock(context);
  const pairs = new Pairs();
  const a = await pairs.add('a', { direct: true });
  closeAfter(context, a);
  const heard: RenewMessage[] = [];
  const peer = new RawPeer(pairs, a, { udp: true });
  peer.hears = (message) => {
    if (message.type === 'renew') heard.push(message);
    if (message.type === 'ping') peer.say({ type: 'pong', number: message.number });
  };
  await (offering === 'a' ? peer.answer() : peer.offer());
  await clock.until('the channels', () => peer.isOpen);
  peer.say({ type: 'hello', version: 1, packetInformation: false, mtu: 1500 });
  await clock.until('the keys', () => installed({ a }).length > 0);
  return { a, clock, pairs, peer, heard };
}

/** The peer answers probes under the first keys. */
function answerProbes({ pairs, peer }: Lab): void {
  const tuns = new MemoryTunFactory();
  tuns.join({ network: pairs.records, node: 'raw', address: pairs.network.addressOf('raw') });
  tuns.openDirect({ port: 2333, udp: true, workers: 1, mark: 0 }, { heard() {}, answered() {}, roamed() {} });
  const options = { name: 'raw', alias: '', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' };
  const link = tuns.open(options, () => {}).direct();
  assert.ok(link.setEndpoint(pairs.network.addressOf('a'), 2333));
  assert.ok(link.add(peer.agreement!.takeFirst()!));
}

function renewal(generation: number, changes: Partial<RenewMessage> = {}): RenewMessage {
  return {
    type: 'renew',
    generation,
    index: 1000 + generation,
    x25519: newX25519().publicKey,
    ...changes,
  };
}

/** Generations that `a` installed. */
function installed({ a }: Pick<Lab, 'a'>): unknown[] {
  return a.lines.filter(({ message }) => message === 'keys of a link').map(({ fields }) => fields.generation);
}

test('an offer or an answer with keys that are none ends the negotiation alone', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const none = new Uint8Array(32);
  const attempt = attemptWith('b', 'x');
  const offer = { sdp: 'v=0', keys: { ...newOfferKeys({ index: 7, udp: true }).keys, x25519: none }, epochs };
  await assert.rejects(a.shell.request('answer', { ...attempt, ...offer }), { code: 'bad_message' });
  assert.equal(a.report('b'), undefined, 'nothing was begun');
  const { sdp, keys } = await a.shell.request('offer', attempt);
  const answer = await b.shell.request('answer', { ...attemptWith('a', 'x'), sdp, keys, epochs });
  for (const x25519 of [none, keys.x25519]) {
    const bad = { ...answer, keys: { ...answer.keys, x25519 }, epochs };
    const accepted = a.shell.request('accept', { peer: 'b', negotiation: 'x', ...bad });
    await assert.rejects(accepted, { code: x25519 === none ? 'bad_message' : 'unknown_link' });
  }
  assert.deepEqual(a.report('b')!.connections, []);
  await pairs.link(a, b);
});

test('a renewal with a key of small order is one warning, and the keys before stay', async (context) => {
  const lab = await labOf(context, 'raw');
  lab.peer.say(renewal(1, { x25519: new Uint8Array(32) }));
  await lab.clock.until('the warning', () => lab.a.lines.some(({ level }) => level === 'warn'));
  assert.deepEqual(
    lab.a.lines.filter(({ level }) => level === 'warn').map(({ message, fields }) => [message, fields.peer]),
    [['no new keys for a link', 'raw']],
  );
  assert.deepEqual(installed(lab), [0]);
  assert.equal((await lab.a.hello()).links[0]!.state, 'up');
});

test('the answerer takes the next generation and no other, answers it with its key, and each once', async (context) => {
  const lab = await labOf(context, 'raw');
  const { heard, clock } = lab;
  const answers = async (message: RenewMessage) => {
    const before = heard.length;
    lab.peer.say(message);
    await clock.pass(50);
    return heard.slice(before);
  };
  assert.deepEqual(await answers(renewal(2)), []);
  const asked = renewal(1);
  const [answer, ...more] = await answers(asked);
  assert.deepEqual([answer!.generation, answer!.echo, more], [1, asked.x25519, []]);
  assert.deepEqual(await answers(asked), []);
  assert.deepEqual(await answers(renewal(3)), []);
  assert.deepEqual(installed(lab), [0, 1]);
});

test('the offerer takes no answer to what it did not ask', async (context) => {
  const lab = await labOf(context, 'a');
  for (const message of [renewal(1), renewal(1, { echo: newX25519().publicKey })]) lab.peer.say(message);
  await lab.clock.pass(200);
  assert.equal(lab.heard.length, 0);
  assert.deepEqual(installed(lab), [0]);
  assert.ok(!lab.a.lines.some(({ level }) => level === 'warn'));
});

test('the offerer takes no answer to a renewal but that which echoes its key', async (context) => {
  const lab = await labOf(context, 'a');
  const { a, clock, heard } = lab;
  answerProbes(lab);
  await clock.until('the direct path', () => a.report('raw')?.path === 'direct');
  await clock.until('a renewal', () => heard.length > 0, 125_000);
  const [asked] = heard;
  assert.deepEqual([asked!.generation, asked!.echo], [1, undefined]);
  lab.peer.say(renewal(1, { echo: newX25519().publicKey }));
  lab.peer.say(renewal(1));
  await clock.pass(200);
  assert.deepEqual(installed(lab), [0]);
  lab.peer.say(renewal(1, { echo: asked!.x25519 }));
  await clock.pass(200);
  assert.deepEqual(installed(lab), [0, 1]);
  assert.ok(!a.lines.some(({ level }) => level === 'warn'));
});

test('a peer whose records do not come leaves the link on its datachannel, as a path that is tried', async (context) => {
  const lab = await labOf(context, 'a');
  await lab.clock.pass(30_000);
  const report = (await lab.a.hello()).links[0]!;
  assert.deepEqual([report.state, report.path, report.direct?.state], ['up', 'datachannel', 'trying']);
});
