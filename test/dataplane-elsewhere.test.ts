/** Links whose ends have other addresses or ports than before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemoryDirectLink } from '../dataplane/io/memory-direct-link.ts';
import type { Side } from './dataplane-pair.ts';
import { connect, goDirect, labOf, lossOf, pathsOf, statsOf } from './direct-lab.ts';

for (const [when, hasChannels] of [
  ['with datachannels', true],
  ['before there are any', false],
] as const) {
  test(`two ends that get other addresses at once find each other where STUN servers see them, before the path is lost; ${when}`, async (context) => {
    const lab = await labOf(context, { autoMtu: true });
    const { pairs, clock } = lab;
    pairs.iceServers = [{ kind: 'stun', host: '192.0.2.9', port: 3478 }];
    if (hasChannels) await connect(lab);
    else {
      pairs.network.handshake = () => {};
      await pairs.negotiate(lab.a, lab.b);
    }
    await goDirect(lab);
    await lossOf(lab, 1000);
    const places: Record<string, string> = { a: '203.0.113.1', b: '203.0.113.2' };
    pairs.network.reflexive = (node) => [`candidate:1 1 UDP 1678769919 ${places[node]} 2333 typ srflx`];
    for (const side of [lab.a, lab.b]) side.tuns.move(places[side.id]!);
    const found = (side: Side) => side.lines.some(({ message }) => message === 'peer roamed');
    const start = clock.now;
    while (!found(lab.a) || !found(lab.b)) {
      assert.ok(clock.now - start < 2000, 'within two seconds');
      await lossOf(lab, 10);
    }
    assert.equal(await lossOf(lab, 1000), 0);
    assert.deepEqual(pathsOf(lab), ['direct', 'direct']);
    assert.deepEqual(lab.a.candidates.length + lab.b.candidates.length, 4, 'each is told once');
  });
}

test('an end whose probes are missed leaves its own address to the kernel where it hears nothing, or its route has changed', async (context) => {
  const lab = await labOf(context);
  const { a, pairs } = lab;
  await connect(lab);
  await goDirect(lab);
  const forgets = () => (a.tun('b')!.direct() as MemoryDirectLink).forgets;
  await lossOf(lab, 1000);
  a.tuns.routes.set(pairs.network.addressOf('b'), 'first');
  await lossOf(lab, 1000);
  assert.equal(forgets(), 0, 'its probes are answered');
  pairs.records.cutOneWay('a', 'b');
  await lossOf(lab, 1500);
  const afterChange = forgets();
  assert.equal(afterChange, 1, 'once for each change');
  pairs.records.heal();
  await goDirect(lab);
  await lossOf(lab, 3000);
  pairs.records.cutOneWay('a', 'b');
  await lossOf(lab, 1500);
  assert.equal(forgets(), afterChange, 'it hears the peer, by the route of before');
  pairs.records.cut('a', 'b');
  await lossOf(lab, 1500);
  assert.ok(forgets() > afterChange, 'it hears nothing');
});

test('a link by another UDP port goes by its datachannel, says so, and sends no records until it has the own one again', async (context) => {
  const lab = await labOf(context);
  const { a, b, pairs, clock } = lab;
  await connect(lab);
  await goDirect(lab);
  pairs.records.cut('a', 'b');
  pairs.network.cut('a', 'b');
  await clock.pass(30_000);
  for (let times = 0; times < 2; times++) {
    const negotiation = await pairs.negotiate(a, b);
    await clock.pass(100);
    await a.shell.request('close', { peer: 'b', negotiation });
    await b.shell.request('close', { peer: 'a', negotiation });
  }
  pairs.network.heal();
  await connect(lab);
  await clock.pass(1000);
  assert.equal((await statsOf(a)).pair?.local.port, 40_000);
  assert.deepEqual(a.report('b')?.direct, { state: 'off', reason: 'by another UDP port' });
  const { txRecords } = a.tun('b')!.direct().counters();
  await clock.pass(60_000);
  assert.equal(a.tun('b')!.direct().counters().txRecords, txRecords);
  assert.equal(await lossOf(lab, 500), 0);
  pairs.records.heal();
  await connect(lab);
  await goDirect(lab);
  assert.equal((await statsOf(a)).pair?.local.port, 2333);
});

test('of a link that never had an interface nothing is kept once it is removed: a peer of that name begins anew', async (context) => {
  const { a, b, pairs, clock } = await labOf(context);
  pairs.network.cut('a', 'b');
  const portOfVainTry = async () => {
    const negotiation = await pairs.negotiate(a, b);
    await clock.pass(100);
    await a.shell.request('close', { peer: 'b', negotiation });
    await b.shell.request('close', { peer: 'a', negotiation });
    return / (\d+) typ host/.exec(a.candidates.at(-1)!.candidate)?.[1];
  };
  const tries = async (count: number) => {
    const ports: (string | undefined)[] = [];
    for (let i = 0; i < count; i++) ports.push(await portOfVainTry());
    return ports;
  };
  assert.deepEqual(await tries(3), ['2333', '2333', '40000']);
  await a.shell.request('remove', { peer: 'b' });
  assert.deepEqual(await tries(3), ['2333', '2333', '40000']);
});
