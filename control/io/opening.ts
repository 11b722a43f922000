/** Opens a WebSocket to a bootstrap server, within a time, and says in words why that fails. */
import { type ClientOptions, WebSocket } from 'ws';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { subprotocol } from '../../protocol/handshake.ts';
import { Deadline } from './deadline.ts';
import type { Turns } from './names.ts';
import { messageLimits } from './neighbor-socket.ts';
import type { Connect, Outgoing } from './outgoing.ts';
import { tlsTrouble } from './trust.ts';

/** Milliseconds to be connected, names and proxies included; and then to open the WebSocket, TLS included. A machine that is
 *  overloaded accepts connections at once, since its kernel does, and its node says something much later. */
const connectTimeout = 8000;
const openTimeout = 20_000;

export interface Opening {
  /** May be terminated at any time. */
  readonly socket: WebSocket;
  /** Rejects with a `CryonetError` if the socket closes before it is open. */
  readonly opened: Promise<void>;
}

/** `maxPayload`: bytes of the largest message that is taken. */
export function openWebSocket(
  url: string,
  outgoing: Outgoing,
  turns: Turns,
  maxPayload: number = messageLimits.maxPayload,
): Opening {
  const end = new AbortController();
  let reason: unknown;
  // A timeout of inactivity would not end a server that sends a byte now and then.
  const within = (milliseconds: number) =>
    new Deadline(milliseconds, () => {
      reason ??= new CryonetError('connection_closed', `no WebSocket within ${milliseconds / 1000} s`);
      socket.terminate();
    });
  let deadline = within(connectTimeout);
  const connect = outgoing.connect(new URL(url), end.signal, turns);
  const createConnection: Connect = (to, done) =>
    connect(to, (error, connection) => {
      deadline.clear();
      if (error === null) deadline = within(openTimeout);
      done(error, connection);
    });
  const socket = new WebSocket(url, subprotocol, {
    ...messageLimits,
    maxPayload,
    // The frame after the server's proof may come in the same chunk, but its listener is set a microtask later.
    allowSynchronousEvents: false,
    // ws passes this on to node:http, but declares another type for it.
    createConnection: createConnection as unknown as NonNullable<ClientOptions['createConnection']>,
  });
  socket.on('error', (error) => {
    reason ??= error;
  });
  const opened = new Promise<void>((resolve, reject) => {
    const onClose = () => {
      deadline.clear();
      end.abort();
      reject(reason === undefined ? new CryonetError('connection_closed') : explained(reason, url));
    };
    socket.once('close', onClose);
    socket.once('open', () => {
      deadline.clear();
      socket.removeListener('close', onClose);
      resolve();
    });
  });
  return { socket, opened };
}

function explained(thrown: unknown, url: string): CryonetError {
  const words = tlsTrouble(thrown, new URL(url).hostname, Date.now());
  if (words === undefined && thrown instanceof CryonetError) return thrown;
  const reason = words ?? refusedReason(thrown) ?? reasonOf(thrown);
  return new CryonetError('connection_closed', reason, { cause: thrown });
}

/** Words for ECONNREFUSED, which mostly means that the other node listens on loopback only, its default. The error of a
 *  name with several addresses has no text of its own. */
function refusedReason(thrown: unknown): string | undefined {
  if ((thrown as NodeJS.ErrnoException).code !== 'ECONNREFUSED') return undefined;
  return 'connection refused (ECONNREFUSED): nothing listens there; has that node a --listen that others reach?';
}
