/** zx, quiet and bounded, for what takes long or stands alone; `commands.ts` has what a story does many times. */
import { $, type Options } from 'zx/core';

/** No longer than 5 min: more than the heaviest command (lintian on a package) takes on a busy machine. */
const bounded = { quiet: true, timeout: '300s', stdio: 'pipe' } satisfies Partial<Options>;

/** Throws on a non-zero exit, unless called as shell({ nothrow: true }). */
export const shell = $(bounded) as typeof $;
