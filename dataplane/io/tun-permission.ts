/** Whether this process may make TUN devices at all, asked before the first one is needed. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';

/** linux/capability.h. */
const capNetAdmin = 12n;

/** Throws `tun_missing`, `tun_denied` or `tun_failed`. */
export function checkTunPermission(): void {
  try {
    closeSync(openSync('/dev/net/tun', 'r+'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO')
      throw new CryonetError('tun_missing', undefined, { cause });
    if (code === 'EACCES' || code === 'EPERM') throw new CryonetError('tun_denied', undefined, { cause });
    throw new CryonetError('tun_failed', `/dev/net/tun cannot be opened: ${reasonOf(cause)}`, { cause });
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (effective !== undefined && ((BigInt(`0x${effective}`) >> capNetAdmin) & 1n) === 0n)
    throw new CryonetError('tun_denied');
}
