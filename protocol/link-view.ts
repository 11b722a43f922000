/** What one end of a link sees of it. The other end asks for it, so each text has a bound. */
import * as z from 'zod/mini';
import { linkPath } from './schema.ts';
import { candidatePair } from './status.ts';

/** Characters. */
export const maxViewText = 200;
/** Candidates each way, and characters of one. */
export const maxViewCandidates = 24;
const candidate = z.string().check(z.maxLength(80));

export const linkView = z.object({
  /** One of `linkStates`, or another word of a later version. */
  state: z.string().check(z.maxLength(16)),
  /** Why it is in this state. */
  reason: z.string().check(z.maxLength(maxViewText)),
  path: z.nullable(linkPath),
  /** Why packets do not go by direct path. */
  notDirect: z.string().check(z.maxLength(maxViewText)),
  pair: z.nullable(candidatePair),
  /** `host 192.0.2.7:2333`: candidates that this end told the other one of late, and that it heard of the other one. */
  told: z.array(candidate).check(z.maxLength(maxViewCandidates)),
  heard: z.array(candidate).check(z.maxLength(maxViewCandidates)),
  /** It has a TURN server. */
  turn: z.boolean(),
});

export const explanation = z.object({
  peer: z.string(),
  ours: linkView,
  /** What the peer says; null where it does not answer. */
  theirs: z.nullable(linkView),
});

export type LinkView = z.infer<typeof linkView>;
export type Explanation = z.infer<typeof explanation>;
