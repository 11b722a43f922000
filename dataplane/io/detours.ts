/** Warnings of peers whose addresses the kernel would reach by a way that no link may take. */
import type { Warnings } from '../../protocol/warnings.ts';

/** Milliseconds: a routing daemon takes a link's routes off with it, and learns them anew with the next link. */
const memory = 60_000;

const subject = 'route';
const advice =
  'keep the addresses that links run over out of the routing daemon, or give them a route of their own';

export class Detours {
  readonly #warnings: Warnings;
  /** By peer, when it was seen last; milliseconds. */
  readonly #seen = new Map<string, number>();

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  /** `detour`: in words. */
  set(peer: string, detour: string, now: number): void {
    this.#seen.set(peer, now);
    this.#warnings.set(subject, `${detour}: ${advice}`, peer);
  }

  tick(now: number): void {
    for (const [peer, at] of this.#seen) {
      if (now - at < memory) continue;
      this.#seen.delete(peer);
      this.#warnings.clear(subject, peer);
    }
  }
}
