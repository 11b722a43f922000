/** What `cryoc token` does: it changes the token file, has the node read it, and says what comes next where a mesh takes
 *  another token. A token is never shown but by `generate`, which is asked for one; its tag stands for it. */
import { randomBytes } from 'node:crypto';
import { weaknessOf } from '../../control/config/token.ts';
import { tokenTag } from '../../control/io/crypto.ts';
import type { Reply } from '../../protocol/api.ts';
import { CryonetError } from '../../protocol/errors.ts';
import type { Ask, Given, Shown } from '../command.ts';
import { readSecret } from './secret.ts';
import { added, readTokenFile, type TokenFile, writeTokenFile } from './token-file.ts';
import { isAbsent, tokenPathOf } from './token-path.ts';

interface Done {
  readonly file: string;
  /** Tags, in the order of the file. */
  readonly tags: readonly string[];
  /** What a reload of the node changed; null where none was asked for, or no node runs. */
  readonly reloaded?: Reply<'POST /v1/reload'> | null;
  /** The tag of the token that this was about. */
  readonly token?: string;
  /** Sentences for people: what was done, then what to do. */
  readonly said: readonly string[];
}

/** Throws `bad_config` where the file, the token or the tag is not good, and what a reload throws. */
export async function tokenCommand(given: Given, ask: Ask): Promise<Shown> {
  const [action, what] = given.args as [string, string | undefined];
  if (action === 'generate' && !given.options.add) return printed(newToken());
  const { file: named } = given.options;
  const file = readTokenFile(typeof named === 'string' ? named : await tokenPathOf(ask));
  switch (action) {
    case 'generate':
      return shown(await add(file, newToken(), given, ask));
    case 'add':
      return shown(await add(file, await readSecret(what ?? '-', 'token'), given, ask));
    case 'use':
      return shown(await use(file, what, given, ask));
    case 'drop':
      return shown(await drop(file, what, given, ask));
    default:
      return shown({ file: file.path, tags: await tagsOf(file.tokens), said: [] });
  }
}

/** 256 bits, which nobody can try out. */
function newToken(): string {
  return randomBytes(32).toString('base64url');
}

async function add(file: TokenFile, token: string, given: Given, ask: Ask): Promise<Done> {
  const next = added(file, token);
  const [done, tag] = [await put(file, next, given, ask), await tokenTag(token)];
  const weakness = weaknessOf(token);
  const said = [
    `added ${tag}`,
    ...(weakness === undefined ? [] : [`${tag} is weak: ${weakness}; make one by: cryoc token generate`]),
    ...done.said,
    next.length === 1
      ? 'next: the same token on every node of the mesh'
      : `next: add it on every other node (tail -n 1 ${file.path} | ssh NODE cryoc token add), then on each: cryoc token use ${tag}`,
  ];
  return { ...done, token: tag, said };
}

async function use(file: TokenFile, named: string | undefined, given: Given, ask: Ask): Promise<Done> {
  const at = await placeOf(file, named);
  const [own, token] = [file.tokens[0]!, file.tokens[at]!];
  if (at === 0) throw new CryonetError('bad_config', `${named} is the first one already`);
  const next = [token, ...file.tokens.filter((each) => each !== token)];
  const done = await put(file, next, given, ask);
  const [before, after] = [await tokenTag(own), await tokenTag(token)];
  const said = [
    `joins by ${after} from now on`,
    ...done.said,
    `next: when every node uses it, on each: cryoc token drop ${before}`,
  ];
  return { ...done, token: after, said };
}

async function drop(file: TokenFile, named: string | undefined, given: Given, ask: Ask): Promise<Done> {
  const at = await placeOf(file, named);
  if (file.tokens.length === 1)
    throw new CryonetError('bad_config', `${named} is the only token: add another first`);
  if (at === 0)
    throw new CryonetError(
      'bad_config',
      `${named} is the one to join by: let another be that first, by cryoc token use`,
    );
  const tag = await tokenTag(file.tokens[at]!);
  const done = await put(file, file.tokens.toSpliced(at, 1), given, ask);
  const said = [
    `dropped ${tag}: who has no other token does not join here any more`,
    ...done.said,
    'next: links that are up do not depend on tokens; deny who is to be gone',
  ];
  return { ...done, token: tag, said };
}

async function put(file: TokenFile, next: readonly string[], given: Given, ask: Ask): Promise<Done> {
  writeTokenFile(file, next);
  const tags = await tagsOf(next);
  const done = { file: file.path, tags };
  if (given.options.reload === false) return { ...done, reloaded: null, said: ['the node was not reloaded'] };
  try {
    const reloaded = await ask('POST /v1/reload');
    const waits = reloaded.needsRestart.includes('token-file');
    const words =
      'the node may not read the file itself: it counts after systemctl restart cryonet, which loses no packet';
    return { ...done, reloaded, said: waits ? [words] : [] };
  } catch (error) {
    if (isAbsent(error))
      return { ...done, reloaded: null, said: ['no node runs here: it counts at its start'] };
    const code = error instanceof CryonetError ? error.code : 'internal';
    const reason = error instanceof Error ? error.message : String(error);
    throw new CryonetError(code, `${file.path} is changed, but the node was not reloaded: ${reason}`, {
      cause: error,
    });
  }
}

/** The place of the token with this tag. */
async function placeOf({ path, tokens }: TokenFile, named: string | undefined): Promise<number> {
  const tags = await tagsOf(tokens);
  if (named === undefined)
    throw new CryonetError('bad_config', `which token? ${path} has: ${tags.join(' ') || 'none'}`);
  const at = tags.indexOf(named);
  if (at < 0)
    throw new CryonetError(
      'bad_config',
      `no token has the tag ${named}; ${path} has: ${tags.join(' ') || 'none'}`,
    );
  return at;
}

function tagsOf(tokens: readonly string[]): Promise<string[]> {
  return Promise.all(tokens.map(tokenTag));
}

function printed(token: string): Shown {
  return { json: { token }, text: () => `${token}\n` };
}

function shown({ said, ...json }: Done): Shown {
  const { file, tags } = json;
  const lines = tags.map((tag, at) => `${tag}  ${at === 0 ? 'to join by' : 'accepted'}`);
  const list = lines.length === 0 ? [`${file} has no token`] : [`${file}:`, ...lines];
  return { json, text: () => `${[...(said.length === 0 ? list : said)].join('\n')}\n` };
}
