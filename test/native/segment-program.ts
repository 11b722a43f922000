/** Programs that are given packets and say what becomes of each: see `segment-cut.c`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

export interface WrittenPacket {
  /** struct virtio_net_hdr. */
  readonly header: Uint8Array;
  readonly packet: Uint8Array;
}

/** Undefined for a packet that was refused. */
type Pieces = readonly Buffer[] | undefined;

const refused = 0xffffffff;

/** What becomes of each packet. */
export function runCutter(command: readonly string[], packets: readonly WrittenPacket[]): Pieces[] {
  const input = packets.flatMap(({ header, packet }) => [header, numberOf(packet.length), packet]);
  const [program = '', ...words] = command;
  const { status, signal, stdout, stderr } = spawnSync(program, words, {
    input: Buffer.concat(input),
    maxBuffer: 2 ** 30,
    timeout: 180_000,
  });
  assert.deepEqual([status, signal, stderr.toString()], [0, null, '']);
  let at = 0;
  const next = () => {
    at += 4;
    return stdout.readUInt32LE(at - 4);
  };
  const results = packets.map(() => {
    const pieces: Buffer[] = [];
    for (let length = next(); length !== 0; length = next()) {
      if (length === refused) return undefined;
      pieces.push(stdout.subarray(at, at + length));
      at += length;
    }
    return pieces;
  });
  assert.equal(at, stdout.length);
  return results;
}

/** Fails at the first piece that differs, in hex: a comparison of long buffers would take minutes to say how. */
export function assertSame(actual: Pieces, expected: Pieces, what: string): void {
  assert.equal(actual === undefined, expected === undefined, `${what}: refused by one`);
  for (const [n, piece] of (expected ?? []).entries()) {
    const got = actual?.[n]?.toString('hex');
    if (got !== piece.toString('hex')) assert.fail(`${what}: piece ${n}\n${got}\n${piece.toString('hex')}`);
  }
  assert.equal(actual?.length, expected?.length, `${what}: number of pieces`);
}

function numberOf(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  return bytes;
}
