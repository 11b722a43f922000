/**
 * Which UDP port a negotiation of the `shared` route takes: the node's own, or one that nothing was sent from yet.
 *
 * What is sent from one port to one address has one entry in the connection tracking of a router on the way. Where that
 * router dialed anew and kept the entry, everything goes on leaving from an address that is gone, for as long as
 * anything is sent, and our own checks are enough for that. From another port there is another entry.
 *
 * Where negotiations with a peer fail one after the other, its offerer takes another port for every second one, its
 * answerer for two of four: in any four there is one in which each end alone has another port, whichever end thinks
 * that more of them failed. An end that may only be reached by its own port is tried by that one all the time, and each
 * link that comes up begins with it the next time.
 *
 *   failed       2  3  4  5  6  7  …
 *   offerer      ×     ×     ×
 *   answerer        ×  ×        ×
 */

/** A negotiation that failed may have lost a packet or two. */
const enough = 2;

/** By peer: negotiations that failed in a row. */
export type Failures = Map<string, number>;

export function takesOtherPort(failures: Failures, peer: string, offered: boolean): boolean {
  const more = (failures.get(peer) ?? 0) - enough;
  if (more < 0) return false;
  return offered ? more % 2 === 0 : more % 4 === 1 || more % 4 === 2;
}

/** The peer's candidates were tried, and none of them worked; or one did. */
export function concluded(failures: Failures, peer: string, opened: boolean): void {
  if (opened) failures.delete(peer);
  else failures.set(peer, (failures.get(peer) ?? 0) + 1);
}
