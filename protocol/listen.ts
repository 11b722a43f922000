/** Listening on a Unix socket that only its owner may use, and its group if the mode says so. */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { denialOf } from './denial.ts';
import { CryonetError, reasonOf, systemError } from './errors.ts';
import { refuseForeign } from './own-folder.ts';

/** Makes the folder (0700) and the socket, and replaces a socket that nobody serves any more. Throws `socket_in_use`,
 *  `unavailable`, or `bad_config`, also where another user may have made the folder. */
export async function listenUnix(server: Server, path: string, mode = 0o600): Promise<void> {
  // sun_path, unix(7).
  if (Buffer.byteLength(path) > 107)
    throw new CryonetError('bad_config', `socket path too long (107 bytes at most): ${path}`);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    const reason = `${reasonOf(cause)}${denialOf(cause, 'make it')}`;
    throw systemError(`cannot make ${dirname(path)}: ${reason}`, cause);
  }
  refuseForeign(path, 'set XDG_RUNTIME_DIR, or give it a --runtime-dir of its own');
  const failure = await tryListen(server, path);
  if (failure?.code === 'EADDRINUSE') {
    if (await isServed(path)) {
      throw new CryonetError(
        'socket_in_use',
        `another cryonet serves ${path}: stop it, or give this one its own --runtime-dir`,
      );
    }
    if (!lstatSync(path).isSocket())
      throw new CryonetError('bad_config', `${path} is there and is no socket`);
    unlinkSync(path);
    const again = await tryListen(server, path);
    if (again !== undefined) throw refused(path, again);
  } else if (failure !== undefined) {
    throw refused(path, failure);
  }
  chmodSync(path, mode);
}

/** Has a server keep `limit` connections at most: one more closes the oldest that is not in use, since that had the most
 *  time to say what it wants. */
export function keepRoom(
  server: Server,
  limit: number,
  isInUse: (socket: Socket) => boolean = () => false,
): void {
  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    if (connections.size <= limit) return;
    for (const oldest of connections) {
      if (isInUse(oldest)) continue;
      oldest.destroy();
      return;
    }
  });
}

function refused(path: string, cause: Error): CryonetError {
  return systemError(`cannot listen on ${path}: ${cause.message}${denialOf(cause, 'write there')}`, cause);
}

function tryListen(server: Server, path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException) => resolve(error);
    server.once('error', onError);
    server.listen(path, () => {
      server.removeListener('error', onError);
      resolve(undefined);
    });
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
