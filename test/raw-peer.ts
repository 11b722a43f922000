/** A peer that speaks WebRTC on a fake network and has the keys of its link; all else is the test's. */
import { Agreement, type Described } from '../dataplane/io/agreement.ts';
import type { Said } from '../dataplane/io/channel-records.ts';
import { fingerprintOf } from '../dataplane/io/engine/sdp.ts';
import type { Connection } from '../dataplane/io/webrtc.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { type ChannelName, type WireMessage, wireMessage } from '../protocol/wire.ts';
import { attemptWith, type Pairs, type Side } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';

const negotiation = 'r';

export class RawPeer {
  readonly id: string;
  readonly connection: Connection;
  /** What the other end said on `wire`. */
  readonly heard: WireMessage[] = [];
  hears: (message: WireMessage) => void = () => {};
  agreement: Agreement | undefined;
  readonly #a: Side;
  readonly #receiving: { readonly index: number; readonly udp: boolean };
  readonly #open = new Set<ChannelName>();

  /** `udp`: it says that it has a direct path. */
  constructor(pairs: Pairs, a: Side, { id = 'raw', udp = false } = {}) {
    this.id = id;
    this.#a = a;
    this.#receiving = { index: 1000, udp };
    this.connection = pairs.network.engine(id).connect(
      { route: 'shared', iceServers: [] },
      {
        candidate: (candidate) => a.shell.notification('candidate', { peer: id, negotiation, candidate }),
        state: () => {},
        open: (channel) => this.#open.add(channel),
        message: (channel, bytes) => this.#message(channel, bytes),
        drain: () => {},
        paired: () => {},
        unserved: () => {},
        misused: () => {},
      },
    );
  }

  get isOpen(): boolean {
    return this.#open.size === 3;
  }

  /** Answers an offer that it asks `a` for. */
  async answer(): Promise<void> {
    const { sdp, keys } = await this.#a.shell.request('offer', attemptWith(this.id, negotiation));
    this.agreement = Agreement.answer(this.#parties(), this.#receiving, keys);
    const answer = await this.connection.answer(sdp);
    this.agreement.conclude(describedBy(answer), { ...describedBy(sdp), keys });
    const accepted = { sdp: answer, keys: this.agreement.keys, epochs };
    await this.#a.shell.request('accept', { peer: this.id, negotiation, ...accepted });
  }

  /** Offers, and has `a` answer. */
  async offer(): Promise<void> {
    this.agreement = Agreement.offer(this.#parties(), this.#receiving);
    const offer = { sdp: await this.connection.offer(), keys: this.agreement.keys, epochs };
    const attempt = attemptWith(this.id, negotiation);
    const { sdp, keys } = await this.#a.shell.request('answer', { ...attempt, ...offer });
    this.agreement.conclude(describedBy(offer.sdp), { ...describedBy(sdp), keys });
    await this.connection.accept(sdp);
  }

  /** On `wire`. */
  say(message: unknown): void {
    this.send('wire', encode(message));
  }

  /** As the record that it has to be. */
  send(said: Said, content: Uint8Array): void {
    this.connection.send(said === 'full' ? 'data' : said, this.agreement!.channels!.seal(said, content));
  }

  #parties() {
    const identityOf = (id: string) => attemptWith(id, '').identity;
    const party = (id: string) => ({ id, identity: identityOf(id) });
    return { negotiation, ours: party(this.id), theirs: party(this.#a.id) };
  }

  #message(channel: ChannelName, bytes: Uint8Array): void {
    if (channel !== 'wire') return;
    const message = parse(wireMessage, this.agreement!.channels!.open('wire', bytes)!);
    this.heard.push(message);
    this.hears(message);
  }
}

function describedBy(sdp: string): Described {
  return { epoch: epochs.ours, fingerprint: fingerprintOf(sdp) };
}
