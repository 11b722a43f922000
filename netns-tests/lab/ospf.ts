/** OSPF daemons on the interface of one link, each with OSPFv2 and OSPFv3. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import { waitFor } from './wait.ts';

interface Ospf {
  /** The state of the only neighbor, of OSPFv2 and OSPFv3; as the daemon writes it, `none` where there is none. */
  states(): Promise<readonly [string, string]>;
}

/** `index`: a number of its own for each host. */
type OspfDaemon = (host: Namespace, device: string, index: number) => Promise<Ospf>;

export const bird: OspfDaemon = async (host, device, index) => {
  const [config, socket, pid] = ['conf', 'ctl', 'pid'].map((name) =>
    join(host.lab.directory, `${host.label}.bird.${name}`),
  ) as [string, string, string];
  const area = `area 0 { interface "${device}" { type ptp; hello 1; dead count 4; retransmit 2; }; };`;
  writeFileSync(
    config,
    `router id 192.0.2.${index + 1};
     protocol device { scan time 1; }
     protocol ospf v2 second { ipv4 { import all; export none; }; ${area} }
     protocol ospf v3 third { ipv6 { import all; export none; }; ${area} }`,
  );
  host.start('bird', ['bird', '-f', '-c', config, '-s', socket, '-P', pid]);
  const state = async (protocol: string) => {
    const { stdout } = await host.$({ nothrow: true })`birdc -s ${socket} show ospf neighbors ${protocol}`;
    return /^192\.0\.2\.\d+\s+\d+\s+(\w+)/m.exec(stdout)?.[1] ?? 'none';
  };
  return { states: async () => [await state('second'), await state('third')] };
};

/** Where Debian puts the daemons of FRR. */
const frrPrograms = '/usr/lib/frr';

export const frr: OspfDaemon = async (host, device, index) => {
  // They run as a user of their own, which cannot enter the laboratory's directory.
  const home = join(tmpdir(), `${host.name}-frr`);
  host.lab.defer(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(home);
  chmodSync(home, 0o777);
  const config = (name: string, lines: readonly string[]) => {
    const file = join(home, `${name}.conf`);
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  };
  const timers = (ip: string, ospf: string) => [
    `${ip} ${ospf} network point-to-point`,
    `${ip} ${ospf} hello-interval 1`,
    `${ip} ${ospf} dead-interval 4`,
    `${ip} ${ospf} retransmit-interval 2`,
  ];
  const router = `192.0.2.${index + 1}`;
  const files = {
    zebra: config('zebra', ['log stdout']),
    ospfd: config('ospfd', [
      ...['log stdout', `interface ${device}`, ' ip ospf area 0', ...timers(' ip', 'ospf'), '!'],
      // Addresses of the host, which a link may share: a link that does is announced without one.
      ...['interface lo', ' ip ospf area 0', '!'],
      ...['router ospf', ` ospf router-id ${router}`],
    ]),
    ospf6d: config('ospf6d', [
      ...['log stdout', `interface ${device}`, ' ipv6 ospf6 area 0', ...timers(' ipv6', 'ospf6'), '!'],
      ...['router ospf6', ` ospf6 router-id ${router}`],
    ]),
  };
  for (const [name, file] of Object.entries(files)) {
    host.start(name, [
      join(frrPrograms, name),
      ...['-f', file, '-i', join(home, `${name}.pid`), '-z', join(home, 'zserv.api')],
      ...['--vty_socket', home, '-u', 'frr', '-g', 'frr', '-P', '0'],
    ]);
  }
  const ask = async (query: string) => {
    const { stdout } = await host.$({ nothrow: true })`vtysh --vty_socket ${home} -c ${query}`;
    return stdout;
  };
  return {
    states: async () => [
      /^192\.0\.2\.\d+\s+\d+\s+(\w+)/m.exec(await ask('show ip ospf neighbor'))?.[1] ?? 'none',
      /^192\.0\.2\.\d+\s+\d+\s+\S+\s+(\w+)/m.exec(await ask('show ipv6 ospf6 neighbor'))?.[1] ?? 'none',
    ],
  };
};

/** Starts zebra and ospf6d, and has them read a configuration for all of FRR, as `vtysh -b` does at boot. */
export async function startFrr(host: Namespace, configuration: string): Promise<void> {
  const home = join(tmpdir(), `${host.name}-frr`);
  host.lab.defer(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(home);
  chmodSync(home, 0o777);
  for (const name of ['zebra', 'ospf6d']) {
    const file = join(home, `${name}.conf`);
    writeFileSync(file, 'log stdout\n');
    host.start(name, [
      join(frrPrograms, name),
      ...['-f', file, '-i', join(home, `${name}.pid`), '-z', join(home, 'zserv.api')],
      ...['--vty_socket', home, '-u', 'frr', '-g', 'frr', '-P', '0'],
    ]);
  }
  const all = join(home, 'frr.conf');
  writeFileSync(all, configuration);
  const vtysh = ['vtysh', '--vty_socket', home];
  await waitFor(
    `FRR of ${host.label} to be there`,
    20_000,
    async () => (await host.$({ nothrow: true })`${vtysh} -c ${'show daemons'}`).stdout,
    (daemons) => daemons.includes('zebra') && daemons.includes('ospf6d'),
  );
  await host.$`${vtysh} -f ${all}`;
}
