/** The shell's part for the keys of links: it installs what an agreement yields, and says what the reducer is to be told. */

import { type Bucket, take } from '../protocol/bucket.ts';
import type { RenewMessage } from '../protocol/keys.ts';
import type { Log } from '../protocol/log.ts';
import type { WireMessage } from '../protocol/wire.ts';
import { type Keypairs, type KeypairsEvent, mayRenew } from './core/keypairs.ts';
import type { Agreement } from './io/agreement.ts';
import type { DirectLink, Keypair } from './io/direct.ts';
import type { Receiving } from './io/link-keys.ts';
import { ReceiverIndices } from './io/receiver-indices.ts';

export interface KeysShellOptions {
  readonly log: Log;
  /** Of a connection that is there. */
  agreement(peer: string, negotiation: string): Agreement | undefined;
  send(peer: string, negotiation: string, message: WireMessage): void;
  /** The peer did more than any node does. */
  refused(cause: string): void;
}

type Installed = KeypairsEvent & { readonly type: 'installed' };

/** What a link has of its own. */
interface Held {
  readonly link: DirectLink;
  readonly keypairs: Keypairs;
  readonly renewals: Bucket;
}

export class KeysShell {
  readonly #options: KeysShellOptions;
  readonly #indices = new ReceiverIndices();

  constructor(options: KeysShellOptions) {
    this.#options = options;
  }

  /** For the first keys of a negotiation: an index that no keypair has. */
  receiving(about: Omit<Receiving, 'index'>): Receiving {
    return { index: this.#indices.next(), ...about };
  }

  /** Whose keypair that is. */
  ownerOf(index: number): string | undefined {
    return this.#indices.ownerOf(index);
  }

  /** The first keypair of a negotiation opens what comes from now on; undefined where there is none, or it does already. */
  first(peer: string, negotiation: string, link: DirectLink): Installed | undefined {
    const agreement = this.#options.agreement(peer, negotiation);
    const keypair = agreement?.takeFirst();
    return (
      keypair &&
      this.#install(peer, link, { negotiation, offered: agreement!.offered, generation: 0 }, keypair)
    );
  }

  /** Asks the peer for keys of this generation. */
  ask(peer: string, negotiation: string, generation: number): void {
    const agreement = this.#options.agreement(peer, negotiation);
    if (agreement === undefined) return;
    const message = agreement.ask(generation, () => this.#indices.next(agreement.keys.index));
    this.#options.send(peer, negotiation, message);
  }

  /** The peer asks for the next keys, or answers. Undefined where that is not to be heeded. Throws `bad_message`. */
  take(peer: string, negotiation: string, message: RenewMessage, held: Held): Installed | undefined {
    const agreement = this.#options.agreement(peer, negotiation);
    if (agreement === undefined) return undefined;
    const of = { negotiation, offered: agreement.offered, generation: message.generation };
    if (agreement.offered) {
      const keypair = agreement.take(message);
      return keypair && this.#install(peer, held.link, of, keypair);
    }
    if (!mayRenew(held.keypairs, negotiation, message.generation)) return undefined;
    if (!take(held.renewals, 1, performance.now())) {
      this.#options.refused('renewal');
      return undefined;
    }
    const answer = agreement.answer(message, this.#indices.next(agreement.keys.index));
    const installed = this.#install(peer, held.link, of, answer.keypair);
    this.#options.send(peer, negotiation, answer.message);
    return installed;
  }

  remove(index: number, link: DirectLink): void {
    link.remove(index);
    this.#indices.delete(index);
  }

  /** The link of the peer is gone, and its keypairs with it. */
  forget(peer: string): void {
    for (const index of this.#indices.of(peer)) this.#indices.delete(index);
  }

  #install(
    peer: string,
    link: DirectLink,
    of: Omit<Installed, 'type' | 'index'>,
    { index, ...keypair }: Keypair,
  ): Installed | undefined {
    const isNew = link.add({ index, ...keypair });
    keypair.sendKey.fill(0);
    keypair.receiveKey.fill(0);
    if (!isNew) return undefined;
    this.#indices.set(index, peer);
    const { generation } = of;
    this.#options.log.debug('keys of a link', { peer, generation, cipher: keypair.cipher });
    return { type: 'installed', ...of, index };
  }
}
