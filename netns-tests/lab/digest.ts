/**
 * Many bytes by one TCP connection, and what either end saw of them. As a program it runs in a namespace:
 *
 *   node digest.ts serve ADDRESS PORT BYTES    sends that many pseudo-random bytes to whoever connects; says so once it does
 *   node digest.ts read ADDRESS PORT           reads them
 *
 * At the end either prints a line of JSON.
 */
import { createCipheriv, createHash, type Hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Namespace } from './namespace.ts';

interface Digest {
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

const chunkBytes = 1 << 20;

/** What was sent and what arrived. Rejects where that takes longer than `bound`, milliseconds. */
export async function transfer(
  from: Namespace,
  address: string,
  to: Namespace,
  { bytes, port, bound }: { bytes: number; port: number; bound: number },
): Promise<{ sent: Digest; received: Digest }> {
  const program = [process.execPath, import.meta.filename];
  const server = from.start(`serve-${port}`, [...program, 'serve', address, `${port}`, `${bytes}`]);
  await server.says(/ready/);
  const client = to.start(`read-${port}`, [...program, 'read', address, `${port}`]);
  await client.ends(bound);
  await server.ends();
  const [sent, received] = [server, client].map(({ output }) =>
    JSON.parse(output.trimEnd().split('\n').at(-1)!),
  ) as [Digest, Digest];
  return { sent, received };
}

/** Passes on what comes and notes it. */
async function* noted(source: AsyncIterable<Buffer>, hash: Hash, count: { bytes: number }) {
  for await (const chunk of source) {
    hash.update(chunk);
    count.bytes += chunk.length;
    yield chunk;
  }
}

async function* pseudoRandom(bytes: number): AsyncGenerator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(chunkBytes);
  for (let left = bytes; left > 0; left -= chunkBytes)
    yield cipher.update(left < chunkBytes ? zeros.subarray(0, left) : zeros);
}

async function serve(address: string, port: number, bytes: number): Promise<Digest> {
  const server = createServer().listen(port, address);
  await once(server, 'listening');
  console.log('ready');
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  const hash = createHash('sha256');
  const count = { bytes: 0 };
  await pipeline(noted(pseudoRandom(bytes), hash, count), socket);
  return { ...count, sha256: hash.digest('hex') };
}

async function read(address: string, port: number): Promise<Digest> {
  const hash = createHash('sha256');
  const count = { bytes: 0 };
  for await (const _ of noted(connect(port, address), hash, count));
  return { ...count, sha256: hash.digest('hex') };
}

if (import.meta.main) {
  const [verb, address, port, bytes] = process.argv.slice(2);
  const digest =
    verb === 'serve' ? serve(address!, Number(port), Number(bytes)) : read(address!, Number(port));
  console.log(JSON.stringify(await digest));
}
