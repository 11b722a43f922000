/** Finds the token if it is not given by an option itself, and judges how easy it is to guess. */
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { denialOf } from '../../protocol/denial.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { Given } from './sources.ts';

/** The credential that the unit sets if there is no token file, because systemd would not start the service without one. */
const noToken = 'none';

/** The path of a token file, and where that is given. */
type TokenFile = Pick<Given, 'text' | 'source'>;

/** What a node may have instead of one token, while a mesh changes its token node by node: it joins by the first, and lets
 *  in who has any. */
export type Tokens = readonly [string, ...string[]];

/** Each costs a start as much of a processor as it costs somebody who guesses. */
export const mostTokens = 8;

export interface FoundTokens {
  readonly tokens: Tokens;
  /** The service's own file has changed since the service manager handed its content over, and may not be read here. */
  readonly stale?: boolean;
  /** The file where an operator changes them; null where there is none. */
  readonly file: string | null;
  /** Where the token is from, for the message that it is the wrong one. */
  readonly source: string;
}

/** The tokens in `file`, a line each, else in the systemd credential `token` of the folder `credentials`. `own` is the token
 *  file of a service. Mostly only root may read it, so the service manager hands its content over as that credential; the
 *  service tries to read the file itself where it is newer, or there are no credentials. Undefined if there is no token.
 *  Throws `bad_config`. */
export function readToken(
  file: TokenFile | undefined,
  credentials: string | undefined,
  own: string | undefined,
): FoundTokens | undefined {
  if (file !== undefined && file.text !== own) {
    const source = `${file.text}, named by ${file.source}`;
    return { tokens: tokensIn(contentOf(file), source), source, file: resolve(file.text) };
  }
  const credential = credentials ? join(credentials, 'token') : undefined;
  const source = credential === undefined ? own : 'the credential token';
  const changed = isNewer(own, credential);
  const now = changed ? contentOrNone(own!) : undefined;
  if (now !== undefined) return { tokens: tokensIn(now, own!), source: own!, file: own! };
  let token: string | undefined;
  if (own !== undefined) token = contentOrNone(credential ?? own);
  else if (credential !== undefined) token = contentOf({ text: credential, source: 'credential token' });
  if (token === undefined || token === noToken) return undefined;
  return { tokens: tokensIn(token, source!), source: source!, stale: changed, file: own ?? null };
}

/** `content` has no white space at its ends. */
function tokensIn(content: string, source: string): Tokens {
  const lines = content.split(/\s*\n\s*/);
  if (lines.length > mostTokens)
    throw new CryonetError(
      'bad_config',
      `${source}: ${lines.length} lines, each a token, are more than ${mostTokens}`,
    );
  return lines as [string, ...string[]];
}

/** Whether a file was written after the copy of it, as far as it may be looked at. */
function isNewer(file: string | undefined, copy: string | undefined): boolean {
  if (file === undefined || copy === undefined) return false;
  try {
    return statSync(file).mtimeMs > statSync(copy).mtimeMs;
  } catch {
    return false;
  }
}

function contentOf({ text: path, source }: TokenFile): string {
  let content: string;
  try {
    content = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const reason = `${reasonOf(cause)}${denialOf(cause, 'read it')}`;
    throw new CryonetError('bad_config', `${source} cannot be read: ${reason}`, { cause });
  }
  if (content === '') throw new CryonetError('bad_config', `${source}: ${path} is empty`);
  return content;
}

/** The content of a file; undefined if it is missing, empty or unreadable, since a service then waits for it. */
function contentOrNone(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The fewest characters, and the fewest different ones, of a good token. 16 random characters of base64 are 96 bits, which
 *  nobody can try out. */
const leastLength = 16;
const leastKinds = 8;

/** Characters. Up to this length, letters followed by digits look like a word. */
const longestWord = 24;

/** Why somebody who recorded a handshake could guess the token, in words that do not reveal it; undefined if there is no
 *  sign of that. A token that only looks random is not recognized. */
export function weaknessOf(token: string): string | undefined {
  const characters = [...token];
  if (characters.length < leastLength) return `it has less than ${leastLength} characters`;
  if (new Set(characters).size < leastKinds) return `it has less than ${leastKinds} different characters`;
  if (/^\d+$/.test(token) && characters.length < longestWord) return 'it is a number';
  const word = /^(\p{Lu}?\p{Ll}+|\p{Lu}+)\d*$/u;
  if (word.test(token) && characters.length <= longestWord) return 'it looks like a word';
  return undefined;
}
