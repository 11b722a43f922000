/** What somebody does to a mesh of real programs, and where that is counted. */
import type { StatusReport } from '../../../protocol/status.ts';

/** Whom there is to attack, and with what. */
export interface Site {
  readonly token: string;
  /** A node that listens. */
  readonly victim: { readonly id: string; readonly host: string; readonly port: number };
  /** Another node, which is linked with the victim. */
  readonly other: string;
  /** An operator that all nodes heed: its public key in hexadecimal. It has said something of some node. */
  readonly operator: string;
  /** Addresses to come from. */
  readonly own: readonly [string, string];
  /** A port that some node takes for that of a bootstrap server, at the first of these addresses. */
  readonly fakePort: number;
}

/** Where a status report has the cause of a refusal: `refused`, `neighbors[].refused` or `peers[].dropped`. */
export type Counter = readonly [where: 'refused' | 'neighbors' | 'peers', cause: string];

export type After = (undo: () => void) => void;

export interface Attack {
  readonly what: string;
  readonly counter: Counter;
  /** Does its worst, for some seconds, and resolves with what there is to say of it in words, if anything. What it has
   *  opened stays open, so that what is counted of it can be looked at, until all that `after` was given is called. */
  run(site: Site, after: After): Promise<unknown>;
}

export function urlOf({ victim: { host, port } }: Site): string {
  return `ws://${host}:${port}`;
}

export function countOf({ refused, neighbors, peers }: StatusReport, [where, cause]: Counter): number {
  const counts = {
    refused: [refused],
    neighbors: neighbors.map((neighbor) => neighbor.refused),
    peers: peers.map(({ dropped }) => dropped),
  }[where];
  return counts.reduce((sum, each) => sum + (each?.[cause] ?? 0), 0);
}
