/**
 * The two sides of the WebSocket handshake as machines without a socket: bytes in, bytes out. `protocol/handshake.ts` has
 * the format and the keys.
 *
 *   client   start ──hello──► hello received ──proof──► proven      (or refused, or refuses)
 *   server   hello received ──hello──► proof received ──proof──► proven   (or refuses, or refused)
 */
import { randomBytes } from 'node:crypto';
import { CryonetError } from '../../protocol/errors.ts';
import {
  type Hello,
  handshakeMessage,
  helloMessage,
  proofMessage,
  type Refusal,
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
  type TokenKeys,
  verifyWith,
} from './crypto.ts';
import type { Identity } from './state-directory.ts';

export interface Local {
  readonly id: string;
  /** Read anew for each handshake, because it grows when the mesh knows a later start of ours. */
  epoch: number;
  readonly identity: Identity;
  /** The first is our own; who proves to have another one is let in as well. */
  tokenKeys: TokenKeys;
}

/** The other side once it has proved itself, and the ciphers of the frames that follow. */
export interface Proven {
  readonly peer: Hello;
  readonly outgoing: FrameCipher;
  readonly incoming: FrameCipher;
}

/** Decides why the other side is refused; undefined if it is not. What it throws ends the handshake before anything is
 *  proved. */
export type Judge = (other: Hello) => Refusal | undefined;

/** What the proofs of either side begin with. */
type Domains = Readonly<Record<'client' | 'server' | 'clientRefusal' | 'serverRefusal', string>>;

const ofMembers: Domains = {
  client: domain.clientProof,
  server: domain.serverProof,
  clientRefusal: domain.clientRefusal,
  serverRefusal: domain.serverRefusal,
};

/** Where the client has an invitation in place of a token. */
export const ofInvitees: Domains = {
  client: domain.inviteeProof,
  server: domain.inviterProof,
  clientRefusal: domain.inviteeRefusal,
  serverRefusal: domain.inviterRefusal,
};

export class ClientHandshake {
  readonly #local: Local;
  readonly #judge: Judge;
  readonly #ephemeral = newEphemeral();
  readonly #hello: Uint8Array;
  /** One for the whole handshake, whatever tokens the node has by its end. */
  readonly #key: Uint8Array;
  readonly #domains: Domains;
  #server: { hello: Hello; transcript: Uint8Array; refusal: Refusal | undefined } | undefined;

  constructor(local: Local, judge: Judge = () => undefined, domains = ofMembers) {
    this.#local = local;
    this.#judge = judge;
    this.#domains = domains;
    this.#key = local.tokenKeys[0];
    this.#hello = makeHello(local, this.#ephemeral);
  }

  start(): Uint8Array {
    return this.#hello;
  }

  /** Returns the next message to send, or the proven server. Throws `Refused` if the server refuses us, `Unwanted` if we
   *  refuse the proven server, `wrong_token` if it cannot prove the token, `self_connection` if it is this node, or
   *  `bad_message`. */
  receive(frame: Uint8Array): { send: Uint8Array } | { proven: Proven } {
    const message = parse(handshakeMessage, frame);
    const [local, server] = [this.#local, this.#server];
    if (message.type === 'refuse') throw this.#refused(message);
    if (message.type === 'hello' && server === undefined) {
      const transcript = sha256(this.#hello, frame);
      const refusal = isSelf(local, message) ? undefined : this.#judge(message);
      this.#server = { hello: message, transcript, refusal };
      return { send: this.#proof(transcript, refusal) };
    }
    if (message.type !== 'proof' || server === undefined)
      throw new CryonetError('bad_message', 'out of order');
    const { hello, transcript, refusal } = server;
    if (provenBy([this.#key], hello, message, prefixed(this.#domains.server, transcript)) === undefined) {
      throw new CryonetError('wrong_token', 'the server does not have the same token');
    }
    if (isSelf(local, hello)) throw new CryonetError('self_connection');
    if (refusal !== undefined) throw new Unwanted(hello, refusal);
    return { proven: conclude(this.#key, hello, this.#ephemeral, transcript, 'client') };
  }

  #proof(transcript: Uint8Array, refusal: Refusal | undefined): Uint8Array {
    const [local, domains] = [this.#local, this.#domains];
    if (refusal === undefined)
      return encode({ type: 'proof', ...proofOf(local, this.#key, prefixed(domains.client, transcript)) });
    const said = refusalBytes(domains.clientRefusal, transcript, refusal);
    return encode({ type: 'proof', ...proofOf(local, this.#key, said), refuse: refusalFields(refusal) });
  }

  #refused(message: Refusal & { mac?: Uint8Array | undefined; signature?: Uint8Array | undefined }): Refused {
    const { mac, signature } = message;
    if (this.#server === undefined || mac === undefined || signature === undefined) {
      return new Refused(message, undefined);
    }
    const { hello, transcript } = this.#server;
    const said = refusalBytes(this.#domains.serverRefusal, transcript, message);
    const key = provenBy([this.#key], hello, { mac, signature }, said);
    return new Refused(message, key && hello);
  }
}

/** The key of who is invited by an invitation with this public key; undefined if there is none. */
export type Invited = (publicKey: Uint8Array) => Uint8Array | undefined;

export class ServerHandshake {
  readonly #local: Local;
  readonly #invited: Invited;
  readonly #ephemeral = newEphemeral();
  #client: { hello: Hello; transcript: Uint8Array } | undefined;
  /** That of the token which the client has proved to have, or of its invitation. */
  #key: Uint8Array | undefined;
  #domains = ofMembers;

  constructor(local: Local, invited: Invited = () => undefined) {
    this.#local = local;
    this.#invited = invited;
  }

  /** Returns the next message to send; or the proven client, the last message to send, why the client refuses us, if it
   *  does, and whether it is invited and no member. Throws `wrong_token` or `bad_message`. The caller may still refuse a
   *  proven client. */
  receive(
    frame: Uint8Array,
  ):
    | { send: Uint8Array }
    | { proven: Proven; send: Uint8Array; refusal: Refusal | undefined; isInvited: boolean } {
    if (this.#client === undefined) {
      const hello = parse(helloMessage, frame);
      const reply = makeHello(this.#local, this.#ephemeral);
      this.#client = { hello, transcript: sha256(frame, reply) };
      return { send: reply };
    }
    const { hello, transcript } = this.#client;
    const proof = parse(proofMessage, frame);
    const { refuse: refusal } = proof;
    // Looked up as late as this: a hello has cost its sender nothing.
    const invitation = this.#invited(hello.key);
    if (invitation !== undefined) this.#domains = ofInvitees;
    const said = refusal
      ? refusalBytes(this.#domains.clientRefusal, transcript, refusal)
      : prefixed(this.#domains.client, transcript);
    const keys = invitation === undefined ? this.#local.tokenKeys : [invitation];
    const key = provenBy(keys, hello, proof, said);
    if (key === undefined) {
      throw new CryonetError('wrong_token', 'the client does not have the same token');
    }
    this.#key = key;
    return {
      proven: conclude(key, hello, this.#ephemeral, transcript, 'server'),
      send: encode({
        type: 'proof',
        ...proofOf(this.#local, key, prefixed(this.#domains.server, transcript)),
      }),
      refusal,
      isInvited: invitation !== undefined,
    };
  }

  /** The last message to a proven client that is refused. */
  refuse(refusal: Refusal): Uint8Array {
    const said = refusalBytes(this.#domains.serverRefusal, this.#client!.transcript, refusal);
    return encode({ type: 'refuse', ...refusalFields(refusal), ...proofOf(this.#local, this.#key!, said) });
  }
}

/** The server refused this client. */
export class Refused extends CryonetError {
  readonly refusal: Refusal;
  /** Undefined if the server did not prove itself; then anybody on the way may have sent the refusal. */
  readonly server: Hello | undefined;

  constructor(refusal: Refusal, server: Hello | undefined) {
    super(refusal.code, `refused by the server: ${refusals[refusal.code]}`);
    this.refusal = refusal;
    this.server = server;
  }
}

/** This client refused a proven server. */
export class Unwanted extends CryonetError {
  readonly server: Hello;

  constructor(server: Hello, { code }: Refusal) {
    super(code, `the server is refused: ${unwanted(server, code)}`);
    this.server = server;
  }
}

/** The message that refuses a client which has not proved itself. It has no proof. */
export function refusal(code: Refusal['code']): Uint8Array {
  return encode({ type: 'refuse', code });
}

/** Whether the other side is this very process: our key in our epoch. */
export function isSelf(local: Local, { key, epoch }: Hello): boolean {
  return equal(key, local.identity.publicKey) && epoch === local.epoch;
}

function unwanted({ id }: Hello, code: Refusal['code']): string {
  if (code === 'id_in_use') return 'it has our ID';
  return code === 'key_in_use'
    ? 'another node has its identity key'
    : `its ID "${id}" belongs to another key`;
}

const refusals: Readonly<Record<Refusal['code'], string>> = {
  wrong_token: 'the token is not the one of this mesh',
  id_in_use: 'another running node has this ID',
  identity_mismatch: 'this ID belongs to another identity key',
  key_in_use: 'another node has this identity key',
  already_connected: 'this node is connected already',
  denied: 'denied by its policy',
  version_mismatch: 'it speaks another version',
  unknown_invitation: 'the invitation was revoked',
  invitation_expired: 'the invitation has expired',
  invitation_used: 'the invitation has been used',
  invitation_other: 'another ID was invited',
  unavailable: 'its disk is full or read-only, so it can give nothing away now; try again later',
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

function proofOf(
  local: Local,
  key: Uint8Array,
  message: Uint8Array,
): { mac: Uint8Array; signature: Uint8Array } {
  return { mac: mac(key, message), signature: signWith(local.identity, message) };
}

/** The bytes that the proof of a refusal covers. */
function refusalBytes(label: string, transcript: Uint8Array, { code, key }: Refusal): Uint8Array {
  return Buffer.concat([prefixed(label, transcript), Buffer.from(`${code}\0`), key ?? new Uint8Array()]);
}

function refusalFields({ code, key }: Refusal): Refusal {
  return key === undefined ? { code } : { code, key };
}

/** Which of these keys the other side has proved to have; undefined if none. */
function provenBy(
  keys: readonly Uint8Array[],
  hello: Hello,
  proof: { mac: Uint8Array; signature: Uint8Array },
  message: Uint8Array,
): Uint8Array | undefined {
  const key = keys.find((each) => equal(mac(each, message), proof.mac));
  return key !== undefined && verifyWith(hello.key, message, proof.signature) ? key : undefined;
}

function conclude(
  key: Uint8Array,
  peer: Hello,
  ephemeral: Ephemeral,
  transcript: Uint8Array,
  side: 'client' | 'server',
): Proven {
  const secret = agree(ephemeral, peer);
  const keys = expand(secret, key, prefixed('cryonet.2 frames', transcript), 64);
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
