/** Finds the UDP port that a node's connections share, before an engine binds it. */

import dgram from 'node:dgram';
import { CryonetError } from '../../../protocol/errors.ts';

/** Resolves with `port`, or with a free one for 0, having bound and released it on every address of both families
 *  (IPv4 alone where the host has no IPv6). Rejects with `port_in_use`, or `bad_config` where this user may not
 *  bind it. Another program may still be quicker than the caller. */
export async function freeUdpPort(port: number): Promise<number> {
  try {
    return await tryBind('udp6', '::', port);
  } catch (error) {
    if (!noSuchFamily.has(codeOf(error))) throw refusal(port, error);
  }
  try {
    return await tryBind('udp4', '0.0.0.0', port);
  } catch (error) {
    throw refusal(port, error);
  }
}

const noSuchFamily: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

function tryBind(type: 'udp4' | 'udp6', address: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = dgram.createSocket({ type });
  socket.once('error', (error) => {
    socket.close();
    reject(error);
  });
  socket.bind({ address, port, exclusive: true }, () => {
    const bound = socket.address().port;
    socket.close(() => resolve(bound));
  });
  return promise;
}

function refusal(port: number, cause: unknown): CryonetError {
  if (codeOf(cause) === 'EADDRINUSE') {
    return new CryonetError('port_in_use', `another program has UDP port ${port}`, { cause });
  }
  return new CryonetError('bad_config', `UDP port ${port} cannot be bound: ${codeOf(cause)}`, { cause });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}
