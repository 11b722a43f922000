/** Where the token comes from when it is not given itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CryonetError, reasonOf } from '../protocol/errors.ts';

/** What a unit hands over where there is no file: without it the service would not start. */
const noToken = 'none';

export interface TokenFile {
  readonly path: string;
  /** Who named it, for the error message. */
  readonly source: string;
}

/** The token of its file, else of the systemd credential `token` in `credentials`. `own`: a service's own file, which
 *  is for root: the manager reads it and hands it over as that credential, and a service without one reads it where it
 *  may. Undefined: there is none. Throws `bad_config`. */
export function readToken(
  file: TokenFile | undefined,
  credentials: string | undefined,
  own: string | undefined,
): string | undefined {
  if (file !== undefined && file.path !== own) return contentOf(file);
  const credential = credentials ? join(credentials, 'token') : undefined;
  let token: string | undefined;
  if (own !== undefined) token = contentOrNone(credential ?? own);
  else if (credential !== undefined) token = contentOf({ path: credential, source: 'credential token' });
  return token === noToken ? undefined : token;
}

function contentOf({ path, source }: TokenFile): string {
  let content: string;
  try {
    content = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new CryonetError('bad_config', `${source} cannot be read: ${reasonOf(cause)}`, { cause });
  }
  if (content === '') throw new CryonetError('bad_config', `${source}: ${path} is empty`);
  return content;
}

/** A service waits for a file that is not there, is empty, or is not for it to read. */
function contentOrNone(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
