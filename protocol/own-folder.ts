/**
 * Whose a place in the file system is. Where everybody may make files, as in /tmp, a name may be somebody else's who was
 * there first: a socket there is theirs to serve, and a folder theirs to read and change.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { CryonetError } from './errors.ts';

/** inode(7): others may write; only who owns an entry may rename or delete it. */
const writableByOthers = 0o002;
const sticky = 0o1000;

/** Links that path_resolution(7) follows at most. */
const longestChain = 40;

/** Throws `bad_config` where somebody who is neither this user nor root may have made `path`, or may replace it. What is
 *  not there yet is nobody's. A folder that root or this user put where nobody else can is theirs to give, to
 *  whomever it belongs. `remedy`: what to do about it. */
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

/** Undefined where it is not there, or may not be looked at: then nothing can be opened there either. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
