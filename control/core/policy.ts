/** Which peers this node links with, and by which paths: globs over IDs, and sections for single peers. */
import { matches } from '../../protocol/glob.ts';
import { decidedBy, type PathWish, type PeerSections, settingOf } from './peer-settings.ts';

export interface Policy {
  /** Empty allows everyone. */
  readonly allow: readonly string[];
  /** Wins over `allow`. */
  readonly deny: readonly string[];
  /** Win over both. */
  readonly peers?: PeerSections;
}

/** What decides about a peer. */
export type Decision =
  /** The section with that pattern; in one, `deny` wins. */
  | { readonly permitted: boolean; readonly section: string }
  /** A glob of `allow` or `deny`; without one, that none of `allow` matches. */
  | { readonly permitted: boolean; readonly option: 'allow' | 'deny'; readonly glob?: string }
  /** Nothing: everyone is permitted. */
  | { readonly permitted: true };

export function decisionOn({ allow, deny, peers }: Policy, peer: string): Decision {
  const section = decidedBy(peers, peer, 'allow', 'deny');
  if (section !== undefined) {
    const { settings, pattern } = section;
    return { permitted: settings.deny !== true && settings.allow !== false, section: pattern };
  }
  const denying = deny.find((glob) => matches(glob, peer));
  if (denying !== undefined) return { permitted: false, option: 'deny', glob: denying };
  if (allow.length === 0) return { permitted: true };
  const allowing = allow.find((glob) => matches(glob, peer));
  if (allowing === undefined) return { permitted: false, option: 'allow' };
  return { permitted: true, option: 'allow', glob: allowing };
}

export function permits(policy: Policy, peer: string): boolean {
  return decisionOn(policy, peer).permitted;
}

export function pathTo({ peers }: Policy, peer: string): PathWish {
  return settingOf(peers, peer, 'path') ?? 'any';
}
