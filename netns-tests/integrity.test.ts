/** What a flow carries arrives as it was sent, whatever the interfaces on the way do to its packets. */
import assert from 'node:assert/strict';
import { behind } from './lab/behind.ts';
import { transfer } from './lab/digest.ts';
import { addressLink, onPath } from './lab/direct.ts';
import type { Lab } from './lab/lab.ts';
import { coneNat } from './lab/nat.ts';
import { story } from './lab/story.ts';
import { timed } from './lab/wait.ts';

const bytes = 300_000_000;

/** On every veth of the laboratory; resolves with how many. */
async function switchOffloadsOff(lab: Lab): Promise<number> {
  let count = 0;
  for (const namespace of lab.namespaces)
    for (const { ifname } of await namespace.ip<{ ifname: string }>('link', 'show', 'type', 'veth')) {
      await namespace.$`ethtool -K ${ifname} gso off gro off tso off tx off`;
      const { stdout } = await namespace.$`ethtool -k ${ifname}`;
      for (const feature of ['tx-checksumming', 'generic-segmentation-offload', 'generic-receive-offload'])
        assert.match(stdout, new RegExp(`^${feature}: off`, 'm'));
      count++;
    }
  return count;
}

/*
 *   n0 ── cone NAT ──┬── boot
 *                    ├── server (STUN)
 *   n1 ── cone NAT ──┘
 */
story(
  'a big flow through two NATs arrives unchanged, with offloads on the way and without',
  ['turnserver', 'nft', 'ethtool'],
  async (lab) => {
    const { left, right } = await behind(lab, [coneNat(), coneNat()], ['stun']);
    const link = await onPath('direct', [left, right], 40_000);
    assert.match(link.pair?.remote.address ?? '', /^203\.0\.113\./);
    const [address] = await addressLink([left.namespace, 'cnn1'], [right.namespace, 'cnn0']);
    for (const [port, offloads] of [
      [5201, 'on'],
      [5202, 'off'],
    ] as const) {
      if (offloads === 'off') assert.equal(await switchOffloadsOff(lab), 12);
      const { value, milliseconds } = await timed(() =>
        transfer(left.namespace, address, right.namespace, { bytes, port, bound: 30_000 }),
      );
      lab.figures.push(`offloads ${offloads}: ${bytes / 1e6} MB in ${milliseconds} ms`);
      assert.equal(value.sent.bytes, bytes);
      assert.deepEqual(value.received, value.sent, lab.figures.at(-1));
      const peer = await right.peer(left.id);
      assert.equal(peer?.path, 'direct');
    }
  },
);
