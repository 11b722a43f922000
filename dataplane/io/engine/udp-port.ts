/** Finds the UDP port that a node's connections share, before an engine binds it. */

import dgram from 'node:dgram';
import { CryonetError, systemError } from '../../../protocol/errors.ts';

/** Resolves with `port`, or with a free one for 0, having bound and released it on every address of both families
 *  (IPv4 alone where the host has no IPv6). Rejects with `port_in_use`, with `bad_config` where this user may not bind it, else
 *  with `unavailable`. Another program may still be quicker than the caller. */
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

/** TURN's default lifetime of an allocation (RFC 8656 3.2), and a minute for clocks and packets under way. */
const ALLOCATION_MS = 11 * 60_000;

/**
 * Free ports, none twice within the time that a TURN server may remember it. libjuice does not give its allocations
 * back, and a server refuses another one from the same address and port (437, RFC 8656 7.2).
 */
export class FreshPorts {
  readonly #taken = new Map<number, number>();
  readonly #now: () => number;
  readonly #free: () => Promise<number>;

  constructor(
    free: () => Promise<number> = () => freeUdpPort(0),
    now: () => number = () => performance.now(),
  ) {
    this.#free = free;
    this.#now = now;
  }

  /** Resolves with a free port. After a hundred that were all used lately it takes one of those. */
  async take(): Promise<number> {
    for (const [port, at] of this.#taken) {
      if (at + ALLOCATION_MS < this.#now()) this.#taken.delete(port);
    }
    let port = await this.#free();
    for (let tries = 100; this.#taken.has(port) && tries > 0; tries -= 1) port = await this.#free();
    this.#taken.set(port, this.#now());
    return port;
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
  return systemError(`UDP port ${port} cannot be bound: ${codeOf(cause)}`, cause);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}
