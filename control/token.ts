/** Where the token comes from when it is not given itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CryonetError, reasonOf } from '../protocol/errors.ts';

/** What a unit hands over where there is no file: without it the service would not start. */
const noToken = 'none';

export interface TokenFile {
  /** Its path. */
  readonly text: string;
  /** Who named it, for the error message. */
  readonly source: string;
}

export interface FoundToken {
  readonly token: string;
  /** Where it is from, for whoever is told that it is the wrong one. */
  readonly source: string;
}

/** The token of its file, else of the systemd credential `token` in `credentials`. `own`: a service's own file, which
 *  is for root: the manager reads it and hands it over as that credential, and a service without one reads it where it
 *  may. Undefined: there is none. Throws `bad_config`. */
export function readToken(
  file: TokenFile | undefined,
  credentials: string | undefined,
  own: string | undefined,
): FoundToken | undefined {
  if (file !== undefined && file.text !== own) {
    return { token: contentOf(file), source: `${file.text}, named by ${file.source}` };
  }
  const credential = credentials ? join(credentials, 'token') : undefined;
  const source = credential === undefined ? own : 'the credential token';
  let token: string | undefined;
  if (own !== undefined) token = contentOrNone(credential ?? own);
  else if (credential !== undefined) token = contentOf({ text: credential, source: 'credential token' });
  return token === undefined || token === noToken ? undefined : { token, source: source! };
}

function contentOf({ text: path, source }: TokenFile): string {
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

/** Characters, and different ones, that a token has at least: 16 of 64 kinds are 96 bits, which nobody tries out. */
const leastLength = 16;
const leastKinds = 8;

/** Up to this long, letters with digits behind them are a word rather than chance. */
const longestWord = 24;

/** Why somebody who recorded a handshake could find the token by trying, in a few words that tell nothing of it; undefined
 *  where nothing speaks for that. What only looks like chance is not found out. */
export function weaknessOf(token: string): string | undefined {
  const characters = [...token];
  if (characters.length < leastLength) return `it has less than ${leastLength} characters`;
  if (new Set(characters).size < leastKinds) return `it has less than ${leastKinds} different characters`;
  if (/^\d+$/.test(token) && characters.length < longestWord) return 'it is a number';
  const word = /^(\p{Lu}?\p{Ll}+|\p{Lu}+)\d*$/u;
  if (word.test(token) && characters.length <= longestWord) return 'it looks like a word';
  return undefined;
}
