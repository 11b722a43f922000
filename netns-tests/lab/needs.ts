/** What a story needs of the machine, and how to get it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Tool: the Debian package it comes in. */
const packages = {
  ip: 'iproute2',
  nft: 'nftables',
  tc: 'iproute2',
  ping: 'iputils-ping',
  tcpdump: 'tcpdump',
  turnserver: 'coturn',
  iperf3: 'iperf3',
  babeld: 'babeld',
  bird: 'bird2',
  curl: 'curl',
  cc: 'gcc',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  'dpkg-deb': 'dpkg',
  rpm: 'rpm',
  rpmbuild: 'rpm',
  lintian: 'lintian',
  rpmlint: 'rpmlint',
  strip: 'binutils',
  readelf: 'binutils',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
  'qemu-aarch64-static': 'qemu-user-static',
} as const;

export type Tool = keyof typeof packages;

export interface Lack {
  readonly what: string;
  readonly remedy: string;
}

/** What is missing here to run nodes in namespaces with these tools; empty where nothing is. */
export function lacks(tools: readonly Tool[]): Lack[] {
  const found: Lack[] = [];
  if (process.getuid?.() !== 0) found.push({ what: 'root', remedy: 'run it with sudo' });
  if (!exists('/dev/net/tun')) found.push({ what: '/dev/net/tun', remedy: 'modprobe tun' });
  const missing = [...new Set<Tool>(['ip', ...tools])].filter((tool) => !onPath(tool));
  const wanted = [...new Set(missing.map((tool) => packages[tool]))].join(' ');
  if (missing.length > 0) found.push({ what: missing.join(', '), remedy: `apt-get install ${wanted}` });
  return found;
}

function onPath(tool: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => exists(join(folder, tool), constants.X_OK));
}

function exists(path: string, mode: number = constants.F_OK): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
