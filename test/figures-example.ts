/** Figures of the node of `status-example.ts`. */

import { newOutcomes } from '../control/core/outcomes.ts';
import type { Figures } from '../control/io/metrics.ts';
import { linkCost } from '../protocol/link-cost.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { exampleReport, exampleTime } from './status-example.ts';

/** With all series that there can be, but for those of other subjects, peers and causes. */
export const exampleFigures: Figures = {
  report: {
    ...exampleReport,
    peers: exampleReport.peers.map((peer) => ({ ...peer, cost: linkCost(peer) })),
    warnings: [{ subject: 'listen', peer: null, message: 'taken by 192.0.2.7', since: exampleTime }],
  },
  known: exampleReport.peers.map(({ id }) => id),
  outcomes: { ...newOutcomes(), opened: 2, unanswered: 7 },
  refused: { control: { wrong_token: 4 }, dataplane: { forged: 1 } },
  processes: {
    control: { cpu: 1.5, memory: 80_000_000, files: 31 },
    dataplane: { cpu: 2.25, memory: 70_000_000, files: null },
  },
  reload: { ok: true, at: exampleTime },
};

/** A node that knows these peers, of which it was linked with `known`. */
export function figuresOf(peers: readonly PeerStatus[], known: Iterable<string>): Figures {
  return { ...exampleFigures, known, report: { ...exampleReport, peers: [...peers] } };
}
