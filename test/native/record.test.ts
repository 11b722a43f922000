import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createCipheriv, randomBytes, randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, nativeSources } from './compile.ts';

const sources = [join(nativeSources, 'record.c'), '-lcrypto'];
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** The numbers of `enum record_cipher`. */
const ciphers = { 'aes-256-gcm': 1, 'chacha20-poly1305': 2 } as const;

/** One record sealed by node:crypto, with all of its parts, as record-vectors.c reads them. */
function vector(cipher: keyof typeof ciphers, length: number): Buffer {
  const key = randomBytes(32);
  const packet = randomBytes(length);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length);
  const [kind, lane, index, counter] = [randomInt(3), randomInt(256), randomBytes(4), randomBytes(8)];
  const flags = kind === 0 ? randomInt(2) : 0;
  const header = Buffer.concat([Buffer.of(0xc0, kind, lane, flags), index, counter]);
  const nonce = Buffer.concat([Buffer.of(0, 0, 0, lane), counter]);
  // The types have no overload for a name that may be either cipher; the calls are the same.
  const sealing = createCipheriv(cipher as 'aes-256-gcm', key, nonce, { authTagLength: 16 });
  sealing.setAAD(header, { plaintextLength: length });
  const sealed = [sealing.update(packet), sealing.final(), sealing.getAuthTag()];
  return Buffer.concat([Buffer.of(ciphers[cipher]), key, size, packet, header, ...sealed]);
}

function allVectors(): { input: Buffer; count: number } {
  const vectors = [];
  for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
    for (let length = 0; length <= 1500; length++) vectors.push(vector(cipher, length));
    vectors.push(vector(cipher, 65_000));
  }
  return { input: Buffer.concat(vectors), count: vectors.length };
}

function run(program: string, args: readonly string[], input: Buffer = Buffer.alloc(0)): string {
  const { status, signal, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    timeout: 180_000,
  });
  assert.deepEqual([status, signal, stderr], [0, null, '']);
  return stdout;
}

test('a record of any length is sealed to the bytes that node:crypto makes, and opened again', () => {
  const { input, count } = allVectors();
  const program = compile('record-vectors', ['record-vectors.c', ...sources], sanitizers);
  assert.equal(run(program, [], input), `${count} records\n`);
});

test('the same with the OpenSSL inside Node, which the dataplane uses', () => {
  const { input, count } = allVectors();
  const headers = join(process.execPath, '../../include/node');
  const flags = ['-DIN_NODE', '-fPIC', '-shared', '-isystem', headers];
  const files = ['record-vectors.c', join(nativeSources, 'record.c')];
  const addon = compile('record-vectors.node', files, flags);
  const load = 'process.dlopen({ exports: {} }, process.argv[1])';
  assert.equal(run(process.execPath, ['-e', load, addon], input), `${count} records\n`);
});

test('no bit, byte, key or cipher of a record can be another', () => {
  const program = compile('record-forgery', ['record-forgery.c', ...sources], sanitizers);
  const lengths = [0, 1, 15, 16, 17, 40, 300];
  // Every bit and every shorter length of each record, and four more forgeries.
  const forgeries = lengths.reduce((sum, length) => sum + 9 * (length + 32) + 4, 0);
  assert.equal(run(program, []), `${2 * forgeries} forgeries refused\n`);
});

test('no counter is accepted twice, and none within the window is refused', () => {
  const program = compile('record-replay', ['record-replay.c', ...sources], sanitizers);
  const seed = `${randomInt(2 ** 32)}`;
  assert.equal(run(program, [seed]), '1200000 counters\n', `seed ${seed}`);
});
