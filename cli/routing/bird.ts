/** A plan as BIRD 2 reads it: `/etc/bird/bird.conf`. */
import type { Plan } from './plan.ts';

const families = ['ipv4', 'ipv6'] as const;

export function birdConfig(plan: Plan, protocol: 'babel' | 'ospf'): string {
  const used = families.filter((family) => plan.prefixes[family].length > 0);
  return [
    '# Of the key of this node; any other that no other router has will do.',
    `router id ${plan.routerId};`,
    'protocol device { }',
    `protocol direct { ${used.map((family) => `${family}; `).join('')}interface "lo"; }`,
    '# Nothing else is announced or taken, above all no address that the links themselves run over.',
    ...used.map((family) => filter(family, plan.prefixes[family])),
    ...used.map((family) => `protocol kernel { ${family} { export where source != RTS_DEVICE; }; }`),
    ...(protocol === 'babel' ? babel(plan, used) : used.flatMap((family) => ospf(plan, family))),
  ].join('\n');
}

type Family = (typeof families)[number];

function filter(family: Family, prefixes: readonly string[]): string {
  const set = prefixes.map((prefix) => `${prefix}+`).join(', ');
  return `filter mesh_${family} { if net ~ [ ${set} ] then accept; reject; }`;
}

function channel(family: Family): string {
  return `  ${family} { import filter mesh_${family}; export filter mesh_${family}; };`;
}

function babel(plan: Plan, used: readonly Family[]): string[] {
  return [
    '# IPv4 goes over the link-local IPv6 addresses too (RFC 9229): the interfaces need no other.',
    'protocol babel mesh {',
    ...used.map(channel),
    ...interfaces(plan, 'type wired', 'rxcost').map((line) => `  ${line}`),
    '}',
  ];
}

function ospf(plan: Plan, family: Family): string[] {
  return [
    ...(family === 'ipv6'
      ? []
      : ['# OSPFv2 wants an IPv4 address on each interface: that of lo will do, the peer being its peer.']),
    `protocol ospf ${family === 'ipv6' ? 'v3 mesh_ospf_v3' : 'v2 mesh_ospf_v2'} {`,
    channel(family),
    '  area 0 {',
    ...interfaces(plan, 'type ptp', 'cost').map((line) => `    ${line}`),
    '  };',
    '}',
  ];
}

/** The first that matches counts. */
function interfaces({ links, pattern }: Plan, type: string, cost: string): string[] {
  const known = links.map((link) => {
    const own = link.cost === null ? '' : ` ${cost} ${link.cost};`;
    return `interface "${link.interface}" { ${type};${own} };`;
  });
  return pattern === undefined ? known : [...known, `interface "${pattern}" { ${type}; };`];
}
