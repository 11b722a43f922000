/** What the policy of a node is, and what it decides about a peer, as the API tells it. Fields are only added. */
import * as z from 'zod/mini';
import { nodeId } from './schema.ts';
import { linkStates } from './status.ts';

export const pathWishes = ['any', 'direct', 'relay'] as const;

/** What a section of a peer sets. */
const settings = z.object({
  allow: z.optional(z.boolean()),
  deny: z.optional(z.boolean()),
  path: z.optional(z.enum(pathWishes)),
  interface: z.optional(z.string()),
  addresses: z.optional(z.array(z.string())),
  fingerprint: z.optional(z.string()),
  cost: z.optional(z.int()),
});

export const policyReport = z.object({
  allow: z.array(z.string()),
  deny: z.array(z.string()),
  /** Sections, in the order of the files. `peer`: an ID, or a glob over IDs. */
  sections: z.array(z.object({ peer: z.string(), settings })),
});

export const policyVerdict = z.object({
  peer: nodeId,
  permitted: z.boolean(),
  /** The section or the option that decides, with the glob of it that matches; all missing where everyone is permitted. */
  section: z.optional(z.string()),
  option: z.optional(z.enum(['allow', 'deny'])),
  glob: z.optional(z.string()),
  /** What counts for the peer. */
  settings,
  /** The section of each of these, by setting. */
  sections: z.record(z.string(), z.string()),
  /** Of the link; null where no node of that ID is known. */
  state: z.nullable(z.enum(linkStates)),
  /** Why it is in that state, in our words; empty where there is nothing to add. */
  reason: z.string(),
});

export type PolicyReport = z.infer<typeof policyReport>;
export type PolicyVerdict = z.infer<typeof policyVerdict>;

/** A section as it stands in a file: `[peer.rome]`, `[peer."edge-*"]`. */
export function sectionName(pattern: string): string {
  return `[peer.${/^[\w-]+$/.test(pattern) ? pattern : `"${pattern}"`}]`;
}
