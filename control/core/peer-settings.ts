/**
 * What the operator set for single peers: sections of the configuration, each for one ID or for a glob over IDs. For each
 * setting by itself the section of the ID wins over globs, of globs the longer one, and of equally long ones the later.
 */
import { matches } from '../../protocol/glob.ts';
import type { pathWishes } from '../../protocol/policy.ts';

/** Which paths a link may take: `direct` those without a TURN server, `relay` those by one alone. */
export type PathWish = (typeof pathWishes)[number];

export interface PeerSettings {
  readonly allow?: boolean;
  readonly deny?: boolean;
  readonly path?: PathWish;
  /** Of the key that alone may speak for the ID, or that key in hexadecimal. Not of globs. */
  readonly fingerprint?: string;
  /** Name of its interface. Not of globs. */
  readonly interface?: string;
  /** Of its interface, `address/length`, in place of those that all have. */
  readonly addresses?: readonly string[];
  /** Of the link, for routing daemons. */
  readonly cost?: number;
}

export interface PeerSection {
  /** An ID, or a glob over IDs. */
  readonly pattern: string;
  readonly settings: PeerSettings;
}

/** Sections in the order in which they are asked. */
export interface PeerSections {
  readonly ofIds: ReadonlyMap<string, PeerSection>;
  readonly ofGlobs: readonly PeerSection[];
}

export function isGlob(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/** `sections`: later ones win over equally long ones. No pattern is there twice. */
export function newPeerSections(sections: readonly PeerSection[]): PeerSections {
  const globs = sections.filter(({ pattern }) => isGlob(pattern)).reverse();
  return {
    ofIds: new Map(sections.filter(({ pattern }) => !isGlob(pattern)).map((each) => [each.pattern, each])),
    ofGlobs: globs.toSorted((one, other) => other.pattern.length - one.pattern.length),
  };
}

/** Those for a peer, the one that wins first. */
export function sectionsFor({ ofIds, ofGlobs }: PeerSections, peer: string): PeerSection[] {
  const own = ofIds.get(peer);
  const globs = ofGlobs.filter(({ pattern }) => matches(pattern, peer));
  return own === undefined ? globs : [own, ...globs];
}

/** The section that decides one of these settings. */
export function decidedBy(
  sections: PeerSections | undefined,
  peer: string,
  ...names: readonly (keyof PeerSettings)[]
): PeerSection | undefined {
  if (sections === undefined) return undefined;
  return sectionsFor(sections, peer).find(({ settings }) =>
    names.some((name) => settings[name] !== undefined),
  );
}

/** A setting of a peer; undefined where no section has it. */
export function settingOf<Name extends keyof PeerSettings>(
  sections: PeerSections | undefined,
  peer: string,
  name: Name,
): PeerSettings[Name] | undefined {
  return decidedBy(sections, peer, name)?.settings[name];
}
