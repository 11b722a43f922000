/** The links of two ends in virtual time, as far as their interfaces’ MTU goes: connections come and go, each a `wire`
 *  that keeps its order and loses what is under way when it ends. */
import {
  type LinkConfig,
  type LinkEvent,
  type Links,
  newLinks,
  nextDeadline,
  step,
} from '../dataplane/core/link.ts';
import type { WireMessage } from '../protocol/wire.ts';
import { EventQueue } from './event-queue.ts';

export interface LinkEnd {
  readonly links: Links;
  /** Each MTU that its interface had, from when on. */
  readonly mtus: { readonly at: number; readonly mtu: number }[];
  /** It says nothing of the MTU, as dataplanes once did, and does not understand what is said of it. */
  readonly silent: boolean;
}

export class LinkEnds {
  now = 0;
  /** Milliseconds that a message takes at most. */
  readonly delay: number;
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  messages = 0;
  readonly #chance: () => number;
  readonly #queue = new EventQueue();
  /** By connection and receiver, when the last message under way arrives. */
  readonly #arrivals = new Map<string, number>();
  readonly #connections = new Set<string>();
  #made = 0;

  /** `chance`: in [0, 1). */
  constructor(
    [a, b]: readonly [Partial<LinkConfig>, Partial<LinkConfig>],
    { delay = 20, chance = (): number => 0, silent = false } = {},
  ) {
    const config = { packetInformation: false, mtu: 1500, autoMtu: true };
    this.a = { links: newLinks({ ...config, ...a }), mtus: [], silent: false };
    this.b = { links: newLinks({ ...config, ...b }), mtus: [], silent };
    this.delay = delay;
    this.#chance = chance;
  }

  /** A connection opens in place of the one of its route. */
  connect(route: 'shared' | 'relay' = 'shared'): void {
    this.disconnect(route);
    const negotiation = `${route} ${++this.#made}`;
    this.#connections.add(negotiation);
    for (const end of [this.a, this.b]) {
      this.happen(end, { type: 'connect', peer: 'p', negotiation, route });
      for (const channel of ['wire', 'signal', 'data'] as const)
        this.happen(end, { type: 'open', peer: 'p', negotiation, channel });
    }
  }

  disconnect(route: 'shared' | 'relay'): void {
    for (const negotiation of this.#connections) {
      if (!negotiation.startsWith(route)) continue;
      this.#connections.delete(negotiation);
      for (const end of [this.a, this.b])
        this.happen(end, { type: 'ended', peer: 'p', negotiation, reason: 'cut' });
    }
  }

  fits(end: LinkEnd, bytes: number, searching = false): void {
    this.happen(end, { type: 'fits', peer: 'p', bytes, searching });
  }

  happen(end: LinkEnd, event: LinkEvent): void {
    for (const effect of step(end.links, event, this.now)) {
      if (effect.type === 'open-interface' || effect.type === 'set-mtu')
        end.mtus.push({ at: this.now, mtu: effect.mtu });
      if (effect.type === 'send-wire') this.#send(end, effect.negotiation, effect.message);
    }
  }

  pass(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const of = ({ links }: LinkEnd) => nextDeadline(links) ?? Number.POSITIVE_INFINITY;
      const end = of(this.a) <= of(this.b) ? this.a : this.b;
      const at = Math.min(this.#queue.next, of(end));
      if (at > until) break;
      this.now = Math.max(this.now, at);
      if (this.#queue.next <= at) this.#queue.take()!();
      else this.happen(end, { type: 'tick' });
    }
    this.now = until;
  }

  mtuOf({ mtus }: LinkEnd): number | undefined {
    return mtus.at(-1)?.mtu;
  }

  #send(from: LinkEnd, negotiation: string, message: WireMessage): void {
    const to = from === this.a ? this.b : this.a;
    if (to.silent && message.type === 'mtu') return;
    this.messages += 1;
    const { carries, ...rest } = { carries: undefined, ...message };
    const said = (from.silent || carries === undefined ? rest : message) as WireMessage;
    if (from.silent && message.type === 'mtu') return;
    const key = `${negotiation} ${to === this.a}`;
    const at = Math.max(this.#arrivals.get(key) ?? 0, this.now + this.delay * (1 - this.#chance() / 2));
    this.#arrivals.set(key, at);
    this.#queue.add(at, () => {
      if (this.#connections.has(negotiation))
        this.happen(to, { type: 'wire', peer: 'p', negotiation, message: said });
    });
  }
}
