/**
 * The two sides of the WebSocket handshake as machines without a socket: bytes in, bytes out. Format and keys:
 * `protocol/handshake.ts`.
 *
 *   client   start ──hello──► hello received ──proof──► proven      (or refused)
 *   server   hello received ──hello──► proof received ──proof──► proven   (or refuses)
 */
import { randomBytes } from 'node:crypto';
import { CryonetError } from '../../protocol/errors.ts';
import {
  type Hello,
  handshakeMessage,
  helloMessage,
  proofMessage,
  type RefuseCode,
} from '../../protocol/handshake.ts';
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import { domain } from '../../protocol/signaling.ts';
import { prefixed } from '../core/environment.ts';
import {
  type Ephemeral,
  equal,
  expand,
  FrameCipher,
  mac,
  newEphemeral,
  sha256,
  signWith,
  verifyWith,
} from './crypto.ts';
import type { Identity } from './state-directory.ts';

export interface Local {
  readonly id: string;
  /** Read for each handshake anew: it grows where the mesh knows a later start of ours. */
  epoch: number;
  readonly identity: Identity;
  readonly tokenKey: Uint8Array;
}

/** The other side, once it has proved itself, and the ciphers of the frames that follow. */
export interface Proven {
  readonly peer: Hello;
  readonly outgoing: FrameCipher;
  readonly incoming: FrameCipher;
}

export class ClientHandshake {
  readonly #local: Local;
  readonly #ephemeral = newEphemeral();
  readonly #hello: Uint8Array;
  #server: { hello: Hello; transcript: Uint8Array } | undefined;

  constructor(local: Local) {
    this.#local = local;
    this.#hello = makeHello(local, this.#ephemeral);
  }

  start(): Uint8Array {
    return this.#hello;
  }

  /** The next message to send, or the proven server. Throws what the server refused with, `wrong_token` where it
   *  cannot prove the token, or `bad_message`. */
  receive(frame: Uint8Array): { send: Uint8Array } | { proven: Proven } {
    const message = parse(handshakeMessage, frame);
    if (message.type === 'refuse') throw new Refused(message.code, message.key);
    if (message.type === 'hello' && this.#server === undefined) {
      if (equal(message.key, this.#local.identity.publicKey) && message.epoch === this.#local.epoch) {
        throw new CryonetError('self_connection');
      }
      const transcript = sha256(this.#hello, frame);
      this.#server = { hello: message, transcript };
      return { send: makeProof(this.#local, domain.clientProof, transcript) };
    }
    if (message.type !== 'proof' || this.#server === undefined)
      throw new CryonetError('bad_message', 'out of order');
    const { hello, transcript } = this.#server;
    if (!proofHolds(this.#local, hello, message, domain.serverProof, transcript)) {
      throw new CryonetError('wrong_token', 'the server does not have the same token');
    }
    return { proven: conclude(this.#local, hello, this.#ephemeral, transcript, 'client') };
  }
}

export class ServerHandshake {
  readonly #local: Local;
  readonly #ephemeral = newEphemeral();
  #client: { hello: Hello; transcript: Uint8Array } | undefined;

  constructor(local: Local) {
    this.#local = local;
  }

  /** The next message to send, or the proven client together with the last one. Throws `wrong_token` or
   *  `bad_message`; the caller may still refuse a proven client. */
  receive(frame: Uint8Array): { send: Uint8Array } | { proven: Proven; send: Uint8Array } {
    if (this.#client === undefined) {
      const hello = parse(helloMessage, frame);
      const reply = makeHello(this.#local, this.#ephemeral);
      this.#client = { hello, transcript: sha256(frame, reply) };
      return { send: reply };
    }
    const { hello, transcript } = this.#client;
    if (!proofHolds(this.#local, hello, parse(proofMessage, frame), domain.clientProof, transcript)) {
      throw new CryonetError('wrong_token', 'the client does not have the same token');
    }
    return {
      proven: conclude(this.#local, hello, this.#ephemeral, transcript, 'server'),
      send: makeProof(this.#local, domain.serverProof, transcript),
    };
  }
}

/** What a server refuses a client with. It comes before the server's proof: whoever is on the way can say it, too. */
export class Refused extends CryonetError {
  /** The key that has the ID, where the server told it. */
  readonly key: Uint8Array | undefined;

  constructor(code: RefuseCode, key: Uint8Array | undefined) {
    super(code, `refused by the server: ${refusals[code]}`);
    this.key = key;
  }
}

export function refusal(code: RefuseCode, key?: Uint8Array): Uint8Array {
  return encode({ type: 'refuse', code, ...(key === undefined ? {} : { key }) });
}

const refusals: Readonly<Record<RefuseCode, string>> = {
  wrong_token: 'the token is not the one of this mesh',
  id_in_use: 'another running node has this ID',
  identity_mismatch: 'this ID belongs to another identity key',
  denied: 'denied by its policy',
  version_mismatch: 'it speaks another version',
};

function makeHello(local: Local, ephemeral: Ephemeral): Uint8Array {
  return encode({
    type: 'hello',
    id: local.id,
    key: local.identity.publicKey,
    epoch: local.epoch,
    nonce: new Uint8Array(randomBytes(32)),
    dh: ephemeral.publicKey,
  });
}

function makeProof(local: Local, label: string, transcript: Uint8Array): Uint8Array {
  const message = prefixed(label, transcript);
  return encode({
    type: 'proof',
    mac: mac(local.tokenKey, message),
    signature: signWith(local.identity, message),
  });
}

function proofHolds(
  local: Local,
  hello: Hello,
  proof: { mac: Uint8Array; signature: Uint8Array },
  label: string,
  transcript: Uint8Array,
): boolean {
  const message = prefixed(label, transcript);
  return equal(mac(local.tokenKey, message), proof.mac) && verifyWith(hello.key, message, proof.signature);
}

function conclude(
  local: Local,
  peer: Hello,
  ephemeral: Ephemeral,
  transcript: Uint8Array,
  side: 'client' | 'server',
): Proven {
  const secret = agree(ephemeral, peer);
  const keys = expand(secret, local.tokenKey, prefixed('cryonet.2 frames', transcript), 64);
  const [toServer, toClient] = [new FrameCipher(keys.slice(0, 32)), new FrameCipher(keys.slice(32))];
  return side === 'client'
    ? { peer, outgoing: toServer, incoming: toClient }
    : { peer, outgoing: toClient, incoming: toServer };
}

function agree(ephemeral: Ephemeral, peer: Hello): Uint8Array {
  try {
    return ephemeral.agree(peer.dh);
  } catch (cause) {
    throw new CryonetError('bad_message', 'dh: no key that can be used', { cause });
  }
}
