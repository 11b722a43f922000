/** Programs with the engine of direct paths in them, and without Node: see `direct-lab.h`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { compile, compileObjects, nativeSources } from './compile.ts';

const reading = ['poller', 'busy_poll', 'ring', 'thread', 'segment', 'checksum', 'ecn'];
const paths = [
  'coalesce',
  'record',
  'sender',
  'intake',
  'receiver',
  'keypair',
  'direct',
  'outer',
  'ancillary',
  'own',
  'probe',
  'roaming',
  'admission',
  'event',
];
const sources = [...reading, ...paths].map((name) => join(nativeSources, `${name}.c`));
const lab = ['direct-lab.c', 'direct-flow.c', 'direct-forwarder.c'];

export const sanitizers = ['thread', 'address,undefined'] as const;

/** IPv4, IPv6, and IPv4 by a socket that has both. */
export const addresses = ['127.0.0.1', '::1', '::ffff:127.0.0.1'] as const;

/** What all of these programs have in them, compiled once for each sanitizer. */
const engines = new Map<string, string[]>();

/** Compiles `<name>.c`, with a sanitizer where one is given. */
export function buildEngine(name: string, sanitizer?: (typeof sanitizers)[number]): string {
  const flags = sanitizer === undefined ? [] : [`-fsanitize=${sanitizer}`, '-fno-sanitize-recover=all'];
  const key = flags.join();
  const engine = engines.get(key) ?? compileObjects([...lab, ...sources], flags);
  engines.set(key, engine);
  return compile(name, [`${name}.c`, ...engine, '-lcrypto'], flags);
}

/** What it says, after ending well. */
export function runEngine(program: string, ...words: readonly (string | number)[]): string {
  const { status, signal, stdout, stderr } = spawnSync(program, words.map(String), {
    encoding: 'utf8',
    timeout: 180_000,
  });
  assert.deepEqual([status, signal, stderr], [0, null, ''], `${words.join(' ')}: ${stderr}`);
  return stdout;
}
