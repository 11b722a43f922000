/** What a story needs of the machine, and how to get it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs that a story may name. Which Debian package each comes in is in the list of `dev`, which installs them. */
export const tools = [
  'ip',
  'nft',
  'tc',
  'ethtool',
  'ping',
  'tcpdump',
  'turnserver',
  'tinyproxy',
  'tayga',
  'openssl',
  'iperf3',
  'babeld',
  'bird',
  'vtysh',
  'curl',
  'cc',
  'git',
  'setpriv',
  'unshare',
  'nsenter',
  'mmdebstrap',
  'systemd-nspawn',
  'dpkg-deb',
  'rpm',
  'rpmbuild',
  'lintian',
  'rpmlint',
  'strip',
  'readelf',
  'aarch64-linux-gnu-gcc',
  'qemu-aarch64-static',
] as const;

export type Tool = (typeof tools)[number];

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
  if (missing.length > 0)
    found.push({ what: missing.join(', '), remedy: './dev test installs what is missing' });
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
