/**
 * The part of the dataplane's shell that finds out whether connections still carry anything: by pings, by full packets where
 * they carry a link's packets, and by a look at the way that they go. What it finds dead it has dropped.
 */
import {
  directPatience,
  type FullPackets,
  type FullPacketsEvent,
  isSuspicious,
  lookAgain,
  newFullPackets,
  step,
} from './core/full-packets.ts';
import type { DirectShell } from './direct-shell.ts';
import { Alarm } from './io/alarm.ts';
import type { CandidateFilter } from './io/candidate-filter.ts';
import type { LiveConnection, LiveConnections } from './io/live-connection.ts';

/** Intervals between two pings where a direct path carries the packets: only to know that there is another one. */
const restingPings = 10;

/** Pings in a row, without a word of any kind from the peer, after which a link is lost. ICE alone notices after half
 *  a minute, and SCTP sends less and less often into a path that was interrupted. */
const maxSilentPings = 3;

/** Pings, likewise, of which the second is sent a probe's time before a direct path is lost. */
const doubts = 2;

const silent = 'the peer does not answer';

/** What only the links know. */
export interface UpkeepOptions {
  /** The negotiation that carries a link's packets. */
  readonly active: (peer: string) => string | undefined;
  /** Packets that came by the link's datachannels so far. */
  readonly packets: (peer: string) => number;
  /** The direct path takes all packets of the interface. */
  readonly isSpare: (peer: string) => boolean;
  /** Whether it is known that not even the shortest packets which every path should take arrive at the peer. */
  readonly tooNarrow: (peer: string, known: boolean) => void;
  /** Bytes of the longest message on `data` that an engine which was told of this node's interfaces sends whole. */
  readonly fullPacket: () => number;
}

interface Connections extends UpkeepOptions {
  readonly live: LiveConnections;
  readonly filter: CandidateFilter;
  readonly direct: DirectShell;
  readonly drop: (peer: string, negotiation: string, reason: string) => void;
}

interface Active {
  readonly negotiation: string;
  readonly live: LiveConnection;
}

export class UpkeepShell {
  readonly #of: Connections;
  /** Peers to which packets of the usual length are lost. */
  readonly #narrow = new Set<string>();
  #pingCount = 0;
  /** When to ask of full packets. */
  readonly #alarm = new Alarm(() => this.#askFull());

  constructor(connections: Connections) {
    this.#of = connections;
  }

  /** A connection carries the link's packets from now on, or still. Nothing that has to arrive may be behind what is
   *  sent here. */
  begin(peer: string): void {
    const live = this.#active(peer)?.live;
    if (live === undefined || live.full !== undefined || live.roundTrip.asks > 0) return;
    if (!live.answersFull) {
      live.ping();
      return;
    }
    live.full = newFullPackets(performance.now() + (this.#of.direct.isTried(peer) ? directPatience : 0));
    this.#alarm.by(live.full.askAt);
  }

  /** No connection is left. Idempotent. */
  rest(): void {
    this.#alarm.clear();
  }

  /** Whether a connection to the peer should have packets of the least length. */
  isNarrow(peer: string): boolean {
    return this.#narrow.has(peer);
  }

  /** A connection to the peer has ended that had come so far with full packets. */
  ended(peer: string, full: FullPackets | undefined): void {
    if (full !== undefined && isSuspicious(full)) this.#narrow.add(peer);
  }

  /** The link is removed. */
  forget(peer: string): void {
    this.#narrow.delete(peer);
  }

  /** One interval is over. */
  ping(peers: readonly string[]): void {
    const { direct } = this.#of;
    this.#pingCount++;
    for (const peer of peers) {
      if (this.#leaveDetour(peer)) continue;
      const rests = direct.isUp(peer) && !direct.isDoubtful(peer);
      if (rests && this.#pingCount % restingPings !== 0) continue;
      this.#endSilent(peer, maxSilentPings);
      this.#active(peer)?.live.ping();
    }
  }

  /** The direct path has an unanswered probe. */
  suspect(peer: string): void {
    if (!this.#leaveDetour(peer)) this.#active(peer)?.live.ping();
  }

  /** The direct path is lost: is the datachannel too? */
  doubt(peer: string): void {
    const active = this.#active(peer);
    if (active === undefined || this.#leaveDetour(peer)) return;
    this.takeFull(peer, active.negotiation, active.live, { type: 'needed' });
    if (!this.#endSilent(peer, doubts)) active.live.ping();
  }

  takeFull(peer: string, negotiation: string, live: LiveConnection, event: FullPacketsEvent): void {
    const { fullPacket, tooNarrow } = this.#of;
    const effects = live.full === undefined ? [] : step(live.full, event, performance.now());
    for (const effect of effects) {
      if (effect === 'lost') {
        this.#fullAreLost(peer, negotiation, live);
        continue;
      }
      live.sendFull(live.full!.number, fullPacket());
      live.ping();
    }
    if (live.full?.phase === 'arrive') tooNarrow(peer, false);
    this.#alarm.by(live.full?.askAt);
  }

  /** There is a connection with shorter packets; of one that has them there is nothing but to say so, and to look again. */
  #fullAreLost(peer: string, negotiation: string, live: LiveConnection): void {
    if (!live.narrow) {
      this.#of.drop(peer, negotiation, 'full packets are lost');
      return;
    }
    this.#of.tooNarrow(peer, true);
    live.full = newFullPackets(performance.now() + lookAgain);
  }

  #askFull(): void {
    for (const { peer, negotiation, live } of [...this.#of.live.all()]) {
      if (live.full === undefined) continue;
      const spare = live === this.#active(peer)?.live && this.#of.isSpare(peer);
      this.takeFull(peer, negotiation, live, { type: 'tick', number: live.roundTrip.asks + 1, spare });
    }
  }

  /** Ends the connection of which the way to the peer has become one that no link may take: false where that is not so.
   *  It is looked for before the peer's silence that comes of it, and often: a routing daemon that hears nothing by the
   *  link takes the route back. */
  #leaveDetour(peer: string): boolean {
    const { filter, drop } = this.#of;
    const active = this.#active(peer);
    const detour = filter.detour(active?.live.connection.pair());
    if (active === undefined || detour === undefined) return false;
    drop(peer, active.negotiation, detour);
    return true;
  }

  /** Ends the connection after so many pings since the peer was heard of: false where there were less. Packets count: they
   *  were opened, whoever brought them. */
  #endSilent(peer: string, pings: number): boolean {
    const active = this.#active(peer);
    if (active === undefined) return false;
    const { negotiation, live } = active;
    const packets = this.#of.packets(peer);
    if (packets !== live.packets) live.silentPings = 0;
    live.packets = packets;
    if (live.silentPings < pings) return false;
    this.#of.drop(peer, negotiation, silent);
    return true;
  }

  #active(peer: string): Active | undefined {
    const negotiation = this.#of.active(peer);
    const live = negotiation === undefined ? undefined : this.#of.live.get(peer, negotiation);
    return live === undefined ? undefined : { negotiation: negotiation!, live };
  }
}
