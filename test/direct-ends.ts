/** Two reducers of one direct path in virtual time: a reliable `wire` between them, and records that are lost, late and
 *  out of order. Each end is the shell and the engine of its reducer; whatever its effects ask for is checked. */
import assert from 'node:assert/strict';
import { type Direct, type DirectEffect, newDirect, nextDeadline, step } from '../dataplane/core/direct.ts';
import { mayRenew } from '../dataplane/core/keypairs.ts';
import { EventQueue } from './event-queue.ts';
import { mulberry32 } from './mulberry.ts';

export interface Faults {
  /** Probability that a record is lost, in [0, 1]. */
  readonly loss: number;
  /** Milliseconds that a record takes at least and at most: they overtake each other. */
  readonly delay: readonly [number, number];
}

interface Keys {
  readonly peerIndex: number;
  /** Which agreement they are of. */
  readonly name: string;
  heard: boolean;
}

interface KeyMessage {
  readonly negotiation: string;
  readonly generation: number;
  readonly index: number;
  readonly answers: boolean;
}

interface Sealed {
  readonly index: number;
  readonly name: string;
  readonly content:
    | { readonly kind: 'packet' }
    | { readonly kind: 'probe' | 'reply'; readonly number: number; readonly sentAt: number };
}

export class DirectEnd {
  readonly direct: Direct = newDirect(0);
  readonly keypairs = new Map<number, Keys>();
  used: number | null = null;
  carries = false;
  /** What was told of the path: up or not. */
  readonly told: { readonly at: number; readonly up: boolean }[] = [];
  /** Packets by what became of them. Those for which there were no keys any more were lost by us. */
  readonly packets = { sent: 0, received: 0, withoutKeys: 0 };
  exchange: KeyMessage | undefined;
  carrier: { readonly negotiation: string; readonly offered: boolean } | undefined;
  records = 0;

  /** Which keys packets are sealed with while the path is up. */
  get using(): string | undefined {
    const { using } = this.direct.keypairs;
    return using === null ? undefined : this.keypairs.get(using.index)?.name;
  }
}

export class DirectEnds {
  now = 0;
  faults: Faults;
  /** Bytes of the longest IP packet that passes. */
  mtu = 1500;
  readonly a = new DirectEnd();
  readonly b = new DirectEnd();
  /** Ends that no record reaches. */
  readonly deaf = new Set<DirectEnd>();
  /** Every effect of `a`, as it was run. */
  readonly log: { readonly at: number; readonly effect: DirectEffect }[] = [];
  readonly #queue = new EventQueue();
  readonly #random: () => number;
  #indices = 0;
  /** Names of connections that are there. */
  readonly #connections = new Set<string>();

  constructor(seed = 1, faults: Faults = { loss: 0, delay: [10, 10] }) {
    this.#random = mulberry32(seed);
    this.faults = faults;
  }

  /** A connection opens, at either end after a while of its own; the one before it is closed. */
  connect(negotiation: string, { offering = this.a, apart = 0 } = {}): void {
    for (const old of this.#connections) this.disconnect(old);
    this.#connections.add(negotiation);
    const indices = new Map([this.a, this.b].map((end) => [end, ++this.#indices]));
    for (const [end, wait] of [[this.a, 0] as const, [this.b, apart] as const]) {
      this.at(wait, () => this.#ready(end, negotiation, end === offering, indices));
      this.at(apart + (end === this.a ? 10 : 0), () => this.#begin(end, negotiation));
    }
  }

  disconnect(negotiation: string): void {
    this.#connections.delete(negotiation);
    for (const end of [this.a, this.b]) {
      if (end.carrier?.negotiation === negotiation) end.carrier = end.exchange = undefined;
      this.happen(end, { type: 'ended', negotiation });
    }
  }

  /** Both ends send a packet now and then each so many milliseconds. */
  traffic(interval: number): void {
    this.at(interval, () => {
      for (const end of [this.a, this.b]) this.#sendPacket(end);
      this.traffic(interval);
    });
  }

  at(delay: number, run: () => void): void {
    this.#queue.add(this.now + delay, run);
  }

  happen(end: DirectEnd, event: Parameters<typeof step>[1]): void {
    for (const effect of step(end.direct, event, this.now)) this.#run(end, effect);
    const { next, using, previous } = end.direct.keypairs;
    const kept = [...next, using, previous].flatMap((each) => (each === null ? [] : [each.index]));
    assert.deepEqual([...end.keypairs.keys()].sort(), kept.sort(), 'the keypairs there are, and no more');
  }

  pass(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (;;) {
      const [end, deadline] = this.#nextTick();
      const at = Math.min(this.#queue.next, deadline);
      if (at > until) break;
      this.now = Math.max(this.now, at);
      if (this.#queue.next <= at) this.#queue.take()!();
      else this.#tick(end);
    }
    this.now = until;
  }

  chance(): number {
    return this.#random() / 2 ** 32;
  }

  #nextTick(): [DirectEnd, number] {
    const of = ({ direct }: DirectEnd) => nextDeadline(direct) ?? Number.POSITIVE_INFINITY;
    const end = of(this.a) <= of(this.b) ? this.a : this.b;
    return [end, of(end)];
  }

  #tick(end: DirectEnd): void {
    const { packets, records } = end;
    this.happen(end, {
      type: 'tick',
      sent: packets.sent,
      received: packets.received,
      records,
      sealed: 0,
      segmented: 0,
    });
    const next = nextDeadline(end.direct);
    assert.ok(next === undefined || next > this.now, 'time stands still');
  }

  #run(end: DirectEnd, effect: DirectEffect): void {
    if (end === this.a) this.log.push({ at: this.now, effect });
    switch (effect.type) {
      case 'renew': {
        const { negotiation, generation } = effect;
        assert.equal(end.carrier?.negotiation, negotiation, 'keys over a connection that is there');
        end.exchange = { negotiation, generation, index: ++this.#indices, answers: false };
        this.#tellKeys(end, end.exchange);
        return;
      }
      case 'probe': {
        const { index, number, bytes } = effect;
        const content = { kind: 'probe', number, sentAt: this.now } as const;
        assert.ok(end.keypairs.has(index), 'a probe under keys that are there');
        if (bytes <= this.mtu) this.#send(end, index, content);
        return;
      }
      case 'ask':
        assert.ok(end.keypairs.has(effect.index), 'a question under keys that are there');
        return;
      case 'use':
        assert.ok(effect.index === null || end.keypairs.has(effect.index), 'keys in use that are there');
        end.used = effect.index;
        return;
      case 'remove':
        assert.notEqual(end.used, effect.index, 'keys in use removed');
        assert.ok(end.keypairs.delete(effect.index), 'keys removed that are there');
        return;
      case 'fit':
        assert.ok(effect.bytes >= 1280 && effect.bytes <= this.mtu);
        return;
      case 'tell-peer': {
        const other = end === this.a ? this.b : this.a;
        const negotiation = end.carrier?.negotiation;
        if (negotiation === undefined) return;
        this.at(10, () => {
          if (this.#connections.has(negotiation)) this.happen(other, { type: 'unheard' });
        });
        return;
      }
      case 'prove':
        assert.ok(end.keypairs.has(effect.index), 'a proof of keys that are there');
        this.#send(end, effect.index, { kind: 'probe', number: 0, sentAt: this.now });
        return;
      case 'carry':
        end.carries = effect.on;
        return;
      case 'tell': {
        const up = end.direct.phase === 'up';
        assert.notEqual(end.told.at(-1)?.up ?? false, up, 'only changes are told');
        assert.equal(end.carries, up, 'packets go by the path while it is up');
        assert.ok(!up || end.used !== null, 'and are sealed');
        end.told.push({ at: this.now, up });
      }
    }
  }

  /** The end opens what is sealed with the first keys, and says so. */
  #ready(
    end: DirectEnd,
    negotiation: string,
    offered: boolean,
    indices: ReadonlyMap<DirectEnd, number>,
  ): void {
    if (!this.#connections.has(negotiation)) return;
    end.carrier = { negotiation, offered };
    end.exchange = undefined;
    const said = (of: DirectEnd) => ({ negotiation, generation: 0, index: indices.get(of)!, answers: false });
    this.#install(end, said(end), said(this.#other(end)));
  }

  /** Both ends are ready. */
  #begin(end: DirectEnd, negotiation: string): void {
    if (!this.#connections.has(negotiation)) return;
    this.happen(end, { type: 'active', negotiation });
    this.happen(end, { type: 'begin' });
  }

  /** Reliable, and in order: all of them take the same time. */
  #tellKeys(from: DirectEnd, message: KeyMessage): void {
    const to = this.#other(from);
    this.at(this.faults.delay[1], () => {
      if (!this.#connections.has(message.negotiation)) return;
      if (to.carrier?.negotiation === message.negotiation) this.#hearKeys(to, message);
    });
  }

  #hearKeys(end: DirectEnd, theirs: KeyMessage): void {
    const { negotiation, generation } = theirs;
    if (end.carrier?.offered === false) {
      assert.ok(mayRenew(end.direct.keypairs, negotiation, generation));
      const ours = { negotiation, generation, index: ++this.#indices, answers: true };
      this.#install(end, ours, theirs);
      this.#tellKeys(end, ours);
      return;
    }
    const { exchange } = end;
    assert.equal(exchange?.generation, generation, 'an answer to what was asked');
    end.exchange = undefined;
    this.#install(end, exchange!, theirs);
  }

  #install(end: DirectEnd, { negotiation, generation, index }: KeyMessage, theirs: KeyMessage): void {
    const name = `${negotiation} ${generation}`;
    end.keypairs.set(index, { peerIndex: theirs.index, name, heard: false });
    const offered = end.carrier!.offered;
    this.happen(end, { type: 'installed', negotiation, offered, generation, index });
  }

  #sendPacket(end: DirectEnd): void {
    if (end.used === null || !end.carries) return;
    end.packets.sent++;
    this.#send(end, end.used, { kind: 'packet' });
  }

  #send(from: DirectEnd, index: number, content: Sealed['content']): void {
    const { peerIndex, name } = from.keypairs.get(index)!;
    from.records++;
    const to = this.#other(from);
    const [least, most] = this.faults.delay;
    if (this.chance() < this.faults.loss) return;
    this.at(least + (most - least) * this.chance(), () => {
      if (!this.deaf.has(to)) this.#receive(to, { index: peerIndex, name, content });
    });
  }

  #receive(end: DirectEnd, { index, name, content }: Sealed): void {
    const keys = end.keypairs.get(index);
    if (keys === undefined) {
      if (content.kind === 'packet') end.packets.withoutKeys++;
      return;
    }
    assert.equal(keys.name, name, 'both ends mean the same keys');
    end.records++;
    if (content.kind === 'packet') end.packets.received++;
    const first = !keys.heard;
    keys.heard = true;
    if (content.kind === 'probe') this.#send(end, index, { ...content, kind: 'reply' });
    if (first) this.happen(end, { type: 'heard', index });
    if (content.kind === 'reply')
      this.happen(end, {
        type: 'answered',
        index,
        number: content.number,
        rtt: this.now - content.sentAt,
        opened: null,
      });
  }

  #other(end: DirectEnd): DirectEnd {
    return end === this.a ? this.b : this.a;
  }
}
