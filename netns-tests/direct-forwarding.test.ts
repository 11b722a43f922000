/** A link as the underlay of other nodes' links: same port, other addresses. */
import assert from 'node:assert/strict';
import { addressLink, fittingPair, notRecords, onPath, records } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { counters } from './lab/marks.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { waitFor } from './lab/wait.ts';

/*
 *                    ┌ switch ┐
 *   c, bootstrap ── a          b ── d → c        10.30.0.0/24, 10.40.0.0/24
 *                    └ cnb/cna ┘
 *
 * a and b are a mesh of their own, and routers between c and d, which are another.
 */
story('tunnels of other nodes take the direct path, our own never', ['iperf3', 'nft'], async (lab) => {
  const { a, b } = await fittingPair(lab);
  await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
  const hosts = [await lab.namespace('c'), await lab.namespace('d')] as const;
  for (const [host, router, net, other, device] of [
    [hosts[0], a.namespace, '10.30.0', '10.40.0', 'cnb'],
    [hosts[1], b.namespace, '10.40.0', '10.30.0', 'cna'],
  ] as const) {
    await router.configure(
      `link add behind type veth peer name eth0 netns ${host.name}`,
      'link set behind up',
      `addr add ${net}.1/24 dev behind`,
      `route add ${other}.0/24 dev ${device}`,
    );
    await router.$`sysctl -qw net.ipv4.ip_forward=1`;
    await host.configure(
      'link set eth0 up',
      `addr add ${net}.2/24 dev eth0`,
      `route add default via ${net}.1`,
    );
    host.addresses.push(`${net}.2`);
  }
  const c = new CryonetNode(hosts[0], { listen: true, token: 'of the others' }).start();
  const d = new CryonetNode(hosts[1], { bootstrap: [c], token: 'of the others' }).start();
  const there = await onPath('direct', [c, d], 30_000);
  const back = await onPath('direct', [d, c], 5_000);
  const [addressOfC] = await addressLink(
    [c.namespace, there.interface.name],
    [d.namespace, back.interface.name],
    1,
  );

  await a.namespace.rules(
    `table inet leaving {
       counter records {}
       counter others {}
       chain output {
         type filter hook output priority filter;
         oifname "eth0" ${records} counter name records
         oifname "eth0" ${notRecords} counter name others
       }
     }`,
  );
  const flow = await Flow.start(c.namespace, addressOfC, d.namespace, { seconds: 3 });
  const { bytes } = await flow.end();
  const { records: direct, others } = await counters(a.namespace);
  lab.figures.push(`${bytes} bytes, in ${direct} calls with records and ${others} others`);
  assert.ok(bytes > 10_000_000, lab.figures.at(-1));
  // ICE and pings of the link between a and b.
  assert.ok(others! < 100, lab.figures.at(-1));

  // From now on everything that a sends to b is routed into the link itself.
  const before = (await a.peer('b'))!.counters!.txPackets;
  await a.namespace.configure('route add 198.51.100.2/32 dev cnb');
  await waitFor(
    'the link to be lost',
    20_000,
    async () => (await a.peer('b'))?.path,
    (path) => path !== 'direct',
  );
  const after = (await a.peer('b'))?.counters?.txPackets ?? before;
  lab.figures.push(`${after - before} packets until the link was lost`);
  assert.ok(after - before < 1000, lab.figures.at(-1));
});
