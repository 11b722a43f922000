/** What two nodes agree on of the keys of a link, by one negotiation (`protocol/keys.ts`): with its descriptions the keys of
 *  its connection's channels and the first keypair, over its `wire` the next ones. */
import type { LinkKeys, RenewMessage } from '../../protocol/keys.ts';
import { ChannelRecords, type Said } from './channel-records.ts';
import type { Keypair } from './direct.ts';
import {
  commonCipher,
  firstKeys,
  type Keys,
  newAnswerKeys,
  newOfferKeys,
  newX25519,
  nextKeys,
  type Receiving,
  saidKeys,
} from './link-keys.ts';

export interface AgreementParties {
  readonly negotiation: string;
  readonly ours: Party;
  readonly theirs: Party;
}

interface Party {
  readonly id: string;
  /** Ed25519, 32 bytes. */
  readonly identity: Uint8Array;
}

/** What a side is known by once its description is there. */
export interface Described {
  readonly epoch: number;
  /** Of the DTLS certificate. */
  readonly fingerprint: string;
}

type X25519 = ReturnType<typeof newX25519>;

export class Agreement {
  /** We made the offer: we begin a renewal. */
  readonly offered: boolean;
  /** Ours, for our description. */
  readonly keys: LinkKeys;
  readonly #parties: AgreementParties;
  /** The secret that we share with who has these keys. */
  readonly #agree: (theirs: LinkKeys) => Uint8Array;
  #theirs: LinkKeys | undefined;
  #chain: Uint8Array | undefined;
  /** The renewal that we asked for last. */
  #asked: { readonly message: RenewMessage; readonly x25519: X25519 } | undefined;
  #first: Keypair | undefined;
  #channels: ChannelRecords | undefined;

  private constructor(
    parties: AgreementParties,
    keys: LinkKeys,
    agree: (theirs: LinkKeys) => Uint8Array,
    offered: boolean,
  ) {
    this.#parties = parties;
    this.keys = keys;
    this.#agree = agree;
    this.offered = offered;
  }

  /** Our offer. */
  static offer(parties: AgreementParties, receiving: Receiving): Agreement {
    const { keys, agree } = newOfferKeys(receiving);
    return new Agreement(parties, keys, agree, true);
  }

  /** Our answer to that offer. Throws `bad_message`. */
  static answer(parties: AgreementParties, receiving: Receiving, offer: LinkKeys): Agreement {
    const { keys, secret } = newAnswerKeys(receiving, offer);
    return new Agreement(parties, keys, () => secret, false);
  }

  /** Both descriptions are there. Throws `bad_message`. */
  conclude(ours: Described, theirs: Described & { readonly keys: LinkKeys }): void {
    const { negotiation, ...parties } = this.#parties;
    const secret = this.#agree(theirs.keys);
    const ourSide = { ...parties.ours, ...ours, keys: this.keys };
    const keys = firstKeys(secret, negotiation, ourSide, { ...parties.theirs, ...theirs }, this.offered);
    this.#theirs = theirs.keys;
    const of = (said: Said) => saidKeys(keys.chain, said, this.offered);
    this.#channels = new ChannelRecords({
      cipher: commonCipher(this.keys, theirs.keys),
      index: this.keys.index,
      peerIndex: theirs.keys.index,
      keys: { signal: of('signal'), wire: of('wire'), full: of('full') },
    });
    this.#first = this.#keypair(keys, this.keys.index, theirs.keys.index);
  }

  /** Of what the connection's channels say; undefined until both descriptions are there. */
  get channels(): ChannelRecords | undefined {
    return this.#channels;
  }

  /** Both ends take records by UDP. */
  get udp(): boolean {
    return this.keys.udp && this.#theirs?.udp === true;
  }

  /** What the peer's interface is, where its description says so. */
  get theirInterface(): LinkKeys['interface'] {
    return this.#theirs?.interface;
  }

  /** The first keypair, once: its counters begin at 0. Its keys are the caller's to wipe. */
  takeFirst(): Keypair | undefined {
    const first = this.#first;
    this.#first = undefined;
    return first;
  }

  /** What asks for the next keys; the same message while that is not answered, so that a late answer to it counts. */
  ask(generation: number, index: () => number): RenewMessage {
    if (this.#asked?.message.generation !== generation) {
      const x25519 = newX25519();
      const message = { type: 'renew', generation, index: index(), x25519: x25519.publicKey } as const;
      this.#asked = { message, x25519 };
    }
    return this.#asked.message;
  }

  /** The next keypair, where this answers what we asked. Throws `bad_message`. */
  take(answer: RenewMessage): Keypair | undefined {
    const asked = this.#asked;
    if (asked === undefined || answer.generation !== asked.message.generation) return undefined;
    if (answer.echo === undefined || Buffer.compare(answer.echo, asked.message.x25519) !== 0)
      return undefined;
    this.#asked = undefined;
    return this.#next(asked.x25519.agree(answer.x25519), asked.message, answer);
  }

  /** The next keypair for who asks, and what to answer. Throws `bad_message`. */
  answer(asked: RenewMessage, index: number): { readonly keypair: Keypair; readonly message: RenewMessage } {
    const x25519 = newX25519();
    const message: RenewMessage = {
      type: 'renew',
      generation: asked.generation,
      index,
      x25519: x25519.publicKey,
      echo: asked.x25519,
    };
    return { keypair: this.#next(x25519.agree(asked.x25519), message, asked), message };
  }

  #next(secret: Uint8Array, ours: RenewMessage, theirs: RenewMessage): Keypair {
    const keys = nextKeys(this.#chain!, secret, ours, theirs, this.offered);
    return this.#keypair(keys, ours.index, theirs.index);
  }

  #keypair({ sendKey, receiveKey, chain }: Keys, index: number, peerIndex: number): Keypair {
    this.#chain = chain;
    const theirs = this.#theirs!;
    return {
      index,
      peerIndex,
      cipher: commonCipher(this.keys, theirs),
      sendKey,
      receiveKey,
      ecn: theirs.ecn,
    };
  }
}
