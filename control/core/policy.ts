/** Which peers this node links with: globs over IDs. */
import { matches } from '../../protocol/glob.ts';

export interface Policy {
  /** Empty allows everyone. */
  readonly allow: readonly string[];
  /** Wins over `allow`. */
  readonly deny: readonly string[];
}

export function permits(policy: Policy, peer: string): boolean {
  if (policy.deny.some((glob) => matches(glob, peer))) return false;
  return policy.allow.length === 0 || policy.allow.some((glob) => matches(glob, peer));
}
