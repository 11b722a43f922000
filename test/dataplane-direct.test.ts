import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import { closeAfter, numbersOf, Pairs, packet, type Side } from './dataplane-pair.ts';
import { connect, goDirect, labOf, lossOf, pairOf, pathsOf, statsOf } from './direct-lab.ts';
import { VirtualClock } from './virtual-clock.ts';

test('a link moves from its datachannel to the direct path at once, both ends say so, and no packet is lost', async (context) => {
  const lab = await labOf(context);
  const { a, b } = lab;
  const negotiation = await connect(lab);
  assert.equal(await lossOf(lab, 1000), 0);
  for (const [side, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const) {
    const report = side.report(peer)!;
    assert.deepEqual([report.path, report.active, report.state], ['direct', negotiation, 'up']);
    assert.deepEqual(report.direct, { state: 'up', reason: '' });
    assert.equal(report.pair?.remote.address, lab.pairs.network.addressOf(peer));
    const { counters, rtt, minRtt, loss, pathMtu, dropped } = await statsOf(side);
    assert.deepEqual([counters.txPackets, counters.rxPackets], [100, 100]);
    assert.deepEqual([counters.txDropped, counters.rxDropped, loss, dropped], [0, 0, 0, {}]);
    assert.ok(rtt !== null && minRtt !== null);
    assert.equal(pathMtu, 1500);
  }
  assert.deepEqual(
    a.reports.map(({ path }) => path).filter((path, i, all) => path !== all[i - 1]),
    [null, 'datachannel', 'direct'],
  );
});

test('however late channels open and messages come, at either end, both ends agree on keys', async (context) => {
  const clock = new VirtualClock(context);
  for (let seed = 1; seed <= 20; seed++) {
    let random = seed;
    const late = (task: () => void) => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      setTimeout(task, random >>> 30 === 0 ? 400 : 5);
    };
    const pairs = new Pairs(new FakeNetwork({ schedule: late }));
    const [a, b] = [await pairs.add('a', { direct: true }), await pairs.add('b', { direct: true })];
    closeAfter(context, a, b);
    const lab = { clock, pairs, a, b };
    await connect(lab);
    await goDirect(lab);
  }
});

test('packets keep their order and bytes on the direct path, up to the longest that fits; longer ones go by the datachannel', async (context) => {
  const lab = await labOf(context);
  await connect(lab);
  await goDirect(lab);
  await lab.clock.pass(3000);
  const sizes = [20, 100, 1280, 1439, 1440, 1441, 1500];
  const packets = sizes.map((size, i) => packet(i, size));
  for (const each of packets) assert.ok(lab.a.tun('b')!.inject(each));
  await lab.clock.pass(50);
  const { written } = lab.b.tun('a')!;
  assert.deepEqual(numbersOf(written).sort(), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(numbersOf(written.filter(({ length }) => length <= 1440)), [0, 1, 2, 3, 4]);
  for (const each of written) assert.deepEqual(each, packets[numbersOf([each])[0]!]);
  const { rxPackets, rxData } = lab.b.tun('a')!.direct().counters();
  assert.deepEqual([rxPackets, rxData], [7, 2]);
});

test('a direct path that is cut gives way to the datachannel within three seconds, says why, and comes back', async (context) => {
  const lab = await labOf(context);
  const { clock, pairs, a, b } = lab;
  const negotiation = await connect(lab);
  await goDirect(lab);
  pairs.records.cut('a', 'b');
  const lost = await lossOf(lab, 4000);
  assert.ok(lost > 0 && lost <= 2 * 300, `${lost} packets lost`);
  assert.deepEqual(pathsOf(lab), ['datachannel', 'datachannel']);
  assert.deepEqual(a.report('b')!.direct, { state: 'trying', reason: 'the peer does not answer probes' });
  assert.equal(a.report('b')!.active, negotiation);
  assert.equal(await lossOf(lab, 2000), 0, 'the datachannel carries them');
  pairs.records.heal();
  assert.ok((await goDirect(lab)) <= 4000);
  assert.equal(await lossOf(lab, 1000), 0);
  assert.ok(![...a.reports, ...b.reports].some(({ state }) => state === 'lost'), 'never without carrier');
  await clock.pass(1000);
  assert.deepEqual(a.ended, []);
});

test('a direct path that is dead in one direction alone is left by both', async (context) => {
  const lab = await labOf(context);
  await connect(lab);
  await goDirect(lab);
  lab.pairs.records.cutOneWay('b', 'a');
  await lossOf(lab, 3000);
  assert.deepEqual(pathsOf(lab), ['datachannel', 'datachannel']);
  assert.equal(await lossOf(lab, 1000), 0);
});

test('keys are renewed every two minutes under traffic, for as long as the link is up, and no packet is lost', async (context) => {
  const lab = await labOf(context);
  await connect(lab);
  await goDirect(lab);
  const renewed = (side: Side) =>
    side.lines.filter(({ message }) => message === 'keys of a link').map(({ fields }) => fields.generation);
  for (let generation = 1; generation <= 2; generation++) {
    await lab.clock.pass(118_000);
    assert.equal(await lossOf(lab, 4000), 0);
    for (const side of [lab.a, lab.b]) assert.equal(renewed(side).at(-1), generation);
    assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  }
  for (const side of [lab.a, lab.b]) {
    assert.deepEqual(renewed(side), [0, 1, 2]);
    assert.deepEqual((await statsOf(side)).dropped, {});
  }
});

test('a link whose connection ended stays up on its direct path, with its carrier, and says that it has no connection', async (context) => {
  const lab = await labOf(context);
  const { a, b, clock, pairs } = lab;
  const negotiation = await connect(lab);
  await goDirect(lab);
  const tun = a.tun('b')!;
  await a.shell.request('close', { peer: 'b', negotiation });
  await clock.until('the other end to notice', () => b.ended.length > 0);
  assert.equal(await lossOf(lab, 1000), 0);
  for (const [side, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const) {
    const { state, active, path, connections, pair } = side.report(peer)!;
    assert.deepEqual([state, active, path, connections], ['up', null, 'direct', []]);
    assert.equal(pair?.remote.address, pairs.network.addressOf(peer));
    assert.ok(side.tun(peer)!.carrier);
  }
  assert.deepEqual((await a.hello()).links, [a.report('b')], 'and a new control is told the same');

  const next = await connect(lab);
  assert.equal(await lossOf(lab, 2000), 0);
  assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  assert.equal(a.report('b')!.active, next);
  assert.equal(a.tun('b'), tun);

  await a.shell.request('close', { peer: 'b', negotiation: next });
  pairs.records.cut('a', 'b');
  await lossOf(lab, 7000);
  assert.deepEqual([a.report('b')!.state, b.report('a')!.state], ['lost', 'lost']);
  assert.equal(tun.carrier, false);
});

test('a link that is negotiated anew changes its keys under traffic without a loss', async (context) => {
  const lab = await labOf(context);
  await connect(lab);
  await goDirect(lab);
  for (let i = 0; i < 3; i++) {
    let done = false;
    const again = connect(lab).then(() => {
      done = true;
    });
    assert.equal(await lossOf(lab, 1000), 0);
    await again;
    assert.ok(done);
    assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  }
});

test('a kernel that refuses direct paths is told of once in the log and in each report, and links have their datachannels', async (context) => {
  const clock = new VirtualClock(context);
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a'), await pairs.add('b', { direct: true })];
  closeAfter(context, a, b);
  a.tuns.directRefusal = 'SO_ATTACH_REUSEPORT_CBPF: EPERM';
  await a.hello({ direct: true });
  const lab = { clock, pairs, a, b };
  await connect(lab);
  assert.equal(await lossOf(lab, 3000), 0);
  assert.deepEqual(pathsOf(lab), ['datachannel', 'datachannel']);
  assert.equal(a.report('b')!.direct?.state, 'off');
  assert.match(a.report('b')!.direct!.reason, /SO_ATTACH_REUSEPORT_CBPF: EPERM/);
  const warnings = a.lines.filter(({ level }) => level === 'warn');
  assert.deepEqual(
    warnings.map(({ message }) => message),
    ['no direct paths: packets go by datachannels'],
  );
  assert.match(String(warnings[0]!.fields.reason), /EPERM/);
  assert.deepEqual(b.report('a')!.direct, { state: 'off', reason: 'the peer has none' });
  assert.equal(a.tun('b')!.direct().counters().txRecords, 0);
});

test('where either end has direct paths switched off, both keep to the datachannel', async (context) => {
  const lab = await labOf(context, { direct: false }, { direct: true });
  await connect(lab);
  assert.equal(await lossOf(lab, 3000), 0);
  assert.deepEqual(pathsOf(lab), ['datachannel', 'datachannel']);
  assert.deepEqual(lab.a.report('b')!.direct, { state: 'off', reason: 'switched off' });
  assert.ok(!lab.a.lines.some(({ level }) => level === 'warn'));
});

test('an interface that somebody deleted takes its direct path along; the next link has both anew', async (context) => {
  const lab = await labOf(context);
  const { a, b, clock } = lab;
  await connect(lab);
  await goDirect(lab);
  const old = a.tun('b')!;
  old.setCarrier = () => {
    throw new Error('no such device');
  };
  await clock.until('the loss', () => a.lines.some(({ message }) => message === 'interface lost'));
  assert.ok(old.closed);
  const { state, path, active, direct } = a.report('b')!;
  assert.deepEqual([state, path, active, direct?.state], ['connecting', null, null, 'off']);
  await clock.until('the other end to notice', () => b.report('a')!.active === null);
  await connect(lab);
  assert.ok((await goDirect(lab)) <= 4000);
  assert.notEqual(a.tun('b')!.ifindex, old.ifindex);
  assert.equal(await lossOf(lab, 1000), 0);
});

test('an interface that turns out to be gone when the direct path moves its MTU costs that link and nothing else', async (context) => {
  const lab = await labOf(context, { autoMtu: true });
  const { a, clock } = lab;
  lab.pairs.records.interfaceMtu = 1400;
  const negotiation = await lab.pairs.negotiate(a, lab.b);
  await clock.until('the interface', () => a.tun('b'));
  const old = a.tun('b')!;
  old.setMtu = () => {
    throw new Error('no such device');
  };
  await clock.until('the loss', () => a.ended.length > 0);
  assert.deepEqual([a.ended[0]!.negotiation, a.ended[0]!.reason], [negotiation, 'no such device']);
  await connect(lab);
  await goDirect(lab);
  assert.equal(await lossOf(lab, 1000), 0);
});

test('an interface that follows its path begins at 1280 and has what the path carries, as both ends found it', async (context) => {
  const lab = await labOf(context, { autoMtu: true });
  const { a, b, clock, pairs } = lab;
  await connect(lab);
  assert.equal(a.reports.find(({ state }) => state === 'up')!.interface!.mtu, 1280);
  const mtus = () => [a.tun('b')!.mtu, b.tun('a')!.mtu, a.report('b')!.interface!.mtu];
  await clock.until('the MTU', () => mtus().every((mtu) => mtu === 1440));
  const tun = a.tun('b')!;
  pairs.records.mtu = 1400;
  const flow = async () => {
    tun.inject(packet(1, 1280));
    await clock.pass(100);
  };
  for (let i = 0; i < 80 && tun.mtu !== 1340; i++) await flow();
  assert.equal(tun.mtu, 1340, 'a smaller path is noticed while it is used');
  assert.equal((await statsOf(a)).pathMtu, 1400);
});

test('an interface never takes more than its peer’s, nor than it was told', async (context) => {
  const lab = await labOf(context, { autoMtu: true, mtu: 1420 }, { autoMtu: true, mtu: 1300 });
  await connect(lab);
  await goDirect(lab);
  await lab.clock.pass(5000);
  assert.deepEqual([lab.a.tun('b')!.mtu, lab.b.tun('a')!.mtu], [1300, 1300]);
  assert.equal((await statsOf(lab.a)).pathMtu, 1500);
});

test('with packet information the longest packet is four bytes shorter, and any ethertype crosses', async (context) => {
  const lab = await labOf(context, { autoMtu: true, packetInformation: true });
  await connect(lab);
  await goDirect(lab);
  const tun = lab.a.tun('b')!;
  await lab.clock.until('the MTU', () => tun.mtu === 1436);
  const longest = new Uint8Array(1440).fill(7);
  longest.set([0, 0, 0x88, 0x47]);
  assert.ok(tun.inject(longest));
  await lab.clock.pass(20);
  assert.deepEqual(lab.b.tun('a')!.written, [longest]);
  assert.equal(tun.direct().counters().txPackets, 1);
});

test('a peer that moves to another address is followed with its first record, and its link does not notice', async (context) => {
  const lab = await labOf(context);
  const { a, b, clock } = lab;
  await connect(lab);
  await goDirect(lab);
  await clock.pass(1000);
  b.tuns.move('198.18.9.9');
  b.tun('a')!.inject(packet(1));
  await clock.pass(50);
  assert.equal(await lossOf(lab, 1000), 0);
  assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  const roamed = a.lines.filter(({ message }) => message === 'peer roamed');
  assert.deepEqual(
    roamed.map(({ fields }) => [fields.peer, fields.address]),
    [['b', '198.18.9.9']],
  );
  assert.equal((await a.hello()).links[0]!.pair?.remote.address, '198.18.9.9');

  b.tuns.move('2001:db8::9');
  b.tun('a')!.inject(packet(2));
  await clock.pass(50);
  assert.equal(await lossOf(lab, 500), 0);
  const before = a.tun('b')!.direct().counters();
  for (const size of [1420, 1421]) a.tun('b')!.inject(packet(size, size));
  await clock.pass(50);
  const { txPackets, txAside, txTooLong } = a.tun('b')!.direct().counters();
  assert.deepEqual(
    [txPackets - before.txPackets, txAside - before.txAside, txTooLong],
    [2, 1, 0],
    'the longer header has its room',
  );
});

test('a dataplane that closes leaves no keypairs, no timers and no path, also twice', async (context) => {
  const lab = await labOf(context);
  const { a, b, clock } = lab;
  await connect(lab);
  await goDirect(lab);
  a.shell.close();
  a.shell.close();
  assert.equal(a.tuns.devices.size, 0);
  assert.deepEqual(a.report('b')!.direct, { state: 'off', reason: 'closed' }, 'nothing is begun on the way');
  await clock.until('the other end to notice', () => b.report('a')!.state === 'lost', 60_000);
  await a.hello();
  await connect(lab);
  assert.ok((await goDirect(lab)) <= 5000);
});

test('a pair whose records take another family than ICE selected is shown with both ends of that family', async (context) => {
  const lab = await labOf(context);
  const { a, b } = lab;
  await connect(lab);
  await goDirect(lab);
  const { network } = lab.pairs;
  assert.equal(await pairOf(a), `${network.addressOf('a')} host ${network.addressOf('b')}`);
  a.tuns.move('2001:db8::a');
  b.tuns.move('2001:db8::b');
  b.tun('a')!.direct().setEndpoint('2001:db8::a', 2333);
  await lossOf(lab, 500);
  assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
  assert.equal(await pairOf(a), '2001:db8::a prflx 2001:db8::b');
  assert.equal(await pairOf(b), '2001:db8::b prflx 2001:db8::a');
});
