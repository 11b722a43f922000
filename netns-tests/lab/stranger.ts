/**
 * Somebody who sends to a node's port. As a program it runs in a namespace:
 *
 *   node stranger.ts resend ADDRESS PORT FILE      each datagram of a JSON array of hexadecimal strings
 *   node stranger.ts flood ADDRESS PORT COUNT      random datagrams that look like records by their first byte
 */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

const longest = 1400;
const together = 64;

function* garbage(count: number): Generator<Buffer> {
  const bytes = randomBytes(longest);
  for (let n = 0; n < count; n++) {
    const datagram = Buffer.from(bytes.subarray(0, randomInt(1, longest)));
    datagram.set(randomBytes(Math.min(datagram.length, 16)));
    datagram[0] = randomInt(192, 256);
    // Half of them with the kind and version of a record, so that their index is looked up.
    if (n % 2 === 0 && datagram.length >= 4) datagram.set([0xc0, 1, 0, 0]);
    yield datagram;
  }
}

async function send(address: string, port: number, datagrams: Iterable<Uint8Array>): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.connect(port, address);
  await once(socket, 'connect');
  let batch: Promise<void>[] = [];
  for (const datagram of datagrams) {
    batch.push(new Promise((resolve) => socket.send(datagram, () => resolve())));
    if (batch.length < together) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
  socket.close();
}

/** UDP payloads to this port in a capture of Ethernet frames that carry IPv4 (pcap, little-endian). */
export function datagramsTo(address: string, port: number, pcap: Buffer): Buffer[] {
  const wanted = address.split('.').map(Number);
  const found: Buffer[] = [];
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    const packet = pcap.subarray(at + 16 + 14, at + 16 + length);
    at += 16 + length;
    if (packet.length < 28 || packet[0] !== 0x45 || packet[9] !== 17) continue;
    if (Buffer.compare(packet.subarray(16, 20), Buffer.from(wanted)) !== 0) continue;
    if (packet.readUInt16BE(22) === port) found.push(packet.subarray(28, 20 + packet.readUInt16BE(24)));
  }
  return found;
}

/** Has somebody send these datagrams to a port; done once he has. */
export async function resend(
  from: Namespace,
  [address, port]: readonly [string, number],
  datagrams: readonly Uint8Array[],
): Promise<void> {
  const file = join(from.lab.directory, `datagrams-${files++}.json`);
  writeFileSync(file, JSON.stringify(datagrams.map((datagram) => Buffer.from(datagram).toString('hex'))));
  await from.$`${[process.execPath, import.meta.filename, 'resend', address, `${port}`, file]}`;
}

let files = 0;

if (import.meta.main) {
  const [verb, address, port, what] = process.argv.slice(2);
  const datagrams =
    verb === 'flood'
      ? garbage(Number(what))
      : (JSON.parse(readFileSync(what!, 'utf8')) as string[]).map((text) => Buffer.from(text, 'hex'));
  await send(address!, Number(port), datagrams);
}
