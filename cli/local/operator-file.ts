/** The file of an operator key, and the passphrase that it may have. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  isEncrypted,
  newOperatorKey,
  type OperatorKey,
  openOperatorKey,
} from '../../control/io/operator-key.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { Given } from '../command.ts';
import { readSecret } from './secret.ts';

/** Characters of a passphrase. OpenSSL stretches it little (PBKDF2, 2,048 rounds), so that a short one can be tried out by
 *  whoever has the file. */
const leastPassphrase = 12;

export function defaultOperatorFile(): string {
  const folder = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return join(folder, 'cryonet', 'operator.pem');
}

/** Makes a key, in a file that is not there yet, for its owner alone. Returns its line for `operators`. Throws
 *  `bad_config`. */
export async function makeOperatorFile(path: string, options: Given['options']): Promise<string> {
  const { file, line } = newOperatorKey(await newPassphrase(options));
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, file, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const words = isThere
      ? `${path} is there already: name another file, since an operator key that is lost cannot be made again`
      : `${path} cannot be written: ${reasonOf(cause)}`;
    throw new CryonetError('bad_config', words, { cause });
  }
  return line;
}

/** Throws `bad_config`. */
export async function readOperatorFile(options: Given['options']): Promise<OperatorKey> {
  const path = typeof options.key === 'string' ? options.key : defaultOperatorFile();
  let file: string;
  try {
    file = readFileSync(path, 'utf8');
  } catch (cause) {
    const remedy = `make one by: cryoc operator generate${path === defaultOperatorFile() ? '' : ` ${path}`}; the line that this prints belongs into /etc/cryonet/config.toml of every node`;
    const words =
      (cause as NodeJS.ErrnoException).code === 'ENOENT'
        ? `there is no operator key ${path}: name its file by --key, or ${remedy}`
        : `${path} cannot be read: ${reasonOf(cause)}`;
    throw new CryonetError('bad_config', words, { cause });
  }
  if (isEncrypted(file)) return openOperatorKey(path, file, await askPassphrase(options));
  const key = openOperatorKey(path, file, undefined);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new CryonetError(
      'bad_config',
      `others may read ${path}, which has no passphrase: chmod 600 ${path}`,
    );
  return key;
}

function askPassphrase({ passphraseFile }: Given['options']): Promise<string> {
  return readSecret(typeof passphraseFile === 'string' ? passphraseFile : '-', 'passphrase');
}

async function newPassphrase(options: Given['options']): Promise<string | undefined> {
  if (options.passphrase === false) return undefined;
  const passphrase = await askPassphrase(options);
  if (passphrase.length < leastPassphrase)
    throw new CryonetError(
      'bad_config',
      `a passphrase has ${leastPassphrase} characters at least; a key without one, for scripts: --no-passphrase`,
    );
  const isTyped = options.passphraseFile === undefined && process.stdin.isTTY;
  if (isTyped && (await readSecret('-', 'again')) !== passphrase)
    throw new CryonetError('bad_config', 'these were two passphrases: nothing was written');
  return passphrase;
}
