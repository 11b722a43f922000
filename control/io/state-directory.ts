/**
 * What a node keeps for good, in a folder of mode 0700:
 *
 *   identity.pem   the Ed25519 private key, PKCS #8, mode 0600
 *   epoch          milliseconds of the last start
 *   identities     one line for each known node: ID, space, public key in base64url. First use decides; delete a
 *                  line to accept another key
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';

export interface Identity {
  readonly privateKey: KeyObject;
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Uint8Array;
}

export interface KeptState {
  readonly identity: Identity;
  /** Strictly greater than at any start before. */
  readonly epoch: number;
  /** Public key in hexadecimal by ID. */
  readonly pins: Map<string, string>;
  pin(id: string, key: string): void;
}

/** Throws `bad_config` where the folder cannot be used. */
export function openStateDirectory(folder: string, now: number): KeptState {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const identity = readIdentity(join(folder, 'identity.pem'));
    const epoch = nextEpoch(join(folder, 'epoch'), now);
    const path = join(folder, 'identities');
    const pins = readPins(path);
    return {
      identity,
      epoch,
      pins,
      pin(id, key) {
        if (pins.get(id) === key) return;
        pins.set(id, key);
        appendFileSync(path, `${id} ${Buffer.from(key, 'hex').toString('base64url')}\n`, { mode: 0o600 });
      },
    };
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    throw new CryonetError('bad_config', `--state-dir ${folder} cannot be used: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

function readIdentity(path: string): Identity {
  const pem = readIfThere(path);
  let privateKey: KeyObject;
  if (pem === undefined) {
    privateKey = generateKeyPairSync('ed25519').privateKey;
    writeAtomically(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
  } else {
    try {
      privateKey = createPrivateKey(pem);
    } catch (cause) {
      throw new CryonetError('bad_config', `${path} is no private key`, { cause });
    }
    if (privateKey.asymmetricKeyType !== 'ed25519') {
      throw new CryonetError('bad_config', `${path} is no Ed25519 key`);
    }
  }
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicKey: new Uint8Array(Buffer.from(x!, 'base64url')) };
}

/** A machine without a clock of its own may start in the past; the epoch grows all the same. */
function nextEpoch(path: string, now: number): number {
  const last = Number(readIfThere(path) ?? 0);
  const epoch = Math.max(Math.floor(now), (Number.isSafeInteger(last) ? last : 0) + 1);
  writeAtomically(path, `${epoch}\n`);
  return epoch;
}

function readPins(path: string): Map<string, string> {
  const pins = new Map<string, string>();
  for (const line of (readIfThere(path) ?? '').split('\n')) {
    const [id, key] = line.trim().split(/\s+/);
    if (!id || !key || id.startsWith('#')) continue;
    const bytes = Buffer.from(key, 'base64url');
    if (bytes.length === 32) pins.set(id, bytes.toString('hex'));
  }
  return pins;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeAtomically(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
