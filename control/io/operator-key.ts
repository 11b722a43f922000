/** Keys of operators, in files that no node has: Ed25519, PKCS #8 in PEM, under a passphrase if there is one (PBES2,
 *  AES-256-CBC). What stands before the first line of PEM is for people. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { CryonetError } from '../../protocol/errors.ts';
import { encode } from '../../protocol/msgpack.ts';
import { check } from '../../protocol/schema.ts';
import { domain } from '../../protocol/signaling.ts';
import {
  operatorText,
  type SignedStatement,
  type Statement,
  statement as schema,
} from '../../protocol/statement.ts';
import { prefixed } from '../core/environment.ts';

export interface OperatorKey {
  readonly privateKey: KeyObject;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

export type StatementDraft = Statement extends infer S
  ? S extends Statement
    ? Omit<S, 'operator'>
    : never
  : never;

/** A new key: what its file has, and its public half as it stands in `operators`. */
export function newOperatorKey(passphrase: string | undefined): {
  readonly file: string;
  readonly line: string;
} {
  const { privateKey } = generateKeyPairSync('ed25519');
  const line = operatorText(publicBytes(privateKey));
  const pem = privateKey.export({
    ...{ type: 'pkcs8', format: 'pem' },
    ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
  }) as string;
  return { file: `operator key of a cryonet mesh: operators = ["${line}"]\n${pem}`, line };
}

export function isEncrypted(file: string): boolean {
  return file.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----');
}

/** Throws `bad_config`; `path` is for the message. */
export function openOperatorKey(path: string, file: string, passphrase: string | undefined): OperatorKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: file, format: 'pem', ...(passphrase && { passphrase }) });
  } catch (cause) {
    const reason = isEncrypted(file) ? 'cannot be opened: it has another passphrase' : 'is no operator key';
    throw new CryonetError('bad_config', `${path} ${reason}`, { cause });
  }
  if (privateKey.asymmetricKeyType !== 'ed25519')
    throw new CryonetError('bad_config', `${path} is no Ed25519 key: make one by cryoc operator generate`);
  return { privateKey, publicKey: publicBytes(privateKey) };
}

/** Throws `bad_message` for a draft that is no statement. */
export function signStatement(
  { privateKey, publicKey }: OperatorKey,
  draft: StatementDraft,
): SignedStatement {
  const statement = encode(check(schema, { ...draft, operator: publicKey }));
  const signature = sign(null, prefixed(domain.statement, statement), privateKey);
  return { statement, signature: new Uint8Array(signature) };
}

function publicBytes(privateKey: KeyObject): Uint8Array {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return new Uint8Array(Buffer.from(x!, 'base64url'));
}
