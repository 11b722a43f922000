/** A plan as FRR reads it: `/etc/frr/frr.conf`, with `ospfd=yes` and `ospf6d=yes` in `/etc/frr/daemons`. */
import type { Plan } from './plan.ts';

/** What OSPF of either version is called in the configuration of an interface, of a router and of zebra. */
const versions = {
  ipv4: { ip: 'ip', ospf: 'ip ospf', router: 'ospf', id: 'ospf', protocol: 'ospf', bits: 32 },
  ipv6: { ip: 'ipv6', ospf: 'ipv6 ospf6', router: 'ospf6', id: 'ospf6', protocol: 'ospf6', bits: 128 },
} as const;

export function frrConfig({ links, prefixes, routerId }: Plan): string {
  const used = (['ipv4', 'ipv6'] as const).filter((family) => prefixes[family].length > 0);
  const inArea = used.map((family) => ` ${versions[family].ospf} area 0`);
  return [
    '# FRR has no patterns of interfaces: make this anew for new peers, or let a hook say it by vtysh.',
    ...(used.includes('ipv4')
      ? ['# OSPFv2 wants an IPv4 address on each interface: that of lo will do (ip unnumbered).']
      : []),
    ...links.flatMap((link) => [
      `interface ${link.interface}`,
      ...used.flatMap((family) => {
        const { ospf } = versions[family];
        const cost = link.cost === null ? [] : [` ${ospf} cost ${link.cost}`];
        return [` ${ospf} area 0`, ` ${ospf} network point-to-point`, ...cost];
      }),
      'exit',
    ]),
    ...['interface lo', ...inArea, 'exit'],
    ...used.flatMap((family) => {
      const { router, id } = versions[family];
      return [`router ${router}`, ` ${id} router-id ${routerId}`, 'exit'];
    }),
    '! No other route gets into the kernel, above all none to an address that the links run over.',
    ...used.flatMap((family) => {
      const { ip, protocol, bits } = versions[family];
      return [
        ...prefixes[family].map(
          (prefix) => `${ip} prefix-list mesh_${family} permit ${prefix}${longer(prefix, bits)}`,
        ),
        ...[`route-map mesh_${family} permit 10`, ` match ${ip} address prefix-list mesh_${family}`, 'exit'],
        `${ip} protocol ${protocol} route-map mesh_${family}`,
      ];
    }),
  ].join('\n');
}

function longer(prefix: string, bits: number): string {
  return Number(prefix.split('/')[1]) === bits ? '' : ` le ${bits}`;
}
