/** The interfaces: what they are called, what they carry and what they run over. */
import assert from 'node:assert/strict';
import { assertFrameCrosses } from './lab/frame.ts';
import { linked, linkTo, losses, meshed, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

interface KernelLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly ifalias?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
}

/** The settings by which packets that come in by a device change addresses and routes of the machine. */
const configuring = (device: string) => [
  ...['accept_ra', 'autoconf', 'accept_redirects'].map((each) => `net.ipv6.conf.${device}.${each}`),
  `net.ipv4.conf.${device}.accept_redirects`,
];

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch, IPv6 alone
 *   c → a ─────────┘
 */
story('an underlay of IPv6 alone carries a mesh', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv6');
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const nodes = [a, ...hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start())];
  const reports = await meshed(nodes);
  const crossings = await pingMesh(nodes, { count: 3 });
  assert.equal(crossings.length, 6);
  assert.deepEqual(losses(crossings), []);
  const remotes = reports.flatMap(({ peers }) => peers.map(({ pair }) => pair?.remote.address));
  assert.equal(remotes.length, 6);
  for (const address of remotes) assert.match(address ?? '', /^2001:db8:1::|^fe80::/);
});

/*
 *   a  bootstrap, names by itself ──┐ switch
 *   b → a, names by the kernel ─────┘
 */
story('interfaces are named and set up as asked for', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  for (const host of hosts) await host.$`sysctl -qw ${configuring('default').map((each) => `${each}=1`)}`;
  const a = new CryonetNode(hosts[0]!, { listen: true, options: ['--mtu', '1280'] }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options: ['--auto-interface-name'] }).start();
  const reports = await meshed([a, b]);
  const fromA = linkTo(reports[0]!, 'b').interface;
  const fromB = linkTo(reports[1]!, 'a').interface;
  assert.equal(fromA.name, 'cnb');
  assert.equal(fromB.name, 'tun0');
  assert.deepEqual([fromA.address, fromA.peerAddress], [fromB.peerAddress, fromB.address]);
  assert.deepEqual(losses(await pingMesh([a, b])), []);

  const [kernel] = await a.namespace.ip<KernelLink>('link', 'show', 'cnb');
  assert.equal(kernel?.mtu, 1280);
  assert.equal(fromA.mtu, 1280);
  assert.equal(kernel?.ifindex, fromA.index);
  assert.ok(kernel?.flags.includes('POINTOPOINT') && kernel.flags.includes('LOWER_UP'), `${kernel?.flags}`);

  for (const [node, { name }] of [
    [a, fromA],
    [b, fromB],
  ] as const) {
    const { stdout } = await node.namespace.$`sysctl -n ${configuring(name)}`;
    assert.equal(stdout, '0\n0\n0\n0\n');
  }
});

/*
 *   gateway-of-the-house-on-the-hill    bootstrap ──┐
 *   gateway-of-the-house-on-the-shore-1 → it ───────┤ switch
 *   gateway-of-the-house-on-the-shore-2 → it ───────┘
 */
story('long IDs get short names that stay and the full ID as alias', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c']);
  const [hill, first, second] = ['hill', 'shore-1', 'shore-2'].map(
    (end) => `gateway-of-the-house-on-the-${end}`,
  );
  const a = new CryonetNode(hosts[0]!, { id: hill, listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { id: first, bootstrap: [a] }).start();
  const c = new CryonetNode(hosts[2]!, { id: second, bootstrap: [a] }).start();
  await meshed([a, b, c]);
  assert.deepEqual(losses(await pingMesh([a, b, c])), []);

  const names = async () => {
    const links = await a.namespace.ip<KernelLink>('link');
    return Object.fromEntries(links.flatMap(({ ifalias, ifname }) => (ifalias ? [[ifalias, ifname]] : [])));
  };
  const before = await names();
  assert.deepEqual(Object.keys(before).sort(), [first, second]);
  assert.equal(new Set(Object.values(before)).size, 2);
  for (const name of Object.values(before)) assert.match(name, /^cngatew~[a-z2-7]{7}$/);

  assert.equal((await a.stop()).code, 0);
  a.start();
  await meshed([a, b, c]);
  assert.deepEqual(await names(), before);
});

/*
 *   a  bootstrap ──┐ switch; an MPLS frame from a to b
 *   b → a ─────────┘
 */
story('packet information carries an MPLS frame unchanged', ['cc', 'ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const options = ['--enable-packet-information'];
  const a = new CryonetNode(hosts[0]!, { listen: true, options }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options }).start();
  await meshed([a, b]);
  assert.deepEqual(losses(await pingMesh([a, b])), [], 'IPv6 crosses too');

  await assertFrameCrosses(lab, a, b);
});

/*
 *   a  bootstrap, has an interface cnb of its own ──┐ switch
 *   b → a ──────────────────────────────────────────┘
 */
story('a name that is taken is no obstacle, and what has it is left alone', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  await hosts[0]!.configure('link add cnb type bridge', 'link set cnb up');
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  const reports = await meshed([a, b]);
  assert.deepEqual(losses(await pingMesh([a, b])), []);

  const { name } = linkTo(reports[0]!, 'b').interface;
  assert.match(name, /^cnb~[a-z2-7]{7}$/);
  const [second] = await a.namespace.ip<KernelLink>('link', 'show', name);
  assert.equal(second?.ifalias, 'b');
  const [foreign] = await a.namespace.ip<KernelLink>('link', 'show', 'cnb');
  assert.equal(foreign?.ifalias, undefined);
  assert.match(a.program.output, /the name of an interface is taken.*cnb/);
  for (const { program } of [a, b]) assert.equal([...program.output.matchAll(/link up/g)].length, 1);
});

/*
 *   a  bootstrap, with packet information ──┐ switch
 *   b → a, without ─────────────────────────┘
 */
story('a link with packet information on one side alone is refused with the reason', [], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const a = new CryonetNode(hosts[0]!, { listen: true, options: ['--enable-packet-information'] }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  await a.ready();
  for (const [node, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const peer = await waitFor(
      `${node.id} to say why it has no link`,
      20_000,
      () => node.peer(other.id),
      (seen) => /--enable-packet-information/.test(seen?.reason ?? ''),
    );
    assert.equal(peer?.interface, null);
  }
});

/*
 *        ╎ cut                   a and b get routes to each other through their tunnels to c, and addresses
 *   a ───╎─── b                  in those tunnels; all that must not become a path of the link between them
 *    ╲       ╱
 *     ╲     ╱     c forwards
 *        c
 */
story('a tunnel is never inside a tunnel', ['nft', 'ping'], async (lab) => {
  const { wires, hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
  const c = new CryonetNode(hosts[2]!, { listen: true }).start();
  const a = new CryonetNode(hosts[0]!, { bootstrap: [c] }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [c] }).start();
  await meshed([a, b, c]);

  await wires.partition([a.namespace], [b.namespace]);
  const states = async () => [(await a.peer('b'))?.state, (await b.peer('a'))?.state];
  await waitFor('a and b to lose each other', 60_000, states, (seen) => !seen.includes('up'));

  // The overlay: 10.8.0.1 at a, 10.8.0.2 at b, each with a host route to the other by way of c.
  const [underA, underB] = [a.namespace.address, b.namespace.address];
  await a.namespace.configure(
    'addr add 10.8.0.1/32 dev cnc',
    'addr add 10.8.1.1/24 dev cnb',
    'route add 10.8.0.2 dev cnc src 10.8.0.1',
    `route add ${underB} dev cnc`,
  );
  await b.namespace.configure(
    'addr add 10.8.0.2/32 dev cnc',
    'addr add 10.8.1.2/24 dev cna',
    'route add 10.8.0.1 dev cnc src 10.8.0.2',
    `route add ${underA} dev cnc`,
  );
  await c.namespace.$`sysctl -qw net.ipv4.ip_forward=1`;
  await c.namespace.configure('route add 10.8.0.1 dev cna', 'route add 10.8.0.2 dev cnb');
  const detour = await waitFor(
    'the detour to work',
    5_000,
    () => ping(a.namespace, '10.8.0.2'),
    ({ received }) => received === 1,
  );
  assert.equal(detour.received, 1);

  // Ten seconds of attempts, as traffic counts them.
  const [traffic, seen] = await Promise.all([
    ping(a.namespace, '10.8.0.2', { count: 50, interval: 0.2 }),
    watch(states, 50, 200),
  ]);
  assert.equal(traffic.received, 50);
  const ups = seen.filter((state) => state.includes('up')).length;
  assert.equal(ups, 0, `up by way of a tunnel in ${ups} of ${seen.length} looks`);

  await a.namespace.configure(`route del ${underB} dev cnc`);
  await b.namespace.configure(`route del ${underA} dev cnc`);
  await wires.heal();
  const link = await linked(a, b, 40_000);
  assert.deepEqual([link.pair?.local.address, link.pair?.remote.address], [underA, underB]);
  assert.deepEqual(losses(await pingMesh([a, b, c])), []);
});

/** Looks this often, so many milliseconds apart, and collects what it saw. */
async function watch<T>(look: () => Promise<T>, times: number, apart: number): Promise<T[]> {
  const start = performance.now();
  const seen: T[] = [];
  await waitFor(
    `${times} looks`,
    times * apart + 5_000,
    async () => {
      if (performance.now() - start >= seen.length * apart) seen.push(await look());
      return seen.length;
    },
    (length) => length === times,
  );
  return seen;
}
