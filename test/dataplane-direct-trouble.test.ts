import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agreement, type Described } from '../dataplane/io/agreement.ts';
import { fingerprintOf } from '../dataplane/io/engine/sdp.ts';
import { newOfferKeys, newX25519 } from '../dataplane/io/link-keys.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import type { Connection } from '../dataplane/io/webrtc.ts';
import type { RenewMessage } from '../protocol/keys.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { wireMessage } from '../protocol/wire.ts';
import { attemptWith, closeAfter, Pairs, type Side, twoOf } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A dataplane, and a peer that speaks WebRTC and is the test in all else. */
interface Lab {
  readonly a: Side;
  readonly clock: VirtualClock;
  readonly pairs: Pairs;
  /** The peer's side of the keys. */
  readonly agreement: Agreement;
  /** What `a` said of keys. */
  readonly heard: RenewMessage[];
  say(message: unknown): void;
}

const raw = { id: 'raw', identity: attemptWith('raw', '').identity };
const parties = {
  negotiation: 'r',
  ours: raw,
  theirs: { id: 'a', identity: attemptWith('a', '').identity },
};

/** With the link up, by a connection that one of both offered. */
async function labOf(context: TestContext, offering: 'a' | 'raw'): Promise<Lab> {
  const clock = new VirtualClock(context);
  const pairs = new Pairs();
  const a = await pairs.add('a', { direct: true });
  closeAfter(context, a);
  const heard: RenewMessage[] = [];
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
        if (message.type === 'renew') heard.push(message);
        if (message.type === 'ping') say({ type: 'pong', number: message.number });
      },
      drain: () => {},
      unserved: () => {},
      misused: () => {},
    },
  );
  const agreement = await (offering === 'a' ? answering(a, connection) : offered(a, connection));
  await clock.until('the channels', () => open === 3);
  say({ type: 'hello', version: 1, packetInformation: false, mtu: 1500 });
  await clock.until('the keys', () => installed({ a }).length > 0);
  return { a, clock, pairs, agreement, heard, say };
}

async function answering(a: Side, connection: Connection): Promise<Agreement> {
  const { sdp, keys } = await a.shell.request('offer', attemptWith('raw', 'r'));
  const agreement = Agreement.answer(parties, { index: 1000, udp: true }, keys);
  const answer = await connection.answer(sdp);
  agreement.conclude(describedBy(answer), { ...describedBy(sdp), keys });
  const accepted = { sdp: answer, keys: agreement.keys, epochs };
  await a.shell.request('accept', { peer: 'raw', negotiation: 'r', ...accepted });
  return agreement;
}

async function offered(a: Side, connection: Connection): Promise<Agreement> {
  const agreement = Agreement.offer(parties, { index: 1000, udp: true });
  const offer = { sdp: await connection.offer(), keys: agreement.keys, epochs };
  const { sdp, keys } = await a.shell.request('answer', { ...attemptWith('raw', 'r'), ...offer });
  await connection.accept(sdp);
  agreement.conclude(describedBy(offer.sdp), { ...describedBy(sdp), keys });
  return agreement;
}

function describedBy(sdp: string): Described {
  return { epoch: epochs.ours, fingerprint: fingerprintOf(sdp) };
}

/** The peer answers probes under the first keys. */
function answerProbes({ pairs, agreement }: Lab): void {
  const tuns = new MemoryTunFactory();
  tuns.join({ network: pairs.records, node: 'raw', address: pairs.network.addressOf('raw') });
  tuns.openDirect({ port: 2333, udp: true, workers: 1, mark: 0 }, { heard() {}, answered() {}, roamed() {} });
  const options = { name: 'raw', alias: '', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' };
  const link = tuns.open(options, () => {}).direct();
  assert.ok(link.setEndpoint(pairs.network.addressOf('a'), 2333));
  assert.ok(link.add(agreement.takeFirst()!));
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
  lab.say(renewal(1, { x25519: new Uint8Array(32) }));
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
    lab.say(message);
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
  for (const message of [renewal(1), renewal(1, { echo: newX25519().publicKey })]) lab.say(message);
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
  lab.say(renewal(1, { echo: newX25519().publicKey }));
  lab.say(renewal(1));
  await clock.pass(200);
  assert.deepEqual(installed(lab), [0]);
  lab.say(renewal(1, { echo: asked!.x25519 }));
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
