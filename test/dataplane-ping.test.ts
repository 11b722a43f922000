/** Questions to a peer that somebody asked for: by which path they go, and that they say nothing about the path to the node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, goDirect, labOf, lossOf, statsOf } from './direct-lab.ts';

/** Milliseconds: as long as an answer is waited for, and a little. */
const patience = 3010;

test('a peer is asked by the direct path where that is in use, and by the datachannel where it is not', async (context) => {
  const lab = await labOf(context);
  const { a, clock, pairs } = lab;
  assert.deepEqual(await a.shell.request('ping', { peer: 'b' }), { rtt: null, path: null, pair: null });
  await connect(lab);
  await goDirect(lab);
  await clock.pass(4000);
  const probes = (await statsOf(a)).probes;
  let pong = a.shell.request('ping', { peer: 'b' });
  await clock.pass(50);
  const direct = await pong;
  assert.equal(direct.path, 'direct');
  assert.ok(direct.rtt !== null && direct.rtt >= 0 && direct.rtt <= 50);
  assert.equal(direct.pair?.remote.address, pairs.network.addressOf('b'));
  assert.equal((await statsOf(a)).probes, probes, 'no probe of the path');

  pairs.records.cut('a', 'b');
  await lossOf(lab, 4000);
  pong = a.shell.request('ping', { peer: 'b' });
  await clock.pass(50);
  const other = await pong;
  assert.equal(other.path, 'datachannel');
  assert.ok(other.rtt !== null && other.rtt <= 50);
});

test('a question without an answer ends after three seconds, and however many there were, the link is not held for lost', async (context) => {
  const lab = await labOf(context, { direct: false });
  const { a, clock, pairs } = lab;
  await connect(lab);
  pairs.network.cut('a', 'b');
  const pongs = Array.from({ length: 20 }, () => a.shell.request('ping', { peer: 'b' }));
  await clock.pass(patience);
  for (const { rtt, path } of await Promise.all(pongs)) assert.deepEqual([rtt, path], [null, 'datachannel']);
  assert.equal(
    a.report('b')!.state,
    'up',
    'three pings of its own are unanswered after six seconds, not earlier',
  );
  pairs.network.heal();
  await clock.pass(4000);
  assert.equal(a.report('b')!.state, 'up');
});

test('no more than 128 questions wait at a time, and those that wait end with the dataplane', async (context) => {
  const lab = await labOf(context, { direct: false });
  const { a, pairs } = lab;
  await connect(lab);
  pairs.network.cut('a', 'b');
  const pongs = Array.from({ length: 128 }, () => a.shell.request('ping', { peer: 'b' }));
  await assert.rejects(a.shell.request('ping', { peer: 'b' }), { code: 'unavailable' });
  a.shell.close();
  assert.ok((await Promise.all(pongs)).every(({ rtt }) => rtt === null));
});
