/** The addresses of this host that may be host candidates. */

import dgram from 'node:dgram';
import { isIP } from 'node:net';
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

/** The address the kernel sends from towards `remote`, or undefined where there is no route. Sends nothing. */
export async function sourceAddress(remote: string): Promise<string | undefined> {
  const socket = dgram.createSocket(isIP(remote) === 6 ? 'udp6' : 'udp4');
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  socket.once('error', () => resolve(undefined));
  // Port 9 is `discard`; connecting a UDP socket is only a look-up in the routing table. Where that finds nothing
  // Node calls back all the same, with an error that its types leave out.
  socket.connect(9, remote, (...failure: unknown[]) => {
    resolve(failure.length === 0 || failure[0] == null ? socket.address().address : undefined);
  });
  try {
    return await promise;
  } finally {
    socket.close();
  }
}
