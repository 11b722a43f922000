/**
 * `config.d`: the files beside a configuration file. They are read after it, by order of name, and of two that give one
 * option the later one counts. Only `*.toml` are read. What an editor or a package manager leaves there is passed over;
 * any other name is a mistake, since what somebody wrote into such a file would silently not count.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { denialOf } from '../../protocol/denial.ts';
import { reasonOf } from '../../protocol/errors.ts';
import { refuseForeign } from '../../protocol/own-folder.ts';

const folderName = 'config.d';

/** A file of the folder, or the folder itself where that cannot be read. */
export interface FolderFile {
  readonly path: string;
  readonly toml: string;
  /** Why it cannot be used, on one line; undefined where it can. */
  readonly trouble: string | undefined;
}

const goodName = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\.toml$/;

/** Copies that vi, Emacs, dpkg, rpm and `patch` leave, what somebody switched off, hidden files, and a README. */
const leftOver =
  /^\.|^README|^#.*#$|~$|\.(bak|old|orig|rej|save|sw[op]|tmp|disabled|off|dpkg-[a-z]+|ucf-[a-z]+|rpm(new|save|orig))$/s;

/** Mode bit, inode(7): others may write. */
const writableByOthers = 0o002;
/** The device number of /dev/null, which stands for an empty file where a link leads there. */
const nullDevice = 0x103;

const remedy = 'keep it where only root, or who runs cryonet, may write';

/** The files beside `config` in the order in which they count. None where there is no folder. */
export function filesBeside(config: string): FolderFile[] {
  const folder = join(dirname(config), folderName);
  const unusable = (trouble: string) => [{ path: folder, toml: '', trouble }];
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    refuseForeign(folder, remedy);
    return entries
      .filter((entry) => isMeant(entry.name, entry.isDirectory()))
      .map(({ name }) => name)
      .sort()
      .map((name) => readOne(folder, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') return unusable('is no folder');
    return unusable(code === 'bad_config' ? reasonOf(error) : whyUnread(error));
  }
}

function isMeant(name: string, isFolder: boolean): boolean {
  return !leftOver.test(name) && !(isFolder && !name.endsWith('.toml'));
}

function readOne(folder: string, name: string): FolderFile {
  const path = join(folder, name);
  const unusable = (trouble: string) => ({ path, toml: '', trouble });
  if (!goodName.test(name)) {
    const words = 'is not read: call it *.toml, of letters, digits and _.@+-, or begin its name with a dot';
    return { path: folder, toml: '', trouble: `${JSON.stringify(name)} ${words}` };
  }
  let file: number | undefined;
  try {
    refuseForeign(path, remedy);
    // A pipe would else be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    if (!stats.isFile() && stats.rdev !== nullDevice)
      return unusable(stats.isDirectory() ? 'is a folder' : 'is no file');
    if (stats.isFile() && (stats.mode & writableByOthers) !== 0)
      return unusable(`can be written by everybody: chmod o-w ${basename(path)}`);
    return { path, toml: readFileSync(file, 'utf8'), trouble: undefined };
  } catch (error) {
    const isForeign = (error as NodeJS.ErrnoException).code === 'bad_config';
    return unusable(isForeign ? reasonOf(error) : whyUnread(error));
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function whyUnread(error: unknown): string {
  return `cannot be read: ${(error as NodeJS.ErrnoException).code ?? reasonOf(error)}${denialOf(error, 'read it')}`;
}
