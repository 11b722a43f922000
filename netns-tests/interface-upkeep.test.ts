/** What others change about the interfaces while a node runs. */
import assert from 'node:assert/strict';
import { buildTool } from './lab/compiled.ts';
import { linked, linkTo, losses, meshed, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { timed, waitFor } from './lab/wait.ts';

interface KernelAddresses {
  readonly addr_info: readonly { readonly local?: string }[];
}

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story(
  'an interface that was set down and up, and one without IPv6 for a while, have their address again',
  ['ping'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
    const { interface: device } = await linked(a, b, 30_000);
    await a.namespace.configure('addr add fd20::1/128 dev cnb');
    const kernel = async () => {
      const [shown] = await a.namespace.ip<KernelAddresses>('address', 'show', 'dev', 'cnb');
      return (shown?.addr_info ?? []).map(({ local }) => local);
    };
    const status = async () => (await a.peer('b'))?.interface?.address;
    const isBack = async (what: string) => {
      const { milliseconds } = await timed(() =>
        waitFor(what, 5_000, kernel, (addresses) => addresses.includes(device.address)),
      );
      lab.figures.push(`${what} after ${milliseconds} ms`);
      await waitFor('status to have it', 2_000, status, (address) => address === device.address);
      assert.deepEqual(losses(await pingMesh([a, b])), []);
    };

    await a.namespace.configure('link set cnb down', 'link set cnb up', 'addr add fd20::1/128 dev cnb');
    await isBack('the address to be back after down and up');
    assert.ok((await kernel()).includes('fd20::1'), 'what somebody else put there stays');

    await a.namespace.$`sysctl -qw net.ipv6.conf.cnb.disable_ipv6=1`;
    assert.deepEqual(await kernel(), []);
    await waitFor('status to have no address', 5_000, status, (address) => address === '');
    await a.namespace.$`sysctl -qw net.ipv6.conf.cnb.disable_ipv6=0`;
    await isBack('the address to be back with IPv6');

    await a.namespace.configure('link set cnb mtu 1000');
    await waitFor('status to have no address', 5_000, status, (address) => address === '');
    await a.namespace.configure('link set cnb mtu 1300');
    await isBack('the address to be back with an MTU that IPv6 takes');
    assert.equal((await a.peer('b'))?.interface?.index, device.index);
    assert.equal((await a.peer('b'))?.state, 'up');
  },
);

/*
 *   a  bootstrap, IPv6 switched off; in the second story its kernel knows none ──┐ switch
 *   b → a ───────────────────────────────────────────────────────────────────────┘
 */
for (const kernel of ['that switched off', 'whose kernel has no'] as const) {
  story(
    `a machine ${kernel} IPv6 has its links, for IPv4, and claims no address`,
    ['cc', 'ping'],
    async (lab) => {
      const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
      await hosts[0]!.$`sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1`;
      const through = kernel === 'whose kernel has no' ? [await buildTool(lab, 'no-ipv6')] : [];
      const a = new CryonetNode(hosts[0]!, { listen: true, through }).start();
      const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
      const [fromA, fromB] = await meshed([a, b]);
      assert.equal(linkTo(fromA!, 'b').interface.address, '');
      assert.equal(linkTo(fromB!, 'a').interface.address, linkTo(fromA!, 'b').interface.peerAddress);
      await a.namespace.configure('addr add 10.8.0.1/32 peer 10.8.0.2 dev cnb');
      await b.namespace.configure('addr add 10.8.0.2/32 peer 10.8.0.1 dev cna');
      const { received } = await ping(a.namespace, '10.8.0.2', { count: 10, interval: 0.05 });
      assert.equal(received, 10);
      await waitFor(
        'the direct path',
        15_000,
        () => a.peer('b'),
        (peer) => peer?.path === 'direct',
      );
    },
  );
}

/*
 *   a  bootstrap, filters reverse paths loosely by default ──┐ switch
 *   b → a ───────────────────────────────────────────────────┘
 */
story(
  'reverse path filtering is off on interfaces of peers, and said where it cannot be',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const [one, other] = hosts;
    await one!.$`sysctl -qw net.ipv4.conf.default.rp_filter=2`;
    const a = new CryonetNode(one!, { listen: true }).start();
    const b = new CryonetNode(other!, { bootstrap: [a] }).start();
    await meshed([a, b]);
    const { stdout } = await one!.$`sysctl -n net.ipv4.conf.cnb.rp_filter net.ipv4.conf.eth0.rp_filter`;
    assert.equal(stdout, '0\n0\n');

    const warnings = async () =>
      ((await a.status()).warnings ?? []).filter(({ subject }) => subject === 'rp_filter');
    assert.deepEqual(await warnings(), []);
    await one!.$`sysctl -qw net.ipv4.conf.all.rp_filter=2`;
    const [warning] = await waitFor('the warning', 6_000, warnings, (list) => list.length === 1);
    assert.match(warning!.message, /net\.ipv4\.conf\.all\.rp_filter is 2/);
    await one!.$`sysctl -qw net.ipv4.conf.all.rp_filter=0`;
    await waitFor('the warning to go', 6_000, warnings, (list) => list.length === 0);
  },
);
