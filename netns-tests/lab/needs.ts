/** What a story needs of the machine, and how to get it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { canLimitMemory } from './memory-limit.ts';

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
  'tmux',
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

type Tool = (typeof tools)[number];

export type Need = Tool | 'memory limits';

export interface Lack {
  readonly what: string;
  readonly remedy: string;
}

/** What is missing here to run nodes in namespaces with these; empty where nothing is. */
export function lacks(needs: readonly Need[]): Lack[] {
  const found: Lack[] = [];
  if (process.getuid?.() !== 0) found.push({ what: 'root', remedy: 'run it with sudo' });
  if (!exists('/dev/net/tun')) found.push({ what: '/dev/net/tun', remedy: 'modprobe tun' });
  if (needs.includes('memory limits') && !canLimitMemory())
    found.push({ what: 'control groups that bound memory', remedy: 'mount cgroup version 2' });
  const wanted = needs.filter((need) => need !== 'memory limits');
  const missing = [...new Set<Tool>(['ip', ...wanted])].filter((tool) => !onPath(tool));
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
