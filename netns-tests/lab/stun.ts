/**
 * A STUN client (RFC 8489) that finds out how a NAT behaves (RFC 5780). As a program it runs in a namespace:
 *
 *   node stun.ts kind ADDRESS ALTERNATE PORT ALTERNATE-PORT     prints a `FoundKind` as JSON
 *   node stun.ts lifetime ADDRESS PORT SECONDS                  prints whether a mapping is there after so many of silence
 *
 * Binding request, 20 bytes and where wanted one attribute:
 *
 *   0  u16 0x0001   4  u32 0x2112a442   8  12 bytes of transaction ID   20  CHANGE-REQUEST (0x0003, 4 bytes), or
 *   2  u16 length of attributes                                             RESPONSE-PORT (0x0027, a u16 and padding)
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Dependence, NatKind } from './nat.ts';

const magic = 0x2112a442;

/** An attribute, whose value is of 4 bytes. */
interface Attribute {
  readonly type: number;
  readonly value: number;
}

const changePort: Attribute = { type: 0x0003, value: 2 };
const changeAddressAndPort: Attribute = { type: 0x0003, value: 6 };
const responsePort = (port: number): Attribute => ({ type: 0x0027, value: port * 0x10000 });
const retransmitMilliseconds = 100;
const tries = 5;

export function bindingRequest(transaction: Uint8Array, attribute?: Attribute): Buffer {
  const request = Buffer.alloc(attribute === undefined ? 20 : 28);
  request.writeUInt16BE(0x0001, 0);
  request.writeUInt16BE(request.length - 20, 2);
  request.writeUInt32BE(magic, 4);
  request.set(transaction, 8);
  if (attribute !== undefined) {
    request.writeUInt16BE(attribute.type, 20);
    request.writeUInt16BE(4, 22);
    request.writeUInt32BE(attribute.value, 24);
  }
  return request;
}

/** The IPv4 address and port in XOR-MAPPED-ADDRESS of a binding success response, as `address:port`. */
export function mappedAddress(response: Buffer): string | undefined {
  if (response.length < 20 || response.readUInt16BE(0) !== 0x0101) return undefined;
  for (let at = 20; at + 4 <= response.length; ) {
    const type = response.readUInt16BE(at);
    const length = response.readUInt16BE(at + 2);
    if (type === 0x0020 && length === 8) {
      const port = response.readUInt16BE(at + 6) ^ (magic >>> 16);
      const address = (response.readUInt32BE(at + 8) ^ magic) >>> 0;
      return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')}:${port}`;
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return undefined;
}

/** Undefined where no answer came. The answer comes to `at`, where that is another socket. */
async function ask(
  socket: Socket,
  host: string,
  port: number,
  attribute?: Attribute,
  at = socket,
): Promise<string | undefined> {
  const transaction = randomBytes(12);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const receive = (response: Buffer) => {
    if (response.subarray(8, 20).equals(transaction)) resolve(mappedAddress(response));
  };
  at.on('message', receive);
  let sent = 0;
  const send = () => {
    if (sent++ === tries) resolve(undefined);
    else socket.send(bindingRequest(transaction, attribute), port, host);
  };
  send();
  const timer = setInterval(send, retransmitMilliseconds);
  const answer = await promise;
  clearInterval(timer);
  at.off('message', receive);
  return answer;
}

/** Whether what one socket sends to the outer address of another arrives there, from the outer address of the one. Each sends
 *  to the other, as filtering may ask for. */
async function hairpins(
  sockets: readonly [Socket, Socket],
  outer: readonly [string, string],
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  sockets[1].on('message', (_, { address, port }) => resolve(`${address}:${port}` === outer[0]));
  let sent = 0;
  const send = () => {
    if (sent++ === tries) resolve(false);
    else
      for (const [from, to] of [
        [0, 1],
        [1, 0],
      ] as const) {
        const [address, port] = outer[to].split(':');
        sockets[from].send('hairpin', Number(port), address);
      }
  };
  send();
  const timer = setInterval(send, retransmitMilliseconds);
  const result = await promise;
  clearInterval(timer);
  return result;
}

async function open(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind();
  await once(socket, 'listening');
  return socket;
}

/** Of a NAT, but for what only waiting shows. */
export type FoundKind = Omit<NatKind, 'lifetime'>;

/** Classifies the NAT between this host and a server with two addresses and two ports. */
export async function discover(
  addresses: readonly [string, string],
  ports: readonly [number, number],
): Promise<FoundKind> {
  const [first, second] = addresses;
  const [port, alternate] = ports;
  const mapping = await open();
  const here = await ask(mapping, first, port);
  if (here === undefined) throw new Error(`no answer from ${first}:${port}`);
  const otherPort = await ask(mapping, first, alternate);
  const otherAddress = await ask(mapping, second, alternate);
  // A socket of its own: the one above has met the other addresses and ports.
  const filtering = await open();
  const there = await ask(filtering, first, port);
  const fromElsewhere = await ask(filtering, first, port, changeAddressAndPort);
  const fromOtherPort = await ask(filtering, first, port, changePort);
  const hairpinning = await hairpins([mapping, filtering], [here, there!]);
  const preserving = here.endsWith(`:${mapping.address().port}`);
  mapping.close();
  filtering.close();
  return {
    mapping: dependence(otherAddress === here, otherPort === here),
    filtering: dependence(fromElsewhere !== undefined, fromOtherPort !== undefined),
    hairpinning,
    preserving,
  };
}

/** Whether a mapping is still there after so many seconds without a packet: then what the server sends to its port arrives. */
export async function outlives(address: string, port: number, seconds: number): Promise<boolean> {
  const [quiet, asking] = [await open(), await open()];
  const mapped = await ask(quiet, address, port);
  if (mapped === undefined) throw new Error(`no answer from ${address}:${port}`);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const outer = Number(mapped.split(':')[1]);
  const answer = await ask(asking, address, port, responsePort(outer), quiet);
  quiet.close();
  asking.close();
  return answer !== undefined;
}

function dependence(sameEverywhere: boolean, sameAtOneAddress: boolean): Dependence {
  if (sameEverywhere) return 'endpoint-independent';
  return sameAtOneAddress ? 'address-dependent' : 'address-and-port-dependent';
}

if (import.meta.main) {
  const [what, first, ...rest] = process.argv.slice(2);
  const [second, ...ports] = rest;
  const found =
    what === 'kind'
      ? await discover([first!, second!], [Number(ports[0]), Number(ports[1])])
      : await outlives(first!, Number(rest[0]), Number(rest[1]));
  console.log(JSON.stringify(found));
}
