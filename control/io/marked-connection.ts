/** Outgoing TCP connections whose packets carry a mark, for a WebSocket client. */
import { lookup } from 'node:dns/promises';
import { isIP, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CryonetError } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/log.ts';
import { loadServiceAddon } from '../../service/native.ts';

/** Milliseconds for an address, so that the next one gets its turn. */
const attemptTimeout = 2500;

/** Milliseconds for the last one. */
const lastTimeout = 8000;

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Opens a connection, as the `createConnection` of `http.request`, and gives it to `done`. */
export type Connect = (to: Target, done: (error: Error | null, socket?: Socket) => void) => undefined;

/** `refused` is told why the kernel marks no socket of ours; the connection is then made without. */
export function markedConnect(mark: number, tls: boolean, refused: (cause: unknown) => void): Connect {
  return (to, done) => {
    open(to, mark, refused).then(
      (socket) => done(null, tls ? secured(socket, to.host) : socket),
      (error: Error) => done(error),
    );
  };
}

/** Says once what to do where the kernel marks no socket of ours. */
export function unmarkedWarning(log: Log): (cause: CryonetError) => void {
  let told = false;
  return ({ message }) => {
    if (told) return;
    told = true;
    log.warn(
      'bootstrap connections go without --fwmark, which needs CAP_NET_ADMIN: a rule on the control group marks the whole node (nft: socket cgroupv2 level 1 "cryonet.slice" meta mark set)',
      { reason: message },
    );
  };
}

/** To the first of the host's addresses that answers, in the order of the resolver. */
async function open(
  { host, port }: Target,
  mark: number,
  refused: (cause: unknown) => void,
): Promise<Socket> {
  const addresses = await lookup(host, { all: true });
  let failure: unknown = new Error(`${host} has no address`);
  for (const [i, { address, family }] of addresses.entries()) {
    const limit = i + 1 < addresses.length ? attemptTimeout : lastTimeout;
    try {
      return await connected(newSocket(family, mark, refused), address, port, limit);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function newSocket(family: number, mark: number, refused: (cause: unknown) => void): Socket {
  try {
    return new Socket({ fd: loadServiceAddon().markedSocket(family, mark) });
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== 'EPERM' && code !== 'addon_missing') throw cause;
    refused(cause);
    return new Socket();
  }
}

function connected(socket: Socket, host: string, port: number, limit: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error(`connect ETIMEDOUT ${host}:${port}`)), limit);
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.connect({ host, port, autoSelectFamily: false }, () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** A host that is an address is nobody's server name (RFC 6066), and the certificate is compared with it all the same. */
function secured(socket: Socket, host: string): Socket {
  return connectTls({ socket, host, servername: isIP(host) ? '' : host });
}
