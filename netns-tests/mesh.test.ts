/** How a mesh forms, grows and survives its bootstrap node. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { farEnd, interfaces, linked, linkTo, losses, meshed, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { startPing } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤
 *   c → a ─────────┤ switch
 *   d → a ─────────┤
 *   e → a ─────────┘
 */
story('five nodes that know one bootstrap node become a full mesh', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c', 'd', 'e']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  await a.ready();
  const nodes = [a, ...hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start())];
  await Promise.all(nodes.map((node) => node.ready()));
  const { value: reports, milliseconds } = await timed(() => meshed(nodes));
  lab.figures.push(`a full mesh after ${milliseconds} ms`);
  assertSoon(milliseconds, 15_000, lab);

  const crossings = await pingMesh(nodes, { count: 3 });
  assert.equal(crossings.length, 20);
  assert.deepEqual(losses(crossings), []);

  for (const { node, peers } of reports) {
    const names = peers.map((peer) => peer.interface?.name).sort();
    const expected = nodes.filter(({ id }) => id !== node.id).map(({ id }) => `cn${id}`);
    assert.deepEqual(names, expected, `the interfaces of ${node.id}`);
  }
  const offers = reports.flatMap(({ node, peers }) =>
    peers.filter(({ offerer }) => offerer === 'self').map(({ id }) => [node.id, id].sort().join('-')),
  );
  assert.equal(new Set(offers).size, 10, 'one side of each pair offers');
  assert.equal(offers.length, 10);
});

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤
 *   c → a ─────────┤ switch
 *   d → b, later ──┘
 */
story('a late joiner reaches everyone through any member', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c', 'd']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { listen: true, bootstrap: [a] }).start();
  const c = new CryonetNode(hosts[2]!, { bootstrap: [a] }).start();
  const before = await meshed([a, b, c]);

  const d = new CryonetNode(hosts[3]!, { bootstrap: [b] }).start();
  await d.ready();
  const { milliseconds } = await timed(() => meshed([a, b, c, d]));
  lab.figures.push(`joined after ${milliseconds} ms`);
  assertSoon(milliseconds, 8_000, lab);
  assert.deepEqual(losses(await pingMesh([a, b, c, d])), []);
  for (const [index, node] of [a, b, c].entries()) {
    const { [d.id]: _new, ...old } = interfaces(await node.status());
    assert.deepEqual(old, interfaces(before[index]!), `${node.id} keeps its interfaces`);
  }
});

/*
 *   a  bootstrap, dies ──┐
 *   b → a ───────────────┤
 *   c → a ───────────────┤ switch; then the wire between b and c breaks for a while
 *   d → a ───────────────┘
 */
story('the mesh outlives its bootstrap node and signals through itself', ['nft', 'ping'], async (lab) => {
  const { wires, hosts } = await lan(lab, ['a', 'b', 'c', 'd']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const rest = hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start());
  const [b, c] = rest as [CryonetNode, CryonetNode];
  await meshed([a, ...rest]);
  const before = await Promise.all(rest.map((node) => node.status()));

  await a.kill();
  const crossings = await pingMesh(rest, { count: 200, interval: 0.02 });
  assert.deepEqual(losses(crossings), [], 'nobody else noticed');

  await wires.partition([b.namespace], [c.namespace]);
  await waitFor(
    'b and c to lose each other',
    60_000,
    async () => [(await b.peer('c'))?.state, (await c.peer('b'))?.state],
    (states) => !states.includes('up'),
  );
  await wires.heal();
  const { milliseconds } = await timed(() => linked(b, c, 40_000));
  lab.figures.push(`b and c found each other again after ${milliseconds} ms`);
  assertSoon(milliseconds, 30_000, lab);
  assert.deepEqual(losses(await pingMesh(rest)), []);
  for (const [index, node] of rest.entries()) {
    const { a: _before, ...kept } = interfaces(before[index]!);
    const { a: _after, ...now } = interfaces(await node.status());
    assert.deepEqual(now, kept, `${node.id} keeps its interfaces`);
  }
});

/*
 *   a   one mesh and another ──┐ switch
 *   b   one mesh and another ──┘
 */
story('two meshes on one host do not see each other', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const mesh = (token: string, prefix: string, port: number, udpPorts: readonly string[]) => {
    const options = (udpPort: string) => [
      '--interface-prefix',
      prefix,
      ...(udpPort ? ['--udp-port', udpPort] : []),
    ];
    const first = new CryonetNode(hosts[0]!, {
      ...{ id: `${prefix}-a`, token, listen: port, options: options(udpPorts[0]!) },
    }).start();
    const second = new CryonetNode(hosts[1]!, {
      ...{ id: `${prefix}-b`, token, listen: port, bootstrap: [first], options: options(udpPorts[1]!) },
    }).start();
    return [first, second] as const;
  };
  const one = mesh('first-mesh', 'cn', 2333, ['', '']);
  await meshed(one);
  const two = mesh('second-mesh', 'dn', 2334, ['2444', '']);
  await meshed(two);

  assert.deepEqual(losses(await pingMesh([...one])), []);
  assert.deepEqual(losses(await pingMesh([...two])), []);
  for (const [node, peer] of [one, [...one].reverse(), two, [...two].reverse()]) {
    const report = await node!.status();
    assert.deepEqual(
      report.peers.map(({ id }) => id),
      [peer!.id],
    );
  }
  // The third asked for a port, the fourth found the usual one taken and said so.
  assert.equal((await two[0].status()).dataplane.udpPort, 2444);
  assert.notEqual((await two[1].status()).dataplane.udpPort, 2333);
  assert.match(two[1].program.output, /warn.*\b2333\b/i);
});

/*
 *   a  bootstrap ────────┐
 *   b → a ───────────────┤ switch
 *   "b" → a, from c ─────┘
 */
for (const [whose, copied] of [
  ['an identity of its own', false],
  ['a copy of the identity', true],
] as const) {
  story(`a second node of one ID with ${whose} is told so and disturbs nothing`, ['ping'], async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c']);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
    const [before] = await meshed([a, b]);
    const target = linkTo(before!, 'b');
    const traffic = startPing(a.namespace, farEnd(target), { count: 400, interval: 0.012 });

    const second = new CryonetNode(hosts[2]!, { id: 'b', bootstrap: [a] });
    if (copied) cpSync(b.stateDirectory, second.stateDirectory, { recursive: true });
    second.start();
    await second.says(
      copied ? /another running node has this ID|\bid_in_use\b/ : /another (running node|identity)/,
    );
    assert.ok(second.program.running, 'it goes on trying');

    const { sent, received } = await traffic.ends(20_000);
    assert.deepEqual([sent, received], [400, 400]);
    assert.deepEqual(interfaces(await a.status()), interfaces(before!));
    assert.equal((await b.peer('a'))?.state, 'up');
    const names = (await second.namespace.ip<{ ifname: string }>('link')).map(({ ifname }) => ifname);
    assert.deepEqual(names, ['lo', 'eth0'], 'the second got no interface');
    if (copied) return;

    // It was installed again, let us say: what the warning says accepts it while the node runs.
    await b.stop();
    const { warnings } = await a.status();
    const words =
      warnings?.find(({ subject, peer }) => subject === 'identity' && peer === 'b')?.message ?? '';
    const [, command] = /accept its new key by: (.*)$/.exec(words) ?? [];
    execFileSync('sh', ['-c', command!]);
    await waitFor(
      'the second to be linked',
      30_000,
      () => second.peer('a'),
      (peer) => peer?.state === 'up',
    );
  });
}
