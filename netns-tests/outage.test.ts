/** What breaks and comes back: the network, control, the dataplane. */
import assert from 'node:assert/strict';
import { farEnd, interfaces, linkTo, losses, meshed, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping, startPing } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐        a ── b  ╎  c ── d
 *   b → a ─────────┤ switch,        ╎            for ten seconds
 *   c → a ─────────┤                ╎
 *   d → a ─────────┘
 */
story('a partition of ten seconds heals by itself', ['nft', 'ping'], async (lab) => {
  const { wires, hosts } = await lan(lab, ['a', 'b', 'c', 'd']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const nodes = [a, ...hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start())];
  const before = await meshed(nodes);

  await wires.partition(hosts.slice(0, 2), hosts.slice(2));
  const across = farEnd(linkTo(before[0]!, 'c'));
  const within = farEnd(linkTo(before[0]!, 'b'));
  const tenSeconds = { count: 100, interval: 0.1, patience: 0.1 };
  const [cut, kept] = await Promise.all([
    ping(hosts[0]!, across, tenSeconds),
    ping(hosts[0]!, within, tenSeconds),
  ]);
  assert.equal(cut.received, 0, 'nothing crosses a partition');
  assert.equal(kept.received, kept.sent, 'nothing is lost on one side of it');

  await wires.heal();
  const { milliseconds } = await timed(() =>
    waitFor(
      'every pair to answer',
      30_000,
      async () => {
        await meshed(nodes, 0);
        return losses(await pingMesh(nodes));
      },
      (lost) => lost.length === 0,
    ),
  );
  lab.figures.push(`healed after ${milliseconds} ms`);
  assertSoon(milliseconds, 10_000, lab);
  for (const [index, node] of nodes.entries()) {
    assert.deepEqual(
      interfaces(await node.status()),
      interfaces(before[index]!),
      `${node.id} keeps its interfaces`,
    );
  }
});

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story('control dies under traffic on both sides and not a packet is lost', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  const before = await meshed([a, b]);
  const traffic = startPing(hosts[0]!, farEnd(linkTo(before[0]!, 'b')), { count: 800, interval: 0.012 });
  const since = Date.now();

  await Promise.all([a.killControl(), b.killControl()]);
  await waitFor(
    'traffic to go on for two seconds without control',
    10_000,
    () => Date.now() - since,
    (elapsed) => elapsed > 2_000,
  );
  a.start();
  b.start();
  const after = await meshed([a, b]);
  const { sent, received } = await traffic.ends(30_000);
  assert.deepEqual([sent, received], [800, 800]);
  for (const [index, report] of after.entries()) {
    assert.deepEqual(interfaces(report), interfaces(before[index]!), 'the same interfaces');
    assert.equal(report.dataplane.pid, before[index]!.dataplane.pid, 'the same dataplane');
    assert.notEqual(report.node.pid, before[index]!.node.pid, 'another control');
  }
});

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch
 *   c → a ─────────┘
 */
story('a dataplane that dies is started again and its links come back', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const nodes = [a, ...hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start())];
  const b = nodes[1]!;
  const before = await meshed(nodes);

  const killed = await b.killDataplane();
  const { milliseconds } = await timed(async () => {
    await waitFor(
      'another dataplane',
      10_000,
      () => b.status(),
      ({ dataplane }) => dataplane.connected && dataplane.pid !== killed,
    );
    await waitFor(
      'every pair to answer',
      30_000,
      async () => {
        await meshed(nodes, 0);
        return losses(await pingMesh(nodes));
      },
      (lost) => lost.length === 0,
    );
  });
  lab.figures.push(`links were back after ${milliseconds} ms`);
  assertSoon(milliseconds, 10_000, lab);
  for (const index of [0, 2]) {
    const now = interfaces(await nodes[index]!.status());
    assert.deepEqual(now, interfaces(before[index]!), `${nodes[index]!.id} keeps its interfaces`);
  }
});

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story('a node that is asked to stop says goodbye, tidies up and exits 0 in two seconds', [], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  await meshed([a, b]);
  const { value: exit, milliseconds } = await timed(() => b.stop());
  assert.deepEqual(exit, { code: 0, signal: null });
  lab.figures.push(`stopped after ${milliseconds} ms`);
  assertSoon(milliseconds, 2_000, lab);
  await waitFor(
    'a to know',
    2_000,
    async () => (await a.peer('b'))?.state ?? 'forgotten',
    (state) => state !== 'up',
  );
  await waitFor(
    'b to be as it was before',
    2_000,
    async () => {
      const links = await b.namespace.ip<{ ifname: string }>('link');
      return { links: links.map(({ ifname }) => ifname), processes: await b.namespace.processes() };
    },
    ({ links, processes }) => links.join() === 'lo,eth0' && processes.length === 0,
  );
});
