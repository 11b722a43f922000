/**
 * A service that waits for its token. The file is for root alone: the service manager reads it at each start and hands
 * it over as a credential. Control sees that the file is there, and ends to be started again with it.
 */
import { type Stats, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Milliseconds between two looks, where the folder cannot be watched or is not there yet. */
const lookInterval = 2000;

/** Milliseconds that the file has to stay as it is: whoever writes it may need more than one write. */
const settleTime = 300;

export interface TokenWait {
  /** Settles when a file with something in it is there that is no older than what this start was handed. */
  readonly found: Promise<void>;
  /** Idempotent. */
  close(): void;
}

/** `credentials`: the folder of what was handed over, if anything was. */
export function awaitToken(path: string, credentials: string | undefined): TokenWait {
  const { promise: found, resolve } = Promise.withResolvers<void>();
  const handedOver = credentials ? stateOf(join(credentials, 'token'))?.ctimeMs : undefined;
  let seen = stateOf(path);
  // Written between the manager's look at it and ours. Equal times are one tick of the kernel.
  let fresh = seen !== undefined && handedOver !== undefined && seen.ctimeMs >= handedOver;
  let settling: NodeJS.Timeout | undefined;
  const look = () => {
    const now = stateOf(path);
    const changed = now?.ctimeMs !== seen?.ctimeMs || now?.size !== seen?.size || now?.ino !== seen?.ino;
    seen = now;
    fresh ||= changed;
    if (!changed && settling !== undefined) return;
    clearTimeout(settling);
    settling = fresh && now !== undefined && now.size > 0 ? setTimeout(finish, settleTime) : undefined;
  };
  const close = () => {
    clearInterval(poll);
    clearTimeout(settling);
    watcher?.close();
  };
  const finish = () => {
    close();
    resolve();
  };
  const poll = setInterval(look, lookInterval);
  const watcher = watchFolder(dirname(path), (name) => {
    if (name === null || name === basename(path)) look();
  });
  look();
  return { found, close };
}

function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Undefined where it cannot be watched. */
function watchFolder(folder: string, changed: (name: string | null) => void): { close(): void } | undefined {
  try {
    return watch(folder, (_event, name) => changed(name)).on('error', () => {});
  } catch {
    return undefined;
  }
}
