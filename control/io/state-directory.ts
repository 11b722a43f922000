/**
 * What a node keeps across restarts, in a folder of mode 0700:
 *
 *   identity.pem   the Ed25519 private key, PKCS #8, mode 0600
 *   epoch          the epoch of the last start
 *   events         the last events: `event-ring.ts`
 *   identities     the key of each node that was ever linked: `identities.ts`
 *   invitations    who is invited: `invitations.ts`
 *   statements     what operators have said of nodes: `statements-file.ts`
 *   pid            the process that has locked the folder: `state-lock.ts`
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { denialOf } from '../../protocol/denial.ts';
import { CryonetError, reasonOf, systemError } from '../../protocol/errors.ts';
import type { SignedStatement } from '../../protocol/statement.ts';
import { EventRing } from './event-ring.ts';
import { Identities } from './identities.ts';
import { Invitations } from './invitations.ts';
import { createWhole, readIfThere, sweep, writeWhole } from './kept-files.ts';
import { KeptWrites, type Tell } from './kept-writes.ts';
import { readStatements, writeStatements } from './statements-file.ts';

export interface Identity {
  readonly privateKey: KeyObject;
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Uint8Array;
}

export interface KeptState {
  readonly identity: Identity;
  /** Greater than the epoch of every earlier start that could write its own. */
  readonly epoch: number;
  /** Public keys in hexadecimal by ID, as the file had them at the start. */
  readonly pins: ReadonlyMap<string, string>;
  readonly identitiesPath: string;
  readonly events: EventRing;
  readonly invitations: Invitations;
  /** The keys in the file now, and those not written yet. Undefined, with a warning, if the file cannot be read. */
  readPins(): ReadonlyMap<string, string> | undefined;
  /** Keeps a key, given in hexadecimal, or none. A failed write is a warning and is repeated. Never throws. */
  pin(id: string, key: string | null): void;
  /** What operators had said, as the file had it at the start. Not verified. */
  readonly statements: readonly SignedStatement[];
  /** Keeps these in place of them. A failed write is a warning and is repeated. Never throws. */
  keepStatements(all: readonly SignedStatement[]): void;
  /** Has the next start take a later epoch than this. A failed write is a warning and is repeated. Never throws. */
  keepEpoch(epoch: number): void;
  /** Tries once more to write what is not written yet. Idempotent, never throws. */
  close(): void;
}

const silent: Tell = { set: () => {}, clear: () => {} };

/** Milliseconds of the longest pause between two tries to write, by default. */
const usualPause = 10_000;

/** Throws `bad_config` if the folder cannot be used, and `unavailable` if that may pass: it cannot be read now, or there is
 *  no identity yet and none can be written. Other failed writes are warnings. `now` is the machine's clock and `limit` the
 *  longest pause between two tries to write, both in milliseconds. */
export function openStateDirectory(
  folder: string,
  now: number,
  tell = silent,
  limit = usualPause,
): KeptState {
  const writes = new KeptWrites(folder, tell, limit);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    sweep(folder, now);
    const identity = readIdentity(join(folder, 'identity.pem'), tell);
    const identities = new Identities(join(folder, 'identities'), writes, tell);
    const path = join(folder, 'epoch');
    const keepEpoch = (later: number) => writes.write('epoch', () => writeWhole(path, `${later}\n`));
    const epoch = nextEpoch(path, now);
    keepEpoch(epoch);
    const invitations = new Invitations(join(folder, 'invitations'), tell);
    const said = join(folder, 'statements');
    const events = new EventRing({ path: join(folder, 'events'), epoch });
    return {
      identity,
      epoch,
      pins: identities.pins,
      identitiesPath: join(folder, 'identities'),
      readPins: () => identities.reread(),
      pin: (id, key) => identities.pin(id, key),
      statements: readStatements(said),
      keepStatements: (all) => writes.write('statements', () => writeStatements(said, all)),
      events,
      invitations,
      keepEpoch,
      close: () => {
        events.close();
        writes.close();
      },
    };
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    const reason = `${reasonOf(cause)}${denialOf(cause, 'write there')}`;
    throw systemError(`--state-dir ${folder} cannot be used: ${reason}`, cause);
  }
}

function readIdentity(path: string, tell: Tell): Identity {
  const pem = readIfThere(path) ?? createWhole(path, newKey());
  const privateKey = parseKey(path, pem);
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    const words = `${path} has mode ${mode.toString(8).padStart(4, '0')}: others may read the key or replace it; chmod 600 it`;
    tell.set('identity', words);
  }
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicKey: new Uint8Array(Buffer.from(x!, 'base64url')) };
}

function newKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function parseKey(path: string, pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    const fault =
      pem.trim() === ''
        ? 'is empty'
        : pem.includes('-----BEGIN') && !pem.includes('-----END')
          ? 'is cut short'
          : 'is no private key';
    const remedy =
      'put it back from a backup, or delete it for a new identity, which peers that know this ID will refuse';
    throw new CryonetError('bad_config', `${path} ${fault}: ${remedy}`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new CryonetError('bad_config', `${path} is no Ed25519 key`);
  return key;
}

/** The last time, in milliseconds since the Unix epoch, that a clock can show (ECMA-262, Time Values and Time Range). */
const lastMoment = 8.64e15;

/** The epoch of this start. It grows even on a machine whose clock starts in the past. A number in the file that no clock
 *  can show is ignored; if the mesh knows a later start, it will say so. */
function nextEpoch(path: string, now: number): number {
  const last = Number(readIfThere(path) ?? 0);
  return Math.max(Math.floor(now), (Number.isSafeInteger(last) && last < lastMoment ? last : 0) + 1);
}
