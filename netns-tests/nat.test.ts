/** Nodes behind NAT. Every kind is proven in `lab.test.ts`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { behind } from './lab/behind.ts';
import { linked, linkTo, losses, meshed, outcome, pingMesh } from './lab/mesh.ts';
import { coneNat, symmetricNat } from './lab/nat.ts';
import { programs } from './lab/programs.ts';
import { story } from './lab/story.ts';

/*
 *   n0 ── cone NAT ──┬── boot
 *                    ├── server (STUN)
 *   n1 ── cone NAT ──┘
 */
story(
  'two nodes behind different cone NATs reach each other directly',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    const { boot, left, right } = await behind(lab, [coneNat(), coneNat('address-dependent')], ['stun']);
    const reports = await meshed([left, right, boot]);
    const link = linkTo(reports[0]!, right.id);
    assert.equal(outcome(link), 'direct');
    assert.match(link.pair?.remote.type ?? '', /^(srflx|prflx)$/);
    assert.match(link.pair?.remote.address ?? '', /^203\.0\.113\./);
    assert.deepEqual(losses(await pingMesh([left, right, boot], { count: 5 })), []);
  },
);

/*
 *   n0 ── symmetric NAT ──┬── boot
 *                         ├── server (STUN, TURN)
 *   n1 ── symmetric NAT ──┘
 */
story(
  'two nodes behind symmetric NATs are relayed and say so',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    const { boot, left, right, server } = await behind(
      lab,
      [symmetricNat(), symmetricNat()],
      ['stun', 'turn'],
    );
    const reports = await meshed([left, right, boot]);
    for (const [report, other] of [
      [reports[0]!, right],
      [reports[1]!, left],
    ] as const) {
      const link = linkTo(report, other.id);
      assert.equal(outcome(link), 'relayed');
      const ends = [link.pair!.local, link.pair!.remote];
      assert.ok(
        ends.some(({ type, address }) => type === 'relay' && address === server.addresses[0]),
        JSON.stringify(ends),
      );
      assert.equal(outcome(linkTo(report, 'boot')), 'direct', 'only what has to be is relayed');
    }
    const { stdout } = await left.namespace
      .$`${join(programs, 'cryoc')} --runtime-dir ${left.runtimeDirectory} status`;
    const lines = stdout.split('\n').filter((line) => /\brelay/i.test(line));
    assert.equal(lines.length, 1, stdout);
    assert.match(lines[0]!, new RegExp(`\\b${right.id}\\b`));
    assert.deepEqual(losses(await pingMesh([left, right, boot], { count: 5 })), []);
  },
);

/*
 *   n0 ── symmetric NAT ──┬── boot
 *   n1 ── symmetric NAT ──┘     no TURN server
 */
story(
  'a pair that nothing can connect has no link and does not say otherwise',
  ['turnserver', 'nft'],
  async (lab) => {
    const { boot, left, right } = await behind(lab, [symmetricNat(), symmetricNat()], ['stun']);
    await linked(left, boot, 40_000);
    await linked(right, boot, 40_000);
    const peer = await left.peer(right.id);
    assert.equal(outcome(peer), 'none');
    assert.notEqual(peer, undefined, 'it is known all the same');
    assert.equal(peer?.interface, null);
    const { stdout } = await left.namespace
      .$`${join(programs, 'cryoc')} --runtime-dir ${left.runtimeDirectory} explain ${right.id}`;
    assert.match(stdout, /^n1 {9}both ends know public addresses/m);
    assert.match(stdout, /^there {6}n1 says: /m);
    assert.match(stdout, /^heard {6}.*srflx 203\.0\.113\./m);
  },
);
