/** Interfaces fit their paths, whatever the network between says of it, which here is nothing. */
import assert from 'node:assert/strict';
import { addressLink, carried, onPath } from './lab/direct.ts';
import { missingSizes } from './lab/echo.ts';
import { Flow } from './lab/flow.ts';
import type { Lab } from './lab/lab.ts';
import { CryonetNode } from './lab/node.ts';
import { Routers } from './lab/routers.ts';
import { story } from './lab/story.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/** Bytes of IPv4 and UDP header, and of a record. */
const overhead = 28 + 32;

async function acrossRouters(lab: Lab, edge: number, middle: number, options: readonly string[] = []) {
  const routers = await Routers.make(lab, ['a', 'b'], edge);
  await routers.setMtu(middle);
  const [hostOfA, hostOfB] = routers.hosts;
  const a = new CryonetNode(hostOfA, { listen: true, options }).start();
  const b = new CryonetNode(hostOfB, { bootstrap: [a], options }).start();
  await onPath('direct', [a, b], 30_000);
  const [addressOfA, addressOfB] = await addressLink([hostOfA, 'cnb'], [hostOfB, 'cna']);
  return { a, b, routers, addressOfA, addressOfB };
}

/** `slack`: what a search may leave unused, bytes. */
async function bothFit(
  [a, b]: readonly [CryonetNode, CryonetNode],
  mtu: number,
  bound: number,
  slack = 0,
): Promise<void> {
  await waitFor(
    `both interfaces to have an MTU of ${mtu}`,
    bound,
    async () => [(await a.peer('b'))?.interface?.mtu, (await b.peer('a'))?.interface?.mtu],
    (seen) => seen.every((each) => each !== undefined && each <= mtu && each >= mtu - slack),
  );
}

/*
 *   a ── r1 ═══════════ r2 ── b      ICMP is dropped
 *             middle
 */
for (const [edge, middle, options] of [
  [1500, 1280, []],
  [1500, 1400, []],
  [1500, 1500, []],
  [9000, 9000, ['--buf-size', '9100']],
] as const) {
  // IPv6 is to have its least MTU in any case: what does not fit goes by the datachannel.
  const mtu = Math.max(1280, middle - overhead);
  story(
    `a path of ${middle} bytes makes an interface of ${mtu}, and all sizes pass`,
    ['nft', 'iperf3'],
    async (lab) => {
      const { a, b, addressOfA, addressOfB } = await acrossRouters(lab, edge, middle, options);
      const { milliseconds } = await timed(() => bothFit([a, b], mtu, 10_000));
      assert.equal((await a.peer('b'))?.pathMtu, middle);

      const missing = await missingSizes(a.namespace, b.namespace, addressOfB, [1200, mtu]);
      assert.deepEqual(missing, [], 'sizes that did not pass');

      const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 1 });
      const { bytes } = await flow.end();
      lab.figures.push(`fits after ${milliseconds} ms, ${Math.round((bytes * 8) / 1e6)} Mbit in a second`);
      assert.ok(bytes > 5_000_000, lab.figures.at(-1));
      const peer = await a.peer('b');
      assert.deepEqual([peer?.path, peer?.interface?.mtu], ['direct', mtu]);
    },
  );
}

/*
 *   a ── r1 ═══════════ r2 ── b      ICMP is dropped
 *         1500, then 1350
 */
story('a path that shrinks under a flow is no black hole for long', ['nft', 'iperf3'], async (lab) => {
  const { a, b, routers, addressOfA } = await acrossRouters(lab, 1500, 1500);
  await bothFit([a, b], 1440, 10_000);
  const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 14, rate: '50M' });
  await carried(b, 'a');
  await routers.setMtu(1350);
  const { milliseconds } = await timed(() => bothFit([a, b], 1350 - overhead, 15_000, 7));
  const { gap, retransmits } = await flow.end();
  lab.figures.push(`fits after ${milliseconds} ms, the flow stood for ${gap} ms, ${retransmits} sent again`);
  // TCP sends again 3.0 s and 6.2 s after what was lost: fitting later than the first is seen at the second.
  assertSoon(gap, 7_000, lab);
  assert.equal((await a.peer('b'))?.path, 'direct');
});
