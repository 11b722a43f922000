/** Settings of the network under /proc/sys that keep packets of links away. */
import type { Machine } from '../machine.ts';
import { type Check, ok, wrong } from './finding.ts';

const folder = '/proc/sys/net';

const rpFilter: Check = ({ machine, report }) => {
  const all = setting(machine, 'ipv4/conf/all/rp_filter');
  // The higher of the two counts (Documentation/networking/ip-sysctl.rst), and 1 is strict.
  const strict = interfacesOf(report).filter((name) => {
    const own = setting(machine, `ipv4/conf/${name}/rp_filter`);
    return own !== undefined && Math.max(all ?? 0, own) === 1;
  });
  if (strict.length > 0 || (all === 1 && report === undefined)) {
    const where = strict.length === 0 ? 'every interface' : strict.join(', ');
    return [
      wrong(
        'rp_filter',
        `the strict reverse path filter of ${where} drops what comes by another way than it goes: sysctl -w net.ipv4.conf.all.rp_filter=0, and in /etc/sysctl.d`,
      ),
    ];
  }
  return [ok('rp_filter', 'drops nothing of a link')];
};

const ipv6: Check = ({ machine, report }) => {
  const off = ['all', 'default', ...interfacesOf(report)].filter(
    (name) => setting(machine, `ipv6/conf/${name}/disable_ipv6`) === 1,
  );
  if (setting(machine, 'ipv6/conf/all/disable_ipv6') === undefined)
    return [wrong('ipv6', 'this kernel has none (ipv6.disable=1?): interfaces have no link-local address')];
  return off.length === 0
    ? [ok('ipv6', 'interfaces have their link-local addresses')]
    : [
        wrong(
          'ipv6',
          `switched off (${off.join(', ')}), so that interfaces have no link-local address: sysctl -w net.ipv6.conf.${off[0]}.disable_ipv6=0`,
        ),
      ];
};

/** Needed by those nodes alone that others are reached through. */
const forwarding: Check = ({ machine }) => {
  const off = [
    ['net.ipv4.ip_forward', setting(machine, 'ipv4/ip_forward')],
    ['net.ipv6.conf.all.forwarding', setting(machine, 'ipv6/conf/all/forwarding')],
  ].flatMap(([name, value]) => (value === 0 ? [`${name}`] : []));
  if (off.length === 0) return [ok('forwarding', 'on')];
  const daemon = routingDaemon(machine);
  const command = `sysctl -w ${off.map((name) => `${name}=1`).join(' ')}`;
  return daemon === undefined
    ? [ok('forwarding', `off, as on a node that no others are reached through; to be one: ${command}`)]
    : [wrong('forwarding', `${daemon} runs, and nothing is forwarded by ${off.join(', ')}: ${command}`)];
};

const daemons: ReadonlySet<string> = new Set(['bird', 'bird6', 'babeld', 'zebra']);

function routingDaemon(machine: Machine): string | undefined {
  for (const pid of machine.list('/proc') ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    const name = machine.read(`/proc/${pid}/comm`);
    if ('text' in name && daemons.has(name.text.trim())) return name.text.trim();
  }
  return undefined;
}

function setting(machine: Machine, path: string): number | undefined {
  const value = machine.read(`${folder}/${path}`);
  return 'text' in value ? Number(value.text) : undefined;
}

function interfacesOf(report: Parameters<Check>[0]['report']): string[] {
  return (report?.peers ?? []).flatMap(({ interface: device }) => (device === null ? [] : [device.name]));
}

export const sysctlChecks: readonly Check[] = [rpFilter, ipv6, forwarding] satisfies readonly Check[];
