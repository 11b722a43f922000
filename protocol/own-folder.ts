/**
 * Refuses paths that another user controls. In a folder where everybody may make files, such as /tmp, another user may
 * have made a name first. They would then serve a socket of that name, or read and change a folder.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { CryonetError } from './errors.ts';

/** Mode bits, inode(7): others may write; and only the owner of an entry may rename or delete it. */
const writableByOthers = 0o002;
const sticky = 0o1000;

/** Symbolic links that are followed at most, as in path_resolution(7). */
const longestChain = 40;

/** Throws `bad_config` if a user other than this one and root may have made `path`, or may replace it. A path that does
 *  not exist yet is fine. So is a folder of another user that root or this user put in a place where nobody else can:
 *  they gave it away on purpose. `remedy` is added to the error message. */
export function refuseForeign(path: string, remedy: string): void {
  const fault = faultOf(resolve(path), process.getuid?.() ?? 0, longestChain);
  if (fault !== undefined) throw new CryonetError('bad_config', `${fault}; ${remedy}`);
}

function faultOf(path: string, uid: number, chain: number): string | undefined {
  let parent = '/';
  let parentStats = lookAt(parent);
  for (const name of path.split(sep).filter((each) => each !== '')) {
    const here = resolve(parent, name);
    const stats = lookAt(here);
    const shared = parentStats !== undefined && (parentStats.mode & writableByOthers) !== 0;
    if (shared && (parentStats!.mode & sticky) === 0) return `everybody may replace what is in ${parent}`;
    if (stats === undefined) return undefined;
    if (shared && stats.uid !== 0 && stats.uid !== uid) {
      return `${here} belongs to another user (${stats.uid}), in ${parent} where anybody may make it`;
    }
    if (stats.isSymbolicLink()) {
      if (chain === 0) return undefined;
      const target = readlinkSync(here);
      const rest = path.slice(here.length);
      return faultOf(resolve(isAbsolute(target) ? '/' : dirname(here), target + rest), uid, chain - 1);
    }
    [parent, parentStats] = [here, stats];
  }
  return undefined;
}

/** Undefined if it does not exist or may not be looked at; then nothing can be opened there either. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
