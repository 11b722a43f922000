/** A NAT that restarts under a direct path. */
import assert from 'node:assert/strict';
import { addressLink, carried, dropsOfPath, onPath } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { Internet } from './lab/internet.ts';
import type { Lab } from './lab/lab.ts';
import { farEnd, interfaces } from './lab/mesh.ts';
import { coneNat } from './lab/nat.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, waitFor } from './lab/wait.ts';

/** Milliseconds between two pings of a train. */
const pace = 8;

/*
 *   b ── cone NAT ── a  bootstrap
 *        forgets every mapping and makes others
 */
async function throughNat(lab: Lab) {
  const internet = await Internet.make(lab);
  const a = new CryonetNode(await internet.publicHost('a'), { listen: true }).start();
  const [home] = await internet.home(coneNat(), 'b');
  const b = new CryonetNode(home!, { bootstrap: [a] }).start();
  const there = farEnd(await onPath('direct', [a, b], 30_000));
  const back = farEnd(await onPath('direct', [b, a], 1_000));
  const indexes = async () => [interfaces(await a.status()), interfaces(await b.status())];
  const before = { indexes: await indexes(), remote: (await a.peer('b'))!.pair!.remote };

  /** Same interfaces, same path, which dropped nothing, and b at another port of this address. */
  const assertFollowed = async (address: string): Promise<void> => {
    const ends = [(await a.peer('b'))!, (await b.peer('a'))!] as const;
    for (const end of ends) assert.deepEqual([end.path, dropsOfPath(end)], ['direct', {}]);
    assert.equal(ends[1].pair?.local.port, (await b.status()).dataplane.udpPort);
    const { remote } = ends[0].pair!;
    assert.equal(remote.address, address);
    assert.notEqual(remote.port, before.remote.port);
    assert.deepEqual(await indexes(), before.indexes);
  };
  return { internet, a, b, there, back, addressBefore: before.remote.address, assertFollowed };
}

for (const [lease, change] of [
  ['kept', 'port'],
  ['new', 'address and port'],
] as const) {
  story(
    `a link and its flow outlive a NAT that changes its outer ${change}`,
    ['nft', 'iperf3', 'ping'],
    async (lab) => {
      const { internet, a, b, there, back, addressBefore, assertFollowed } = await throughNat(lab);
      const [addressOfA] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
      const trains = [Train.start(a.namespace, there), Train.start(b.namespace, back)] as const;
      for (const train of trains) await train.arrives();
      const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 6, rate: '50M' });
      await carried(b, 'a');

      const address = await internet.restartRouter(b.namespace, { lease });
      const { bytes, gap, retransmits } = await flow.end();
      const journeys = [await trains[0].stop(), await trains[1].stop()];
      const gaps = journeys.map((journey) => journey.gap);
      const lost = journeys.map((journey) => journey.lost.length);
      lab.figures.push(
        `gaps of ${gaps} ms, ${lost} lost; the flow's ${gap} ms, ${retransmits} sent again, ${bytes} bytes`,
      );
      assert.equal(address === addressBefore, lease === 'kept');
      await assertFollowed(address);
      for (const each of gaps) assertSoon(each, 1_500, lab);
      // What b sends moves a at once: until its next probe more would be lost.
      for (const each of lost) assertSoon(each * pace, 30 * pace, lab);
      assertSoon(gap, 1_500, lab);
      assert.ok(bytes > 30_000_000, lab.figures.at(-1));
    },
  );
}

story(
  'a node that only answers is reached again by its next probe, whatever its NAT forgot',
  ['nft', 'ping'],
  async (lab) => {
    const { internet, a, b, there, assertFollowed } = await throughNat(lab);
    const train = Train.start(a.namespace, there);
    await train.arrives();
    const address = await internet.restartRouter(b.namespace, { lease: 'kept' });
    await train.arrives();
    await waitFor(
      'a to see b elsewhere',
      5_000,
      () => assertFollowed(address),
      () => true,
    );
    const { gap, lost } = await train.stop();
    lab.figures.push(`a gap of ${gap} ms, ${lost.length} lost`);
    // An active path is probed every 800 ms, a look every 400 ms.
    assertSoon(gap, 1_500, lab);
    const atOnce = lost.map((_, n) => lost[0]! + n);
    assert.deepEqual(lost, atOnce, 'nothing is lost but in one interruption');
  },
);
