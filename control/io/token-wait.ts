/**
 * Waits for the token of a service. Only root may read the file; the service manager reads it at each start and hands it
 * over as a credential. Control sees that the file appears, and ends so that it is started again with the token.
 */
import { type Stats, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Milliseconds between two looks at the file, which find it where the folder cannot be watched or does not exist yet. */
const lookInterval = 2000;

/** Milliseconds for which the file must stay unchanged, because writing it may take several writes. */
const settleTime = 300;

export interface TokenWait {
  /** Resolves when there is a non-empty file that is not older than the credential this process was given. */
  readonly found: Promise<void>;
  /** Idempotent. */
  close(): void;
}

/** `credentials` is the folder of credentials that this process was given, if any. */
export function awaitToken(path: string, credentials: string | undefined): TokenWait {
  const { promise: found, resolve } = Promise.withResolvers<void>();
  const handedOver = credentials ? stateOf(join(credentials, 'token'))?.ctimeMs : undefined;
  let seen = stateOf(path);
  // The file may have been written after the manager read it. Equal times count as such: they are one kernel tick.
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

/** Undefined if the folder cannot be watched. */
function watchFolder(folder: string, changed: (name: string | null) => void): { close(): void } | undefined {
  try {
    return watch(folder, (_event, name) => changed(name)).on('error', () => {});
  } catch {
    return undefined;
  }
}
