/** Routing daemons on the interfaces, as users run them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab/lab.ts';
import { linked } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { startFrr } from './lab/ospf.ts';
import { ping } from './lab/ping.ts';
import { programs } from './lab/programs.ts';
import { routingConfig } from './lab/routing.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/** Overlay address of the nth host, on its loopback interface. */
const overlay = (index: number) => `2001:db8:f::${index + 1}`;

interface Row {
  readonly hosts: readonly [Namespace, Namespace, Namespace];
  readonly middle: CryonetNode;
  /** What cryoc says for the nth host, of this daemon. */
  readonly configOf: (index: number, daemon: readonly string[]) => Promise<string>;
}

/** Three nodes in a row: b has a link to each end, the ends are denied one. */
async function row(lab: Lab): Promise<Row> {
  const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
  const [left, middle, right] = hosts as [Namespace, Namespace, Namespace];
  const b = new CryonetNode(middle, { listen: true }).start();
  const a = new CryonetNode(left, { bootstrap: [b], options: ['--deny', 'c'] }).start();
  const c = new CryonetNode(right, { bootstrap: [b], options: ['--deny', 'a'] }).start();
  await linked(a, b, 30_000);
  await linked(c, b, 30_000);
  for (const [index, host] of hosts.entries()) await host.configure(`addr add ${overlay(index)}/128 dev lo`);
  await middle.$`sysctl -qw net.ipv6.conf.all.forwarding=1`;
  const configOf = (index: number, daemon: readonly string[]) =>
    routingConfig([a, b, c][index]!, [...daemon, '--prefix', '2001:db8:f::/64']);
  return { hosts: [left, middle, right], middle: b, configOf };
}

async function reached(from: Namespace, address: string): Promise<void> {
  const { milliseconds } = await timed(() =>
    waitFor(
      `${address} to answer ${from.label}`,
      30_000,
      () => ping(from, address),
      ({ received }) => received === 1,
    ),
  );
  from.lab.figures.push(`${from.label} reached ${address} after ${milliseconds} ms`);
  assertSoon(milliseconds, 20_000, from.lab);
  const routes = await from.ip<{ dst: string; dev: string }>('-6', 'route', 'show', address);
  assert.deepEqual(
    routes.map(({ dst, dev }) => `${dst} ${dev}`),
    [`${address} cnb`],
  );
}

/** Runs the hook of the packages, which tells babeld of all interfaces, in a folder of this story. */
async function toldByHook(host: Namespace, node: CryonetNode): Promise<void> {
  const { directory } = host.lab;
  const socket = join(directory, `${host.label}.babeld.conf.sock`);
  const hook = readFileSync(join(import.meta.dirname, '../packaging/files/hooks/babeld'), 'utf8')
    .replaceAll('/run/cryonet-hooks', directory)
    .replaceAll('/run/babeld.sock', socket)
    .replaceAll('/usr/lib/cryonet/bin/node', process.execPath);
  const path = join(directory, 'babeld-hook');
  writeFileSync(path, hook, { mode: 0o755 });
  await waitFor(
    'babeld to serve its socket',
    10_000,
    async () => existsSync(socket),
    (isThere) => isThere,
  );
  const variables = [`CRYONET_SOCKET=${node.controlSocket}`, 'CRYONET_EVENT=hooks.started'];
  await host.$`env ${variables} PATH=${programs}:/usr/bin:/bin ${path}`;
}

/*
 *   a ── b ── c      babeld as cryoc configures it; a and c may not be linked
 */
story(
  'Babel converges over the links and a route crosses the middle node',
  ['babeld', 'bird', 'vtysh', 'ping'],
  async (lab) => {
    const { hosts, configOf, middle } = await row(lab);
    for (const [index, host] of hosts.entries()) {
      const [conf, state, pid] = ['conf', 'state', 'pid'].map((name) =>
        join(lab.directory, `${host.label}.babeld.${name}`),
      ) as [string, string, string];
      const config = await configOf(index, ['babeld']);
      assert.match(config, /^interface cn[abc] rxcost \d+$/m);
      // Three on one machine, which have one /run. That in the middle hears of one of its interfaces later.
      const known = config.replace(/^interface cnc .*\n/m, '');
      writeFileSync(conf, known.replace('/run/babeld.sock', `${conf}.sock`));
      host.start('babeld', ['babeld', '-h', '1', '-H', '1', '-c', conf, '-S', state, '-I', pid]);
    }
    await toldByHook(hosts[1], middle);
    const [a, , c] = hosts;
    await reached(a, overlay(2));
    await reached(c, overlay(0));
    for (const [daemon, check] of [
      [['bird'], ['bird', '-p', '-c']],
      [['frr'], ['vtysh', '-C', '-f']],
    ] as const) {
      const conf = join(lab.directory, `checked.${daemon[0]}.conf`);
      writeFileSync(conf, await configOf(1, daemon));
      await hosts[1].$`${check} ${conf}`;
    }
  },
);

/*
 *   a ── b ── c      BIRD, at c FRR, as cryoc configures them; a and c may not be linked
 */
story(
  'OSPFv3 converges over the links and a route crosses the middle node',
  ['bird', 'vtysh', 'ping'],
  async (lab) => {
    const { hosts, configOf } = await row(lab);
    for (const [index, host] of hosts.slice(0, 2).entries()) {
      const files = ['conf', 'ctl', 'pid'].map((name) => join(lab.directory, `${host.label}.bird.${name}`));
      const config = await configOf(index, ['bird', '--protocol', 'ospf']);
      assert.match(config, /interface "cn[abc]" { type ptp; cost \d+; };/);
      writeFileSync(files[0]!, config.replaceAll('type ptp;', 'type ptp; hello 1; dead count 4;'));
      host.start('bird', ['bird', '-f', '-c', files[0]!, '-s', files[1]!, '-P', files[2]!]);
    }
    const [a, , c] = hosts;
    const short =
      ' ipv6 ospf6 network point-to-point\n ipv6 ospf6 hello-interval 1\n ipv6 ospf6 dead-interval 4';
    await startFrr(c, (await configOf(2, ['frr'])).replaceAll(' ipv6 ospf6 network point-to-point', short));
    await reached(a, overlay(2));
    await reached(c, overlay(0));
  },
);
