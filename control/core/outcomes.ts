/** What became of the attempts to connect with peers, counted since control started. */

/** `opened`: a connection; `unanswered`: no answer to the offer; `no_path`: both ends described it and none was found;
 *  `rejected`: the peer did not want it or could not; `failed`: our dataplane could not. */
export const outcomes = ['opened', 'unanswered', 'no_path', 'rejected', 'failed'] as const;

type Outcome = (typeof outcomes)[number];
export type Outcomes = Record<Outcome, number>;

export function newOutcomes(): Outcomes {
  return { opened: 0, unanswered: 0, no_path: 0, rejected: 0, failed: 0 };
}
