import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { refusalOf } from '../../dataplane/io/memory-admission.ts';
import { configuring, harmless, withInformation } from '../admission-packets.ts';
import { compile, nativeSources } from './compile.ts';
import { fuzz, noFuzzer } from './fuzz.ts';

const sources = [join(nativeSources, 'admission.c')];
const known = [...Object.values(configuring), ...Object.values(harmless)];
const digits = { none: '0', configuration: '1', protocol: '2' } as const;

test('what may reach the kernel is the same by the engine and in memory', () => {
  const flags = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const program = compile('admission-stream', ['admission-stream.c', ...sources], flags);
  const packets = Array.from({ length: 50_000 }, (_, i) => changed(known[i % known.length]!));
  const input = packets.flatMap(({ packet, pi }) => [
    Uint8Array.of(pi ? 1 : 0, packet.length >> 8, packet.length & 255),
    packet,
  ]);
  const { status, stdout, stderr } = spawnSync(program, { input: Buffer.concat(input), encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  for (const [i, { packet, pi }] of packets.entries())
    assert.equal(
      stdout[i],
      digits[refusalOf(packet, pi) ?? 'none'],
      `${pi} ${Buffer.from(packet).toString('hex')}`,
    );
  for (const digit of Object.values(digits)) assert.ok(stdout.includes(digit));
});

test('no bytes are read beyond a packet, and what configures is never admitted', { skip: noFuzzer }, () => {
  fuzz('admission-fuzz', sources, { executions: 1_000_000, maxLength: 256 });
});

/** The packet with some bytes changed, cut or not, with packet information or without. */
function changed(known: Uint8Array): { packet: Uint8Array; pi: boolean } {
  const pi = randomInt(2) === 1;
  const packet = pi ? withInformation([0x0800, 0x86dd, 0x8847, 0x0806][randomInt(4)]!, known) : known.slice();
  for (let changes = randomInt(4); changes > 0; changes--)
    packet[randomInt(packet.length)] = [0, 1, 44, 58, 60, 134, randomInt(256)][randomInt(7)]!;
  return {
    packet: packet.subarray(0, randomInt(3) === 0 ? randomInt(packet.length + 1) : packet.length),
    pi,
  };
}
