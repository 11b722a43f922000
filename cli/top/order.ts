/** In which order peers stand: those first that want somebody's attention. */
import type { PeerStatus } from '../../protocol/status.ts';
import { isDown } from '../peers.ts';
import type { Track } from './track.ts';

/** From the worst on. A link that a policy denies is meant to be none. */
export const troubles = ['down', 'degraded', 'relayed', 'none', 'denied'] as const;

export type Trouble = (typeof troubles)[number];

export function troubleOf(peer: PeerStatus): Trouble {
  if (isDown(peer)) return 'down';
  if (peer.state === 'denied') return 'denied';
  if (peer.degraded) return 'degraded';
  return peer.relayed ? 'relayed' : 'none';
}

export const orders = ['trouble', 'traffic', 'round trip', 'name'] as const;

export type Order = (typeof orders)[number];

export function nextOrder(order: Order): Order {
  return orders[(orders.indexOf(order) + 1) % orders.length]!;
}

/** Bytes a second: what a routing daemon says to its neighbors brings no peer up the table. */
const leastTraffic = 1024;

type Tracks = ReadonlyMap<string, Track>;
type Compare = (one: PeerStatus, other: PeerStatus) => number;

/** Peers that are equal in all else stand by name, so that rows do not change places without a reason. */
export function ordered(peers: readonly PeerStatus[], order: Order, tracks: Tracks): PeerStatus[] {
  const traffic = new Map(peers.map(({ id }) => [id, gradeOf(tracks.get(id)?.traffic ?? 0)]));
  const more: Compare = (one, other) => traffic.get(other.id)! - traffic.get(one.id)!;
  const worse: Compare = (one, other) =>
    troubles.indexOf(troubleOf(one)) - troubles.indexOf(troubleOf(other));
  const longer: Compare = (one, other) => (other.rtt ?? -1) - (one.rtt ?? -1);
  const byName: Compare = (one, other) => (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
  const compares: Record<Order, readonly Compare[]> = {
    trouble: [worse, more, byName],
    traffic: [more, byName],
    'round trip': [longer, byName],
    name: [byName],
  };
  return peers.toSorted((one, other) => {
    for (const compare of compares[order]) {
      const difference = compare(one, other);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

/** Equal for rates that differ by less than a factor of two or so. */
function gradeOf(traffic: number): number {
  return traffic < leastTraffic ? 0 : Math.floor(Math.log2(traffic));
}
