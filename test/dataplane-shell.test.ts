import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import { requests } from '../protocol/dataplane.ts';
import { check } from '../protocol/schema.ts';
import { attemptWith, closeAfter, Pairs, packet, packetsOf, type Side, twoOf } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';
import { waitFor } from './native/wait.ts';

test('two dataplanes that exchange descriptions and candidates have a link: an interface with carrier at either end', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const negotiation = await pairs.link(a, b);
  const [ours, theirs] = [a.report('b')!, b.report('a')!];
  for (const report of [ours, theirs]) {
    assert.equal(report.state, 'up');
    assert.equal(report.active, negotiation);
    assert.equal(report.path, 'datachannel');
    assert.equal(report.interface?.carrier, true);
    assert.equal(report.interface?.mtu, 1500);
    assert.equal(report.pair?.local.type, 'host');
  }
  assert.equal(ours.interface!.name, 'cnb');
  assert.equal(ours.interface!.address, theirs.interface!.peerAddress);
  assert.equal(ours.interface!.peerAddress, theirs.interface!.address);
  assert.ok(a.tun('b')!.carrier && b.tun('a')!.carrier);
  assert.equal(a.tun('b')!.options.linkLocal, ours.interface!.address);
  assert.equal(a.reports[0]!.state, 'connecting');
  assert.deepEqual(a.ended, []);
});

test('packets cross both ways, in order and whole, and are counted', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  for (let i = 0; i < 50; i++) {
    assert.ok(a.tun('b')!.inject(packet(i, 100 + i)));
    assert.ok(b.tun('a')!.inject(packet(1000 + i, 1500)));
  }
  assert.deepEqual(
    await packetsOf(b, 'a', 50),
    Array.from({ length: 50 }, (_, i) => i),
  );
  assert.deepEqual(
    await packetsOf(a, 'b', 50),
    Array.from({ length: 50 }, (_, i) => 1000 + i),
  );
  const { links } = check(requests.stats.result, await a.shell.request('stats', {}));
  assert.equal(links[0]!.peer, 'b');
  assert.deepEqual(links[0]!.counters, {
    rxPackets: 50,
    rxBytes: 75_000,
    txPackets: 50,
    txBytes: 50 * 100 + (49 * 50) / 2,
    rxDropped: 0,
    txDropped: 0,
  });
  await waitFor('a round trip', async () => (await a.shell.request('stats', {})).links[0]!.rtt !== null);
});

/** A network that stands still while it is told to. */
class HeldNetwork {
  held = false;
  readonly #tasks: (() => void)[] = [];
  readonly network = new FakeNetwork({
    schedule: (task) => {
      this.#tasks.push(task);
      setImmediate(() => this.#run());
    },
  });

  release(): void {
    this.held = false;
    this.#run();
  }

  #run(): void {
    if (this.held) return;
    for (const task of this.#tasks.splice(0)) task();
  }
}

test('an interface is not read while the connection is busy, and no packet is lost for it', async (context) => {
  const held = new HeldNetwork();
  const { pairs, a, b } = await twoOf(context, held.network);
  await pairs.link(a, b);
  held.held = true;
  const tun = a.tun('b')!;
  const size = 1400;
  let accepted = 0;
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 100; j++) if (tun.inject(packet(accepted, size))) accepted++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const stats = async () => (await a.shell.request('stats', {})).links[0]!.counters;
  const sent = (await stats()).txPackets;
  assert.ok(sent * size > 262_144 && sent * size < 262_144 + 128 * size, `${sent} packets under way`);
  assert.ok(accepted > sent && accepted < 2000, `${accepted} accepted: the kernel’s queue is full`);
  held.release();
  assert.deepEqual(
    await packetsOf(b, 'a', accepted),
    Array.from({ length: accepted }, (_, i) => i),
  );
  assert.equal((await stats()).txDropped, 2000 - accepted, 'what the queue had no room for');
});

test('a link that control removes is gone with its interface; the other end keeps its interface, without carrier', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const theirs = b.tun('a')!;
  await a.shell.request('remove', { peer: 'b' });
  assert.equal(a.tun('b'), undefined);
  assert.equal(a.ended.length, 0, 'control asked for it');
  await waitFor('the other end to notice', () => b.report('a')?.state === 'lost');
  assert.equal(theirs.carrier, false);
  assert.equal(theirs.closed, false);
  assert.equal(b.ended[0]?.reason, 'closed by the peer');
  assert.equal(b.report('a')!.reason, 'closed by the peer');

  await pairs.link(a, b);
  assert.equal(b.tun('a'), theirs, 'the same interface');
  assert.ok(theirs.carrier);
});

test('a lost link that is negotiated anew keeps its ifindex at both ends', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const first = await pairs.link(a, b);
  const indexes = [a.tun('b')!.ifindex, b.tun('a')!.ifindex];
  for (let i = 0; i < 3; i++) {
    await pairs.link(i % 2 === 0 ? a : b, i % 2 === 0 ? b : a);
    assert.deepEqual([a.tun('b')!.ifindex, b.tun('a')!.ifindex], indexes);
    assert.deepEqual(a.report('b')!.connections.length, 1);
  }
  assert.notEqual(a.report('b')!.active, first);
});

test('a relayed connection gives way to a shared one without a loss of carrier, and both carry packets meanwhile', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const relay = await pairs.link(a, b, 'relay');
  const carriers: boolean[] = [];
  const tun = a.tun('b')!;
  const setCarrier = tun.setCarrier.bind(tun);
  tun.setCarrier = (up) => {
    carriers.push(up);
    setCarrier(up);
  };
  tun.inject(packet(1));
  const shared = await pairs.link(a, b, 'shared');
  tun.inject(packet(2));
  assert.equal(a.report('b')!.active, shared);
  await a.shell.request('close', { peer: 'b', negotiation: relay });
  tun.inject(packet(3));
  assert.deepEqual((await packetsOf(b, 'a', 3)).sort(), [1, 2, 3]);
  assert.ok(!carriers.includes(false));
  assert.deepEqual(
    a.report('b')!.connections.map(({ negotiation }) => negotiation),
    [shared],
  );
});

test('a control that comes back with the same configuration gets every link in the answer, and nothing is disturbed', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  a.shell.attach(undefined);
  a.tun('b')!.inject(packet(1));
  await packetsOf(b, 'a', 1);
  const told = a.reports.length;
  const hello = check(requests.hello.result, await a.hello());
  assert.deepEqual(hello.links, [a.report('b')]);
  assert.deepEqual([hello.engine, hello.udpPort, hello.portTaken, hello.child], ['fake', 2333, false, false]);
  assert.equal(a.engines, 1);
  assert.equal(a.reports.length, told);
  pairs.attach(a);
  await b.shell.request('remove', { peer: 'a' });
  await waitFor('the new control to be told', () => a.report('b')?.state === 'lost');
});

test('a control with another configuration closes every link before it gets its answer', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const old = a.tun('b')!;
  const hello = await a.hello({ mtu: 1400 });
  assert.deepEqual(hello.links, []);
  assert.ok(old.closed);
  assert.equal(a.engines, 2);
  await waitFor('the other end to notice', () => b.report('a')?.state === 'lost');
  await pairs.link(a, b);
  for (const [side, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const) {
    assert.equal(side.report(peer)!.interface!.mtu, 1400, 'the smaller of both');
    assert.equal(side.tun(peer)!.mtu, 1400);
  }
});

test('two controls that say hello at once get one engine', async (context) => {
  const { a } = await twoOf(context);
  a.shell.close();
  a.engines = 0;
  const [one, two] = await Promise.all([a.hello(), a.hello()]);
  assert.deepEqual(one, two);
  assert.equal(a.engines, 1);
  const [, last] = await Promise.all([a.hello({ mtu: 1300 }), a.hello({ mtu: 1400 })]);
  assert.deepEqual(last!.links, []);
  assert.equal(a.engines, 3);
});

test('with packet information at both ends any ethertype crosses, header and all', async (context) => {
  const pairs = new Pairs();
  const [a, b] = [
    await pairs.add('a', { packetInformation: true }),
    await pairs.add('b', { packetInformation: true }),
  ];
  closeAfter(context, a, b);
  await pairs.link(a, b);
  const mpls = Uint8Array.of(0, 0, 0x88, 0x47, 0, 0x01, 0x01, 0x40, 0x45, 9, 9, 9);
  assert.ok(a.tun('b')!.inject(mpls));
  await waitFor('the frame', () => b.tun('a')!.written.length > 0);
  assert.deepEqual(b.tun('a')!.written, [mpls]);
});

test('frames of control cross on the link both ways, and to a peer without a link they go nowhere', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  a.shell.notification('signal', { peer: 'b', frame: Uint8Array.of(9) });
  await pairs.link(a, b);
  a.shell.notification('signal', { peer: 'b', frame: Uint8Array.of(1, 2) });
  b.shell.notification('signal', { peer: 'a', frame: Uint8Array.of(3) });
  await waitFor('both frames', () => a.signals.length > 0 && b.signals.length > 0);
  assert.deepEqual(
    b.signals.map(({ peer, frame }) => [peer, ...frame]),
    [['a', 1, 2]],
  );
  assert.deepEqual(
    a.signals.map(({ peer, frame }) => [peer, ...frame]),
    [['b', 3]],
  );
});

test('names: the kernel’s own where asked for, a short form for a long ID, the whole ID as alias', async (context) => {
  const pairs = new Pairs();
  const long = 'a-node-with-a-very-long-name';
  const [a, b] = [await pairs.add('a'), await pairs.add(long, { autoInterfaceName: true })];
  closeAfter(context, a, b);
  await pairs.link(a, b);
  assert.equal(b.report('a')!.interface!.name, 'tun0');
  assert.match(a.report(long)!.interface!.name, /^cna-nod~[a-z2-7]{7}$/);
  assert.equal(a.tun(long)!.options.alias, long);
});

test('a dataplane that closes leaves nothing, twice if it must, and its peers see it', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const tun = a.tun('b')!;
  a.shell.close();
  a.shell.close();
  assert.ok(tun.closed);
  assert.equal(a.tuns.devices.size, 0);
  await waitFor('the other end to notice', () => b.report('a')?.state === 'lost');
});

test('five dataplanes in a full mesh carry a packet over each link', async (context) => {
  const pairs = new Pairs();
  const sides: Side[] = [];
  for (const id of ['a', 'b', 'c', 'd', 'e']) sides.push(await pairs.add(id));
  closeAfter(context, ...sides);
  for (const [i, one] of sides.entries())
    for (const other of sides.slice(i + 1)) await pairs.link(one, other);
  for (const one of sides) for (const other of sides) if (one !== other) one.tun(other.id)!.inject(packet(1));
  for (const one of sides)
    for (const other of sides) if (one !== other) assert.deepEqual(await packetsOf(one, other.id, 1), [1]);
});

test('candidates that come before the answer wait for it, at most sixty-four of them', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  pairs.mute.add('a').add('b');
  const offer = await a.shell.request('offer', attemptWith('b', 'early'));
  const answer = await b.shell.request('answer', { ...attemptWith('a', 'early'), ...offer, epochs });
  await waitFor('the candidate', () => b.candidates.length > 0);
  const { candidate } = b.candidates[0]!;
  const tell = (line: string) =>
    a.shell.notification('candidate', { peer: 'b', negotiation: 'early', candidate: line });
  tell(candidate);
  for (let i = 0; i < 1000; i++) tell(`candidate:${i} 1 UDP 1 192.0.2.1 ${i + 1} typ host`);
  await a.shell.request('accept', { peer: 'b', negotiation: 'early', ...answer, epochs });
  await waitFor('the link', () => a.report('b')?.state === 'up' && b.report('a')?.state === 'up');
});
