/** Which peers this node links with: globs over IDs, `*` for any run of characters and `?` for one. */

export interface Policy {
  /** Empty: everyone. */
  readonly allow: readonly string[];
  /** Wins over `allow`. */
  readonly deny: readonly string[];
}

export function permits(policy: Policy, peer: string): boolean {
  if (policy.deny.some((glob) => matches(glob, peer))) return false;
  return policy.allow.length === 0 || policy.allow.some((glob) => matches(glob, peer));
}

/** Linear in `text` for each star: the last star seen takes one character more whenever the rest does not fit. */
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
