/** Drivers and hops that lose what was segmented, and nothing else. */
import assert from 'node:assert/strict';
import { addressLink, onPath, printedStatus } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import type { Lab } from './lab/lab.ts';
import { CryonetNode } from './lab/node.ts';
import { Routers } from './lab/routers.ts';
import { story } from './lab/story.ts';
import { assertUnhindered, timed, waitFor } from './lab/wait.ts';

/** A router that loses records of a which left together: in the lab they are one packet until they are received. */
const losing = `table ip fault {
  chain forward {
    type filter hook forward priority filter;
    ip saddr 10.1.0.2 meta l4proto udp meta length > 1500 counter name lost drop
  }
  counter lost { }
}`;

async function broken(lab: Lab, options: readonly string[] = []) {
  const routers = await Routers.make(lab, ['a', 'b'], 1500);
  await routers.rules(losing);
  const [hostOfA, hostOfB] = routers.hosts;
  // What TCP believes of a path outlives the fault: of one flow by BBR's model of it, and of the next by its metrics.
  await hostOfA.$`sysctl -qw net.ipv4.tcp_congestion_control=reno net.ipv4.tcp_no_metrics_save=1`;
  const a = new CryonetNode(hostOfA, { listen: true, options }).start();
  const b = new CryonetNode(hostOfB, { bootstrap: [a], options }).start();
  await onPath('direct', [a, b], 30_000);
  const [address] = await addressLink([hostOfA, 'cnb'], [hostOfB, 'cna']);
  return { a, b, address, hostOfA, hostOfB, routers };
}

/** Bits per second: enough that records leave together, and what a machine with other work can carry. */
const rate = '200M';

const warned = async (node: CryonetNode) =>
  (await node.status()).warnings?.filter(({ subject }) => subject === 'segmentation').length ?? 0;

/*
 *   a ── r1 ═══════════ r2 ── b      from a, UDP packets of more than 1500 bytes are dropped: what was segmented
 */
story(
  'where segmented records vanish they are sent one by one: a flow recovers, and the status says why',
  ['nft', 'iperf3'],
  async (lab) => {
    const { a, b, address, hostOfA, hostOfB, routers } = await broken(lab);
    const first = await Flow.start(hostOfA, address, hostOfB, { seconds: 8, rate });
    const { milliseconds } = await timed(() =>
      waitFor(
        'the warning',
        30_000,
        () => warned(a),
        (count) => count === 1,
      ),
    );
    const before = await first.end();
    assert.match(await printedStatus(a), /segmentation.*UDP_SEGMENT/s);
    assert.equal(await warned(b), 0, 'the other direction is well');
    const lost = await routers.counted('lost');
    const second = await Flow.start(hostOfA, address, hostOfB, { seconds: 2, rate, port: 5202 });
    const { bytes } = await second.end();
    const megabits = Math.round((bytes * 8) / 2e6);
    lab.figures.push(
      `known after ${milliseconds} ms, ${lost} lost; ${Math.round((before.bytes * 8) / 8e6)} Mbit/s in the first 8 s, then ${megabits}`,
    );
    assert.equal(await routers.counted('lost'), lost, 'nothing is segmented any more');
    assert.ok(lost >= 4, lab.figures.at(-1));
    assertUnhindered(megabits >= 50, lab);
    assert.equal((await a.peer('b'))?.path, 'direct');
    assert.equal([...a.program.output.matchAll(/about=segmentation/g)].length, 1, 'one line in the log');
  },
);

story('with --segmentation off nothing is segmented from the beginning', ['nft', 'iperf3'], async (lab) => {
  const { a, address, hostOfA, hostOfB, routers } = await broken(lab, ['--segmentation', 'off']);
  const flow = await Flow.start(hostOfA, address, hostOfB, { seconds: 2, rate });
  const { bytes } = await flow.end();
  lab.figures.push(`${Math.round((bytes * 8) / 2e6)} Mbit/s`);
  assert.equal(await routers.counted('lost'), 0);
  assertUnhindered(bytes > 10_000_000, lab);
  assert.equal(await warned(a), 0);
});
