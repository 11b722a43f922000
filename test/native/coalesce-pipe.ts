import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { compile, nativeSources } from './compile.ts';

export interface Options {
  readonly udp: boolean;
  readonly information: boolean;
  /** TCP and UDP checksums were left out. */
  readonly partial?: boolean;
  /** The kernel takes no super-packet. */
  readonly refusing?: boolean;
  /** False: packets of TCP are not joined. */
  readonly tcp?: boolean;
}

/** One write to the kernel. */
export interface Write {
  /** How many were joined in it. */
  readonly packets: number;
  /** Its parts put together. */
  readonly bytes: Buffer;
  /** What it is cut into, each with packet information again; nothing for a packet alone. */
  readonly pieces: readonly Buffer[];
}

/** Bytes of struct virtio_net_hdr. */
export const virtioLength = 10;

/** coalesce.c with sanitizers, in a process of its own: see `coalesce-pipe.c`. */
export class Coalescer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #replies: AsyncIterator<Buffer, undefined>;

  constructor(program: string) {
    this.#child = spawn(program);
    this.#child.stderr.pipe(process.stderr);
    this.#child.stdin.on('error', () => {});
    this.#replies = frames(this.#child.stdout);
  }

  static open(): Coalescer {
    const sources = ['coalesce', 'segment', 'checksum'].map((name) => join(nativeSources, `${name}.c`));
    const flags = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    return new Coalescer(compile('coalesce-pipe', ['coalesce-pipe.c', ...sources], flags));
  }

  /** Adds all and flushes; where it is full, in between as well. */
  async write(packets: readonly Buffer[], options: Options): Promise<Write[]> {
    const parts = packets.flatMap((packet) => [u32(packet.length), packet]);
    const { udp, information, partial = false, refusing = false, tcp = true } = options;
    const flags = [udp, information, partial, refusing, !tcp];
    const bits = flags.reduce((sum, flag, place) => sum | (flag ? 1 << place : 0), 0);
    const input = Buffer.concat([u32(bits), ...parts]);
    this.#child.stdin.write(Buffer.concat([u32(input.length), input]));
    const { value } = await this.#replies.next();
    assert(value !== undefined, 'the program ended');
    return parse(value);
  }

  /** Rejects where it did not end by itself, or leaked. */
  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    assert.deepEqual(await closed, [0, null]);
  }
}

function parse(output: Buffer): Write[] {
  const writes: Write[] = [];
  let at = 0;
  const number = () => {
    at += 4;
    return output.readUInt32LE(at - 4);
  };
  const bytes = () => {
    const length = number();
    at += length;
    return output.subarray(at - length, at);
  };
  while (at < output.length) {
    const packets = number();
    const whole = bytes();
    const pieces = Array.from({ length: packets > 1 ? packets : 0 }, bytes);
    writes.push({ packets, bytes: whole, pieces });
  }
  return writes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Byte strings that each come after their length. */
async function* frames(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  let received = Buffer.alloc(0);
  for await (const chunk of stream) {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 4 && received.length >= 4 + received.readUInt32LE()) {
      const end = 4 + received.readUInt32LE();
      yield received.subarray(4, end);
      received = received.subarray(end);
    }
  }
  return undefined;
}
