/**
 * What an operator can mend while the process runs: a port that is taken, a server that does not answer, a full disk. A
 * warning is logged when it appears, when its words change and when it is over; until then it is in the status report.
 *
 *     ── set ──► warned ──── set with other words: since stays ──┐
 *                  │  ▲──────────────────────────────────────────┘
 *                  └── clear ──► gone
 */
import { byClock, steadyNow } from './clock.ts';
import type { Log } from './log.ts';
import type { Warning } from './status.ts';

/** Warnings about peers that are kept, because others cause them. Those about this node are bounded by their subjects. */
export const maxPeerWarnings = 256;

export class Warnings {
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #now: () => number;
  /** By peer and subject; `since` is by the steady clock. */
  readonly #warnings = new Map<string, Warning>();

  /** `changed` is called after each change. */
  constructor(log: Log, changed: () => void = () => {}, now: () => number = steadyNow) {
    this.#log = log;
    this.#changed = changed;
    this.#now = now;
  }

  /** Does nothing if there is such a warning in the same words. */
  set(subject: string, message: string, peer: string | null = null): void {
    const key = keyOf(subject, peer);
    const before = this.#warnings.get(key);
    const line = message.replace(/\s+/g, ' ').slice(0, 1024);
    if (before?.message === line) return;
    if (before === undefined && peer !== null && this.#ofPeers() >= maxPeerWarnings) return;
    this.#warnings.set(key, { subject, peer, message: line, since: before?.since ?? this.#now() });
    this.#log.warn('warning', { about: subject, peer: peer ?? undefined, reason: line });
    this.#changed();
  }

  clear(subject: string, peer: string | null = null): void {
    if (!this.#warnings.delete(keyOf(subject, peer))) return;
    this.#log.info('warning is over', { about: subject, peer: peer ?? undefined });
    this.#changed();
  }

  /** Drops all warnings about a peer that is gone, without logging that they are over. */
  forget(peer: string): void {
    let forgotten = false;
    for (const [key, warning] of this.#warnings) {
      if (warning.peer === peer) forgotten = this.#warnings.delete(key);
    }
    if (forgotten) this.#changed();
  }

  /** As `inOrder` sorts them. */
  list(): Warning[] {
    return inOrder(
      [...this.#warnings.values()].map((warning) => ({ ...warning, since: byClock(warning.since) })),
    );
  }

  #ofPeers(): number {
    return [...this.#warnings.values()].filter(({ peer }) => peer !== null).length;
  }
}

/** Warnings about this node before those about peers, and the oldest first. */
export function inOrder(warnings: readonly Warning[]): Warning[] {
  const rank = ({ peer }: Warning) => (peer === null ? 0 : 1);
  return [...warnings].sort((a, b) => rank(a) - rank(b) || a.since - b.since);
}

function keyOf(subject: string, peer: string | null): string {
  return `${peer ?? ''} ${subject}`;
}
