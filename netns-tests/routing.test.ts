/** Routing daemons on the interfaces, as users run them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab/lab.ts';
import { linked } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/** Overlay address of the nth host, on its loopback interface. */
const overlay = (index: number) => `2001:db8:f::${index + 1}`;

/** Three nodes in a row: b has a link to each end, the ends are denied one. */
async function row(lab: Lab): Promise<readonly [Namespace, Namespace, Namespace]> {
  const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
  const [left, middle, right] = hosts as [Namespace, Namespace, Namespace];
  const b = new CryonetNode(middle, { listen: true }).start();
  const a = new CryonetNode(left, { bootstrap: [b], options: ['--deny', 'c'] }).start();
  const c = new CryonetNode(right, { bootstrap: [b], options: ['--deny', 'a'] }).start();
  await linked(a, b, 30_000);
  await linked(c, b, 30_000);
  for (const [index, host] of hosts.entries()) await host.configure(`addr add ${overlay(index)}/128 dev lo`);
  await middle.$`sysctl -qw net.ipv6.conf.all.forwarding=1`;
  return [left, middle, right];
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

/*
 *   a ── b ── c      babeld on every cn interface; a and c may not be linked
 */
story(
  'Babel converges over the links and a route crosses the middle node',
  ['babeld', 'ping'],
  async (lab) => {
    const hosts = await row(lab);
    const interfacesOf = [['cnb'], ['cna', 'cnc'], ['cnb']];
    for (const [index, host] of hosts.entries()) {
      const redistribute = ['redistribute local ip 2001:db8:f::/64 allow', 'redistribute local deny'];
      const files = ['state', 'pid'].map((name) => join(lab.directory, `${host.label}.babeld.${name}`));
      host.start('babeld', [
        ...['babeld', '-h', '1', '-H', '1', '-S', files[0]!, '-I', files[1]!],
        ...redistribute.flatMap((rule) => ['-C', rule]),
        ...interfacesOf[index]!,
      ]);
    }
    const [a, , c] = hosts;
    await reached(a, overlay(2));
    await reached(c, overlay(0));
  },
);

/*
 *   a ── b ── c      OSPFv3 on every cn interface; a and c may not be linked
 */
story(
  'OSPFv3 converges over the links and a route crosses the middle node',
  ['bird', 'ping'],
  async (lab) => {
    const hosts = await row(lab);
    for (const [index, host] of hosts.entries()) {
      const files = ['conf', 'ctl', 'pid'].map((name) => join(lab.directory, `${host.label}.bird.${name}`));
      writeFileSync(
        files[0]!,
        `router id 192.0.2.${index + 1};
       protocol device { scan time 1; }
       protocol direct { ipv6; interface "lo"; }
       protocol kernel { ipv6 { export all; }; }
       protocol ospf v3 {
         ipv6 { import all; export where source = RTS_DEVICE; };
         area 0 { interface "cn*" { type ptp; hello 1; dead count 4; }; };
       }`,
      );
      host.start('bird', ['bird', '-f', '-c', files[0]!, '-s', files[1]!, '-P', files[2]!]);
    }
    const [a, , c] = hosts;
    await reached(a, overlay(2));
    await reached(c, overlay(0));
  },
);
