/** Globs, as `--allow`, `--deny` and `--interfaces` take them: `*` for any run of characters and `?` for one. */

/** Whether `glob` matches all of `text`. When the rest does not fit, only the last star takes one more character, so the
 *  time is at most the product of both lengths. */
export function matches(glob: string, text: string): boolean {
  let at = 0;
  let inGlob = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    if (inGlob < glob.length && (glob[inGlob] === '?' || glob[inGlob] === text[at]) && glob[inGlob] !== '*') {
      at++;
      inGlob++;
    } else if (glob[inGlob] === '*') {
      star = inGlob++;
      starAt = at;
    } else if (star >= 0) {
      inGlob = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (glob[inGlob] === '*') inGlob++;
  return inGlob === glob.length;
}
