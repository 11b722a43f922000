/** The token file as an operator changes it: a token a line, of which the first is the one to join by. */
import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { mostTokens } from '../../control/config/token.ts';
import { type Rights, writeWhole } from '../../control/io/kept-files.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { longestToken } from '../../protocol/invitation.ts';

export interface TokenFile {
  /** Where it is, past links. */
  readonly path: string;
  readonly tokens: readonly string[];
  /** Undefined where there is no file yet. */
  readonly rights: Rights | undefined;
}

/** The file, which may not exist yet. Throws `bad_config` where it cannot be read, or may be read by everyone. */
export function readTokenFile(named: string): TokenFile {
  const stats = statusOf(named);
  if (stats === undefined) return { path: named, tokens: [], rights: undefined };
  const path = realpathSync(named);
  const mode = stats.mode & 0o7777;
  if ((mode & 0o007) !== 0) {
    const shown = mode.toString(8).padStart(4, '0');
    throw new CryonetError('bad_config', `${path} has mode ${shown}, so everyone may read it: chmod 0600 it`);
  }
  return { path, tokens: linesOf(read(path)), rights: { uid: stats.uid, gid: stats.gid, mode } };
}

/** Puts other tokens into the file, with the owner and mode that it had; a new one is for its user alone. Throws
 *  `bad_config`; then the file is as it was. */
export function writeTokenFile({ path, tokens, rights }: TokenFile, next: readonly string[]): void {
  const now = statusOf(path) === undefined ? [] : linesOf(read(path));
  if (now.join('\n') !== tokens.join('\n'))
    throw new CryonetError('bad_config', `${path} has changed meanwhile: try again`);
  try {
    writeWhole(path, `${next.join('\n')}\n`, rights);
  } catch (cause) {
    throw new CryonetError('bad_config', `${path} cannot be written: ${reasonOf(cause)}`, { cause });
  }
}

/** Throws `bad_config` for what no line of the file can be, or what it has no room for. None of the words has the token. */
export function added({ path, tokens }: TokenFile, token: string): string[] {
  const fault = faultOf(token);
  if (fault !== undefined) throw new CryonetError('bad_config', `that is no token: ${fault}`);
  if (tokens.includes(token)) throw new CryonetError('bad_config', `${path} has that token already`);
  if (tokens.length >= mostTokens)
    throw new CryonetError('bad_config', `${path} has ${mostTokens} tokens, the most: drop one first`);
  return [...tokens, token];
}

/** Why a text can be no token; undefined if it can. */
function faultOf(token: string): string | undefined {
  if (token === '') return 'it is empty';
  if (token === 'none') return 'none stands for no token';
  if (token !== token.trim()) return 'it has white space around it';
  if (/\p{Cc}/u.test(token)) return 'it has more than one line, or control characters';
  return token.length > longestToken ? `it has more than ${longestToken} characters` : undefined;
}

function linesOf(content: string): string[] {
  return content.split(/\s*\n\s*/).flatMap((line) => line.trim() || []);
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, cause);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): CryonetError {
  const remedy = (cause as NodeJS.ErrnoException).code === 'EACCES' ? ': run this as root' : '';
  return new CryonetError('bad_config', `${path} cannot be read: ${reasonOf(cause)}${remedy}`, { cause });
}
