/**
 * What a peer may have this node do: messages, bytes and agreements on keys, each from a bucket that is filled up
 * steadily. More than it holds is what no node sends; the peer is cut off, and finds the bucket as it left it.
 */
import { type Bucket, newBucket, take } from '../../protocol/bucket.ts';

interface Share {
  readonly messages: Bucket;
  readonly bytes: Bucket;
}

export interface PeerBudget {
  readonly signal: Share;
  readonly wire: Share;
}

export function newPeerBudget(): PeerBudget {
  return {
    // A mesh of some hundred nodes that all join at once, told by one neighbor; a list of all nodes is up to 1 MB.
    signal: { messages: newBucket(8192, 1024), bytes: newBucket(16_777_216, 2_097_152) },
    // A link has some ten to begin with, and then a ping each way every two seconds.
    wire: { messages: newBucket(512, 64), bytes: newBucket(524_288, 65_536) },
  };
}

/** Renewals of keys that a peer begins: one in two minutes, and another where that is not answered. */
export const newRenewals = () => newBucket(2, 0.1);

/** Whether the peer may send this. */
export function spend(budget: PeerBudget, channel: 'signal' | 'wire', bytes: number, now: number): boolean {
  const share = budget[channel];
  // A message costs something however short it is.
  return take(share.messages, 1, now) && take(share.bytes, bytes, now);
}

/** Peers whose budget is remembered while they have no connection. */
const maxBudgets = 4096;

/** Of all peers; who comes back has what he left. */
export class PeerBudgets {
  readonly #byPeer = new Map<string, PeerBudget>();

  of(peer: string): PeerBudget {
    const budget = this.#byPeer.get(peer) ?? newPeerBudget();
    this.#byPeer.delete(peer);
    this.#byPeer.set(peer, budget);
    const [oldest] = this.#byPeer.keys();
    if (this.#byPeer.size > maxBudgets) this.#byPeer.delete(oldest!);
    return budget;
  }
}

/** Bytes that may wait for control; its connection has four times as much. */
const maxForControl = 4_194_304;

/** Whose frames wait for control: who has most of them there is cut off before the connection to control is full. */
export class ControlShare {
  readonly #bytes = new Map<string, number>();

  /** A frame of `peer` comes, while so many bytes wait. `goes`: it may be handed on; `heaviest`: who is cut off. */
  add(
    peer: string,
    bytes: number,
    waiting: number,
  ): { readonly goes: boolean; readonly heaviest: string | undefined } {
    if (waiting === 0) this.#bytes.clear();
    const own = (this.#bytes.get(peer) ?? 0) + bytes;
    this.#bytes.set(peer, own);
    if (waiting + bytes <= maxForControl) return { goes: true, heaviest: undefined };
    let heaviest = peer;
    for (const [other, share] of this.#bytes) if (share > this.#bytes.get(heaviest)!) heaviest = other;
    return { goes: heaviest !== peer && waiting + bytes <= 2 * maxForControl, heaviest };
  }
}
