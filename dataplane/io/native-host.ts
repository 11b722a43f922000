/** The machine's network as the kernel tells it, by the native addon. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Forbidden, Host } from './host.ts';
import { loadAddon } from './native.ts';

export const nativeHost: Host = {
  links() {
    return unlessRefused(() =>
      loadAddon()
        .hostLinks()
        .map(([index, name, flags, kind, rpFilter]) => ({ index, name, flags, kind, rpFilter })),
    );
  },

  addresses() {
    return unlessRefused(() =>
      loadAddon()
        .hostAddresses()
        .map(([index, address, flags, prefixLength, scope]) => ({
          index,
          address,
          flags,
          prefixLength,
          scope,
        })),
    );
  },

  route(address, mark) {
    if (isIP(address) === 0 || address.includes('%')) return undefined;
    try {
      const found = loadAddon().route(address, mark);
      if (typeof found !== 'string') return { interface: found[0], source: found[1] };
      const forbids = forbidding[found];
      return forbids === undefined ? undefined : { forbids };
    } catch {
      return undefined;
    }
  },

  rpFilterOfAll() {
    try {
      return Number(readFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', 'utf8')) || 0;
    } catch {
      return 0;
    }
  },
};

/** What the kernel answers where a route is there to forbid it. */
const forbidding: Readonly<Record<string, Forbidden['forbids']>> = {
  EHOSTUNREACH: 'unreachable',
  EACCES: 'prohibit',
  EINVAL: 'blackhole',
};

function unlessRefused<T>(list: () => T[]): T[] {
  try {
    return list();
  } catch {
    return [];
  }
}
