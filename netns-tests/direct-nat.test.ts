/** Direct paths through NATs, and none through a relay. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type FamilyFound, netcheck } from '../protocol/netcheck.ts';
import { behind, behindCarrier } from './lab/behind.ts';
import { dropsOfPath, onPath } from './lab/direct.ts';
import { farEnd, linked } from './lab/mesh.ts';
import { coneNat, symmetricNat } from './lab/nat.ts';
import type { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { programs } from './lab/programs.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, timed } from './lab/wait.ts';

/*
 *   n0 ── cone NAT ──┬── boot
 *                    ├── server (STUN)
 *   n1 ── cone NAT ──┘
 */
story(
  'two nodes behind cone NATs have a direct path through both',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    const { left, right } = await behind(lab, [coneNat(), coneNat('address-dependent')], ['stun']);
    const link = await onPath('direct', [left, right], 40_000);
    assert.match(link.pair?.remote.address ?? '', /^203\.0\.113\./);
    const { sent, received } = await ping(left.namespace, farEnd(link), { count: 200, interval: 0.012 });
    assert.equal(received, sent);
    const peer = (await left.peer(right.id))!;
    assert.deepEqual([peer.path, dropsOfPath(peer)], ['direct', {}]);
    const [ours, theirs] = [await found(left), await found(right)];
    assert.match(ours.servers[0]!.mapped!.address, /^203\.0\.113\./);
    assert.deepEqual(
      [ours.mapping, ours.filtering, ours.hairpin],
      ['independent', 'address-and-port', false],
    );
    assert.deepEqual([theirs.mapping, theirs.filtering], ['independent', 'address']);
  },
);

/*
 *   n0 ── symmetric NAT ──┬── boot
 *                         ├── server (STUN, TURN)
 *   n1 ── symmetric NAT ──┘
 */
story('a relayed pair stays on its datachannel and says why', ['turnserver', 'nft', 'ping'], async (lab) => {
  const { boot, left, right } = await behind(lab, [symmetricNat(), symmetricNat()], ['stun', 'turn']);
  const link = await linked(left, right, 60_000);
  await onPath('direct', [left, boot], 20_000);
  const { sent, received } = await ping(left.namespace, farEnd(link), { count: 100, interval: 0.02 });
  assert.equal(received, sent);
  const { mapping, filtering } = await found(left);
  assert.deepEqual([mapping, filtering], ['address-and-port', 'address-and-port']);
  for (const peer of [await left.peer(right.id), await right.peer(left.id)]) {
    assert.deepEqual(
      [peer?.path, peer?.relayed, peer?.direct],
      ['datachannel', true, { state: 'off', reason: 'relayed' }],
    );
  }
});

/*
 *   n0 ── cone NAT ──┬── boot
 *                    ├── server (STUN)
 *   n1 ── cone NAT ──┘
 *         the mappings of both end at once, and others are made
 */
story(
  'two nodes behind cone NATs whose mappings both end find each other within three seconds',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    const { internet, left, right } = await behind(lab, [coneNat(), coneNat()], ['stun']);
    const link = await onPath('direct', [left, right], 40_000);
    const train = Train.start(left.namespace, farEnd(link));
    await train.arrives();
    await Promise.all([left, right].map((node) => internet.endMappings(node.namespace)));
    await train.arrives(20_000);
    const { gap } = await train.stop();
    lab.figures.push(`a gap of ${gap} ms`);
    assertSoon(gap, 3_000, lab);
    assert.equal((await left.peer(right.id))?.interface?.index, link.interface.index);
  },
);

/*
 *   n0 ── cone NAT ──┐
 *   n1 ── cone NAT ──┴── the carrier's cone NAT, which hairpins ──┬── boot
 *                                                                 └── server (STUN)
 */
story(
  'two nodes at home behind the NAT of one carrier have a direct path that it turns round',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    const carrier = { ...coneNat(), hairpinning: true };
    const { left, right } = await behindCarrier(lab, carrier, coneNat(), ['stun']);
    const { value: link, milliseconds } = await timed(() => onPath('direct', [left, right], 40_000));
    lab.figures.push(`direct ${milliseconds} ms after the start of both`);
    const { pair } = await onPath('direct', [right, left], 1_000);
    assert.match(pair?.remote.address ?? '', /^203\.0\.113\./);
    assert.equal(link.pair?.remote.address, pair?.remote.address, 'either is at the carrier’s address');
    const { sent, received } = await ping(left.namespace, farEnd(link), { count: 200, interval: 0.012 });
    assert.equal(received, sent);
  },
);

/** What `cryoc netcheck` says of IPv4 at a node. */
async function found(node: CryonetNode): Promise<FamilyFound> {
  const { stdout } = await node.namespace
    .$`${join(programs, 'cryoc')} --runtime-dir ${node.runtimeDirectory} netcheck --json`;
  return netcheck.parse(JSON.parse(stdout)).families[0]!;
}
