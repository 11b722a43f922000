/** The addresses of this host that may be host candidates. */

import { networkInterfaces } from 'node:os';

/** More would only slow the checks down: a peer tries one every 50 ms (RFC 8445 14.2). */
const MAX_ADDRESSES = 24;

/** Every unicast address but link-local ones, in the order of the interfaces; loopback ones only on a host that has
 *  nothing else, so that nodes in a bare namespace can still reach each other. */
export function hostAddresses(interfaces = networkInterfaces()): string[] {
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  const usable = all.filter(({ address }) => !/^(fe[89ab]|169\.254\.)/i.test(address));
  const external = usable.filter(({ internal }) => !internal);
  const chosen = external.length > 0 ? external : usable;
  return [...new Set(chosen.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
}
