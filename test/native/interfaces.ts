/** Interfaces of this network namespace, as ip(8) sees and changes them. */
import { execFileSync } from 'node:child_process';
import type { Tun } from '../../dataplane/io/tun.ts';
import { waitFor } from './wait.ts';

/** The kernel sends out of a device once it has seen the carrier. The change that the second command makes waits for
 *  the lock under which the kernel then starts the queue. */
export async function ready(tun: Tun): Promise<void> {
  await waitFor('carrier', () => show(tun).operstate === 'UP');
  ip('link', 'set', tun.name, 'group', 'default');
}

export interface Link {
  readonly ifindex: number;
  readonly mtu: number;
  readonly txqlen: number;
  readonly operstate: string;
  readonly flags: string[];
  readonly addr_info: { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
}

export function show(tun: Tun): Link {
  return ipJson('address', 'show', 'dev', tun.name)[0];
}

export function addressesOf(link: Link): string[] {
  return link.addr_info.map(({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`);
}

export function devices(): string[] {
  return ipJson('link', 'show').flatMap(({ ifname }: { ifname: string }) => (ifname === 'lo' ? [] : ifname));
}

export function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', timeout: 30_000 });
}

export function ipJson(...words: string[]) {
  return JSON.parse(ip('-json', ...words));
}
