/** What the direct path carries. */
import assert from 'node:assert/strict';
import { buildTool } from './lab/compiled.ts';
import { addressLink, directPair, dropsOfPath, onPath } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { assertFrameCrosses } from './lab/frame.ts';
import { farEnd, linkTo, losses, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertUnhindered, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ switch, IPv6 alone
 *   b → a ─────────┘
 */
story('a flow of IPv6 runs over IPv6', ['iperf3'], async (lab) => {
  const { a, b } = await directPair(lab, { family: 'ipv6' });
  a.start();
  b.start();
  await onPath('direct', [a, b], 30_000);
  const toA = await onPath('direct', [b, a], 1_000);
  const flow = await Flow.start(a.namespace, farEnd(toA), b.namespace, { seconds: 2 });
  const { bytes } = await flow.end();
  const peer = await b.peer('a');
  lab.figures.push(`${Math.round((bytes * 4) / 1e6)} Mbit/s, dropped ${JSON.stringify(peer?.dropped)}`);
  assert.ok(bytes > 10_000_000, lab.figures.at(-1));
  assert.equal(peer?.path, 'direct');
  assert.ok(peer.counters!.rxBytes > bytes, 'the link says what it carried');
  assert.match(peer.pair?.remote.address ?? '', /:/);
});

/*
 *   a  bootstrap ──┐ switch; an MPLS frame from a to b
 *   b → a ─────────┘
 */
story('packet information carries an MPLS frame on the direct path as well', ['cc', 'ping'], async (lab) => {
  const { a, b } = await directPair(lab, { options: ['--enable-packet-information'] });
  a.start();
  b.start();
  await onPath('direct', [a, b], 30_000);
  await waitFor(
    'the interface to fit, four bytes less',
    5_000,
    async () => (await a.peer('b'))?.interface?.mtu,
    (mtu) => mtu === 1436,
  );
  assert.deepEqual(losses(await pingMesh([a, b], { size: 1436 - 48 })), []);
  const before = (await b.peer('a'))!.counters!.rxPackets;
  await assertFrameCrosses(lab, a, b);
  const peer = await b.peer('a');
  assert.equal(peer?.path, 'direct');
  assert.ok(peer.counters!.rxPackets > before);
});

/*
 *   a  bootstrap ──┐ switch; a sends UDP in super-packets of 40 datagrams
 *   b → a ─────────┘
 */
for (const size of [1200, 1412]) {
  story(`UDP that the kernel cuts into ${size} bytes arrives whole and in order`, ['cc'], async (lab) => {
    const { a, b } = await directPair(lab);
    const tool = await buildTool(lab, 'gso');
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    await waitFor(
      'the interface to fit',
      5_000,
      async () => (await a.peer('b'))?.interface?.mtu,
      (mtu) => mtu === 1440,
    );
    const [, addressOfB] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
    const count = 10_000;
    const receiver = b.namespace.start('gso', [tool, 'receive', '9000', `${count}`]);
    await receiver.says(/ready/);
    await a.namespace.$`${tool} send ${addressOfB} 9000 ${size} ${count}`;
    await receiver.ends(15_000);
    const { dropped } = linkTo(await b.status(), 'a');
    lab.figures.push(`${receiver.output.trim().split('\n').at(-1)}, dropped ${JSON.stringify(dropped)}`);
    assert.equal(receiver.output, `ready\n${count} whole, in order\n`);
  });
}

/*
 *   hub  bootstrap ──┬── n0 … n9   a flow from each to the hub, at the same time
 */
story('ten peers send to one at once', ['iperf3'], async (lab) => {
  const labels = Array.from({ length: 10 }, (_, n) => `n${n}`);
  const { hosts } = await lan(lab, ['hub', ...labels], 'ipv4');
  const hub = new CryonetNode(hosts[0]!, { listen: true, options: ['--workers', '3'] }).start();
  const options = ['--allow', 'hub'];
  const spokes = hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [hub], options }).start());
  for (const spoke of spokes) await onPath('direct', [hub, spoke], 40_000);
  const flows = await Promise.all(
    spokes.map(async ({ namespace }, n) => {
      // BBR, which some kernels have by default, takes busy processors for a slow path.
      await namespace.$`sysctl -qw net.ipv4.tcp_congestion_control=reno`;
      const [, inner] = await addressLink([hub.namespace, `cn${namespace.label}`], [namespace, 'cnhub'], n);
      return Flow.start(namespace, inner, hub.namespace, { seconds: 3, rate: '20M', port: 5201 + n });
    }),
  );
  const results = await Promise.all(flows.map((flow) => flow.end()));
  const megabits = results.map(({ bytes }) => Math.round((bytes * 8) / 3e6));
  lab.figures.push(`${megabits} Mbit/s of 20 each`);
  assertUnhindered(
    megabits.every((each) => each >= 10),
    lab,
  );
  const { peers } = await hub.status();
  for (const peer of peers) assert.deepEqual([peer.path, dropsOfPath(peer)], ['direct', {}]);
});
