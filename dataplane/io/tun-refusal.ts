/** Why the kernel refused a TUN device, in words an operator can act on. */
import { statSync } from 'node:fs';
import { CryonetError, type ErrorCode, errorCodes } from '../../protocol/errors.ts';

/** Where the kernel's TUN devices are made, unless an option says otherwise. */
export const defaultTunDevice = '/dev/net/tun';

/** The addon's name for opening the node, before anything is asked of it. */
const opening = 'open';

/** Of the same code as others, but with a remedy of their own: by errno, in any step. */
const exhausted: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many files open: raise its limit (LimitNOFILE=, ulimit -n)',
  ENFILE: 'the machine has too many files open: raise fs.file-max',
  ENOMEM: 'the machine has no memory left for it',
  ENOBUFS: 'the machine has no memory left for it',
};

/** `path`: the node the device was to be made by; `device`: its name, '' where it has none yet. What is no refusal of
 *  the kernel comes back as it is. */
export function tunRefusal(path: string, device: string, thrown: unknown): unknown {
  const errno = (thrown as NodeJS.ErrnoException).code;
  if (!(thrown instanceof Error) || errno === undefined) return thrown;
  const step = thrown.message;
  const code = codeOf(errno, step);
  const what = step === opening ? `${step} ${path}` : step;
  const where = device === '' ? '' : `${device}: `;
  const words = exhausted[errno] ?? wordsOf(code, path);
  return new CryonetError(code, `${words} (${where}${what}: ${errno})`, { cause: thrown });
}

function codeOf(errno: string, step: string): ErrorCode {
  if (step === opening) return openingCode(errno);
  // Of these the kernel checks CAP_NET_ADMIN, in the user namespace that the network namespace belongs to.
  if (errno === 'EPERM' || errno === 'EACCES') return 'tun_denied';
  if (step === 'TUNSETIFF' && (errno === 'EBUSY' || errno === 'EEXIST')) return 'tun_exists';
  if (step === 'TUNSETIFF' && errno === 'ENOTTY') return 'tun_missing';
  return 'tun_failed';
}

function openingCode(errno: string): ErrorCode {
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'tun_missing';
    case 'ENODEV':
    case 'ENXIO':
      return 'tun_no_driver';
    case 'EACCES':
      return 'tun_file_denied';
    // Of a device's node that is what its control group answers, and no mode of the file.
    case 'EPERM':
      return 'tun_cgroup_denied';
    default:
      return 'tun_failed';
  }
}

function wordsOf(code: ErrorCode, path: string): string {
  if (code === 'tun_file_denied') return fileDenied(path);
  // A node of its own is made for a service before it starts, and where it runs no other one appears later.
  if (code === 'tun_missing' && path !== defaultTunDevice)
    return `${errorCodes.tun_missing}, and then restart the dataplane`;
  return errorCodes[code];
}

/** With the node's mode and owner, where they can be seen; a mode that permits it is not the reason. */
function fileDenied(path: string): string {
  const node = statSync(path, { throwIfNoEntry: false });
  if (node === undefined) return errorCodes.tun_file_denied;
  const groups = [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])];
  const permitted = node.uid === process.geteuid?.() ? 0o600 : groups.includes(node.gid) ? 0o060 : 0o006;
  if ((node.mode & permitted) === permitted)
    return 'a security module or a mount with nodev keeps the TUN device from being opened, not its mode';
  const mode = (node.mode & 0o777).toString(8).padStart(4, '0');
  return `${errorCodes.tun_file_denied} (mode ${mode}, uid ${node.uid}, gid ${node.gid})`;
}
