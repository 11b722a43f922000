/** A linked peer that says more than any node does: it alone is cut off. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fullPacket } from '../protocol/wire.ts';
import { closeAfter, Pairs, packet, type Side } from './dataplane-pair.ts';
import { waitFor } from './native/wait.ts';
import { RawPeer } from './raw-peer.ts';

const hello = { type: 'hello', version: 1, packetInformation: false, mtu: 1500, saysReady: true, full: true };

/** `a` with an honest link to `b` and one to a peer whose end is the test's. */
async function hostilePeer(context: TestContext): Promise<{ a: Side; b: Side; peer: RawPeer }> {
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a'), await pairs.add('b')];
  closeAfter(context, a, b);
  await pairs.link(a, b);
  const peer = new RawPeer(pairs, a, { id: 'hostile' });
  await peer.answer();
  await waitFor('the channels', () => peer.isOpen);
  peer.say(hello);
  peer.say({ type: 'ready' });
  await waitFor('the hostile link', () => a.report('hostile')?.state === 'up');
  return { a, b, peer };
}

const floods: readonly [what: string, cause: string, flood: (peer: RawPeer) => void][] = [
  ['pings', 'wire', (peer) => peer.say({ type: 'ping', number: 1 })],
  ['hellos', 'wire', (peer) => peer.say(hello)],
  ['goodbyes', 'wire', (peer) => peer.say({ type: 'bye' })],
  ['full packets, each of which is answered', 'wire', (peer) => peer.send('full', fullPacket(1, 1280))],
  ['short signals', 'signal', (peer) => peer.send('signal', Uint8Array.of(1))],
  ['long signals', 'signal', (peer) => peer.send('signal', new Uint8Array(60_000))],
];

/** A second takes a hundred, so that budgets are not refilled while a busy machine works off what was sent at once. */
function slowDown(context: TestContext): void {
  const now = performance.now.bind(performance);
  const since = now();
  context.mock.method(performance, 'now', () => since + (now() - since) / 100);
}

for (const [what, cause, flood] of floods) {
  test(`a peer that floods with ${what} is cut off, and what it did is counted`, async (context) => {
    const { a, b, peer } = await hostilePeer(context);
    const before = a.reports.length;
    slowDown(context);
    for (let i = 0; i < (what === 'long signals' ? 500 : 10_000); i++) flood(peer);
    await waitFor('the end', () => a.ended.some((each) => each.peer === 'hostile'));
    assert.match(a.ended[0]!.reason, /more than any/);
    assert.deepEqual((await a.shell.request('stats', {})).refused, { [cause]: 1 });
    assert.ok(a.reports.length - before < 10, `${a.reports.length - before} reports`);
    assert.equal(a.report('b')!.state, 'up');
    b.tun('a')!.inject(packet(7));
    await waitFor('an honest packet', () => a.tun('b')!.written.length === 1);
  });
}

test('while control does not read, the peer that fills its queue is cut off and nobody else', async (context) => {
  const { a, b, peer } = await hostilePeer(context);
  let waiting = 1;
  a.shell.attach({
    notify: (name, params) => {
      if (name === 'signal') waiting += (params as { frame: Uint8Array }).frame.length;
      if (name === 'ended') a.ended.push(params as never);
    },
    get backlog() {
      return waiting;
    },
  });
  for (let i = 0; i < 250; i++) peer.send('signal', new Uint8Array(60_000));
  for (let i = 0; i < 50; i++) b.shell.notification('signal', { peer: 'a', frame: new Uint8Array(500) });
  await waitFor('the end of the hostile link', () => a.ended.some((each) => each.peer === 'hostile'));
  assert.ok(waiting < 5_000_000, `${waiting} bytes for control`);
  assert.equal(a.ended.length, 1);
});

test('a peer that does not read what is signaled to it is cut off', async (context) => {
  const { pairs, a, b } = await twoUnread(context);
  pairs.network.cut('a', 'b');
  for (let i = 0; i < 100; i++) a.shell.notification('signal', { peer: 'b', frame: new Uint8Array(60_000) });
  assert.match(a.ended[0]!.reason, /does not read/);
  assert.equal(b.ended.length, 0);
});

async function twoUnread(context: TestContext) {
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a'), await pairs.add('b')];
  closeAfter(context, a, b);
  await pairs.link(a, b);
  return { pairs, a, b };
}
