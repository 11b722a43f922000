/** A router to IPv4 for hosts that have IPv6 alone: a NAT64 (tayga), and the resolver that tells of it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

const prefix = '2001:db8:64::';
/** Of what the translator makes of inner hosts, before they share the router's address. */
const pool = '192.168.255.0/24';

/** `router` has the host as its neighbor on IPv6, at `inner`, and the IPv4 address `router.address` by the interface `wan`. */
export async function startNat64(router: Namespace, host: Namespace, inner: string): Promise<void> {
  const { lab } = router;
  const folder = join(lab.directory, `${router.label}-tayga`);
  mkdirSync(folder);
  const file = join(folder, 'tayga.conf');
  const lines = [`tun-device nat64`, 'ipv4-addr 192.168.255.1', `prefix ${prefix}/96`];
  writeFileSync(file, [...lines, `dynamic-pool ${pool}`, `data-dir ${folder}`, ''].join('\n'));
  await router.$`tayga --config ${file} --mktun`;
  await router.configure(
    'link set nat64 up',
    // Of its own for answers of ICMP, outside of the prefix.
    'addr add 2001:db8:65::1/128 dev nat64 nodad',
    `route add ${prefix}/96 dev nat64`,
    `route add ${pool} dev nat64`,
  );
  await router.$`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`;
  await router.rules(
    `table ip nat { chain postrouting { type nat hook postrouting priority srcnat; oifname wan masquerade; }; }`,
  );
  router.start('tayga', ['tayga', '--nodetach', '--config', file]);
  const resolver = join(import.meta.dirname, 'resolver.ts');
  await router.start('resolver', [process.execPath, resolver, inner, prefix]).says(/listening/, 30_000);
  await host.configure(`route add default via ${inner}`);
  useResolver(host, inner);
}

/** What runs in the namespace asks this name server: `ip netns exec` puts the file in the place of the machine's. */
export function useResolver(host: Namespace, address: string): void {
  const folder = join('/etc/netns', host.name);
  mkdirSync(folder, { recursive: true });
  host.lab.defer(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'resolv.conf'), `nameserver ${address}\n`);
}
