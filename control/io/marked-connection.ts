/** Outgoing TCP connections with SO_MARK. */
import { Socket } from 'node:net';
import { reasonOf } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/log.ts';
import { loadServiceAddon } from '../../service/native.ts';
import { broker } from './broker.ts';
import type { Turns } from './names.ts';

/** Milliseconds for each address but the last, so that the next one gets its turn. */
const attemptTimeout = 2500;

/** Milliseconds for the last address. */
const lastTimeout = 8000;

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** A callback that logs once what to do if this process may not set SO_MARK. */
export function unmarkedWarning(log: Log): (cause: unknown) => void {
  let told = false;
  return (cause) => {
    if (told) return;
    told = true;
    log.warn(
      'bootstrap connections go without --fwmark, which needs CAP_NET_ADMIN: a rule on the control group marks the whole node (nft: socket cgroupv2 level 1 "cryonet.slice" meta mark set)',
      { reason: reasonOf(cause) },
    );
  };
}

/** Connects to the first of the host's addresses that answers, in the order of `turns`, until `signal` is aborted. If the
 *  kernel refuses the mark, calls `refused` with the cause and connects without it. */
export async function markedConnection(
  { host, port }: Target,
  mark: number,
  refused: (cause: unknown) => void,
  signal: AbortSignal,
  turns: Turns,
): Promise<Socket> {
  const addresses = await turns.of(host);
  let failure: unknown = new Error(`${host} has no address`);
  for (const [i, { address, family }] of addresses.entries()) {
    if (signal.aborted) break;
    const limit = i + 1 < addresses.length ? attemptTimeout : lastTimeout;
    turns.use(address);
    try {
      return await connected(newSocket(family, mark, refused), address, port, limit, signal);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function newSocket(family: number, mark: number, refused: (cause: unknown) => void): Socket {
  try {
    return new Socket({ fd: broker?.markedSocket(family) ?? loadServiceAddon().markedSocket(family, mark) });
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== 'EPERM' && code !== 'addon_missing') throw cause;
    refused(cause);
    return new Socket();
  }
}

function connected(
  socket: Socket,
  host: string,
  port: number,
  limit: number,
  signal: AbortSignal,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const late = () => socket.destroy(new Error(`connect ETIMEDOUT ${host}:${port}`));
  const timer = setTimeout(late, limit);
  signal.addEventListener('abort', late);
  socket.once('error', reject);
  socket.connect({ host, port, autoSelectFamily: false }, () => {
    socket.removeAllListeners('error');
    resolve(socket);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', late);
  });
}
