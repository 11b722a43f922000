/** What `cryoc join` writes, and where: two files, each whole or not at all, the token last, since a service that waits for
 *  it starts then. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { sha256 } from '../../control/io/crypto.ts';
import {
  type Pending,
  prepareWhole,
  type Rights,
  readIfThere,
  writeWhole,
} from '../../control/io/kept-files.ts';
import { CryonetError, reasonOf, systemError } from '../../protocol/errors.ts';
import { fingerprintText } from '../../protocol/fingerprint.ts';
import type { Welcome } from '../../protocol/invitation.ts';
import { serviceTokenFile } from '../../protocol/paths.ts';
import { operatorText } from '../../protocol/statement.ts';
import { readTokenFile } from './token-file.ts';

/** After what a package or an administrator has there, and before what is to win over it. */
const fileName = '50-join.toml';

/** Bytes that both files have at most, to find a full disk before the invitation is used. */
const probeBytes = 65_536;

export interface Place {
  readonly folder: string;
  readonly tokenFile: string;
  readonly tokenRights: Rights | undefined;
  readonly configFile: string;
  readonly configRights: Rights;
  /** What other files of the folder give. */
  readonly given: { readonly id: string | undefined; readonly hasOperators: boolean };
  /** Whether the service looks for its token there by itself. */
  readonly isService: boolean;
}

/** Looks where things are. Throws `bad_config` where there is a token already, unless `force`. */
export function placeIn(named: string, force: boolean): Place {
  const folder = resolve(named);
  const main = join(folder, 'config.toml');
  const beside = join(folder, 'config.d');
  const configFile = existsSync(main) ? join(beside, fileName) : main;
  const token = readTokenFile(join(folder, 'token'));
  if (token.tokens.length > 0 && !force)
    throw new CryonetError(
      'bad_config',
      `${token.path} has a token: this machine is in a mesh already; --force replaces it`,
    );
  const files = [main, ...tomlFilesIn(beside)].filter((path) => path !== configFile && existsSync(path));
  return {
    folder,
    tokenFile: token.path,
    tokenRights: token.rights,
    configFile,
    configRights: rightsLike(main),
    given: givenIn(files),
    isService: join(folder, 'token') === serviceTokenFile(process.env),
  };
}

/** Throws `bad_config` or `unavailable` where nothing could be written. Leaves nothing but folders. */
export function tryOut({ folder, configFile, tokenFile }: Place): void {
  try {
    mkdirSync(folder, { recursive: true });
    mkdirSync(resolve(configFile, '..'), { recursive: true, mode: 0o755 });
    for (const path of [configFile, tokenFile]) prepareWhole(path, ' '.repeat(probeBytes)).drop();
  } catch (cause) {
    throw unwritable(folder, cause);
  }
}

/** Writes both files. Throws `bad_config` or `unavailable`; then neither is there that was not before. */
export function write(place: Place, id: string, servers: readonly string[], welcome: Welcome): void {
  const { configFile, configRights, tokenFile, tokenRights, folder } = place;
  const before = readIfThere(configFile);
  const pending: Pending[] = [];
  // What follows happens at once: no signal comes between.
  try {
    pending.push(prepareWhole(configFile, configText(place, id, servers, welcome), configRights));
    pending.push(prepareWhole(tokenFile, `${welcome.tokens.join('\n')}\n`, tokenRights));
    for (const each of pending) each.place();
  } catch (cause) {
    for (const each of pending) each.drop();
    restore(place, before);
    throw unwritable(folder, cause);
  }
}

/** Never throws. */
function restore({ configFile, configRights }: Place, before: string | undefined): void {
  try {
    if (before === undefined) rmSync(configFile, { force: true });
    else if (readIfThere(configFile) !== before) writeWhole(configFile, before, configRights);
  } catch {
    // The error that is told names the folder.
  }
}

function configText(
  place: Place,
  id: string,
  servers: readonly string[],
  { pins, operators = [] }: Welcome,
): string {
  const { given, isService, tokenFile } = place;
  // A list of operators that is there is the administrator's own word.
  const takesOperators = operators.length > 0 && !given.hasOperators;
  const list = (items: readonly string[]) => `[${items.map((item) => JSON.stringify(item)).join(', ')}]`;
  return [
    '# Written by cryoc join: how this node joins, and the key of the node that invited it.',
    ...(given.id === id ? [] : [`id = ${JSON.stringify(id)}`]),
    ...(isService ? [] : [`token-file = ${JSON.stringify(tokenFile)}`]),
    `ws-servers = ${list(servers)}`,
    ...(takesOperators ? [`operators = ${list(operators.map(operatorText))}`] : []),
    ...pins.flatMap((pin) => ['', `[peer.${pin.id}]`, `fingerprint = ${JSON.stringify(fingerprintOf(pin))}`]),
    '',
  ].join('\n');
}

export function fingerprintOf({ key }: Welcome['pins'][number]): string {
  return fingerprintText(sha256(key));
}

/** A file that is no TOML gives nothing: the node says what is wrong with it. */
function givenIn(files: readonly string[]): Place['given'] {
  let given: Place['given'] = { id: undefined, hasOperators: false };
  for (const path of files) {
    try {
      const values = parseToml(readIfThere(path) ?? '');
      const id = typeof values.id === 'string' ? values.id : given.id;
      given = { id, hasOperators: given.hasOperators || Object.hasOwn(values, 'operators') };
    } catch {}
  }
  return given;
}

function tomlFilesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.toml') && !name.startsWith('.'))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Of the configuration that is there, which the node can read; else for all to read, as it has no secret. */
function rightsLike(path: string): Rights {
  try {
    const { uid, gid, mode } = statSync(path);
    return { uid, gid, mode: mode & 0o666 };
  } catch {
    return { uid: process.geteuid!(), gid: process.getegid!(), mode: 0o644 };
  }
}

function unwritable(folder: string, cause: unknown): CryonetError {
  const { code } = cause as NodeJS.ErrnoException;
  const remedy = code === 'EACCES' || code === 'EPERM' ? ': run this as root' : '';
  return systemError(`${folder} cannot be written: ${reasonOf(cause)}${remedy}`, cause);
}
