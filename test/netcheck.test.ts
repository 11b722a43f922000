/** How networks treat UDP, as STUN doubles on loopback play it; and what people read of it. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { renderNetcheck } from '../cli/render-netcheck.ts';
import { checkNetwork } from '../dataplane/io/netcheck.ts';
import { mappedAddress, otherAddress, readStunResponse } from '../dataplane/io/stun.ts';
import type { Netcheck, Place } from '../protocol/netcheck.ts';
import { calls } from './calls.ts';

const other = ['127.0.0.3', '127.0.0.4'];

/** A NAT between this machine and the servers: where a sender is seen at a destination, and who is let in. */
interface Nat {
  seen(sender: Place, at: Place): Place;
  /** Whether an answer from there comes to a sender that has asked only at `asked`. */
  letsIn(from: Place, asked: Place): boolean;
}

const isAt = (one: Place, place: Place) => one.address === place.address && one.port === place.port;
const outside = (port: number) => ({ address: '203.0.113.7', port });
const open: Nat = { seen: (sender) => sender, letsIn: () => true };
const cone: Nat = { seen: ({ port }) => outside(port), letsIn: isAt };
const restricted: Nat = { ...cone, letsIn: (from, asked) => from.address === asked.address };
const full: Nat = { ...cone, letsIn: () => true };
const symmetric: Nat = {
  seen: ({ port }, at) => outside((port * 7 + at.port + Number(at.address.at(-1)) * 1000) % 60_000),
  letsIn: isAt,
};
const byAddress: Nat = {
  ...cone,
  seen: ({ port }, at) => outside((port + Number(at.address.at(-1))) % 60_000),
};

/** A STUN server behind that NAT: with a second address, it knows CHANGE-REQUEST (RFC 5780). */
async function serverAt(
  context: TestContext,
  nat: Nat | undefined,
  addresses: readonly [string, string?],
): Promise<{ host: string; port: number }> {
  const ports: number[] = [];
  const sockets: dgram.Socket[] = [];
  for (const address of addresses) {
    for (const i of [0, 1]) {
      const socket = dgram.createSocket('udp4');
      socket.bind(ports[i] ?? 0, address);
      await once(socket, 'listening');
      ports[i] = socket.address().port;
      sockets.push(socket);
      context.after(() => socket.close());
    }
  }
  for (const [i, socket] of sockets.entries()) {
    socket.on('message', (request, { address, port }) => {
      if (nat === undefined || request.length < 20) return;
      const asked = socket.address();
      const change = request.length === 28 ? request.readUInt32BE(24) : 0;
      const answering = sockets[(i ^ (change & 2 ? 1 : 0) ^ (change & 4 ? 2 : 0)) % sockets.length]!;
      if (!nat.letsIn(answering.address(), asked)) return;
      const mapped = nat.seen({ address, port }, asked);
      const attributes = [attribute(0x0020, mapped, request.subarray(4, 20))];
      const second = addresses[1];
      if (second !== undefined) attributes.push(attribute(0x802c, { address: second, port: ports[1]! }));
      answering.send(response(request.subarray(4, 20), attributes), port, address);
    });
  }
  return { host: addresses[0], port: ports[0]! };
}

/** `mask`: cookie and transaction, of an address that is hidden by them. */
function attribute(type: number, { address, port }: Place, mask = Buffer.alloc(16)): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(8, 2);
  bytes[5] = 1;
  bytes.writeUInt16BE(port ^ mask.readUInt16BE(0), 6);
  for (const [i, byte] of address.split('.').entries()) bytes[8 + i] = Number(byte) ^ mask[i]!;
  return bytes;
}

function response(transaction: Buffer, attributes: readonly Buffer[]): Buffer {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(4);
  header.writeUInt16BE(0x0101, 0);
  header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, transaction, body]);
}

const options = {
  host: {
    route: (address: string) =>
      address.includes(':') ? undefined : { interface: 'lo', source: '127.0.0.1' },
  },
  ...{ mark: 0, opened: () => {} },
};

const kinds: readonly [what: string, nat: Nat, two: readonly unknown[], one: readonly unknown[]][] = [
  ['no NAT', open, ['none', 'independent', null], ['none', 'unknown', null]],
  [
    'a NAT that lets everybody in',
    full,
    ['independent', 'independent', false],
    ['independent', 'unknown', false],
  ],
  [
    'one that lets in addresses',
    restricted,
    ['independent', 'address', false],
    ['independent', 'unknown', false],
  ],
  [
    'one that lets in ports',
    cone,
    ['independent', 'address-and-port', false],
    ['independent', 'unknown', false],
  ],
  [
    'one that maps by address',
    byAddress,
    ['address', 'address-and-port', false],
    ['depends', 'unknown', false],
  ],
  [
    'a symmetric one',
    symmetric,
    ['address-and-port', 'address-and-port', false],
    ['depends', 'unknown', false],
  ],
];

for (const [what, nat, two, one] of kinds) {
  test(`${what} is found out by a server with two addresses, and by two servers as far as they can tell`, async (context) => {
    const double = await serverAt(context, nat, ['127.0.0.2', other[0]]);
    const [a, b] = [await serverAt(context, nat, ['127.0.0.2']), await serverAt(context, nat, [other[1]!])];
    const found = await Promise.all([checkNetwork([double], options), checkNetwork([a, b], options)]);
    const said = found.map(({ families: [ipv4] }) => [ipv4!.mapping, ipv4!.filtering, ipv4!.hairpin]);
    assert.deepEqual(said, [two, one]);
    const [, ipv6] = found[0]!.families;
    assert.deepEqual([ipv6!.interface, ipv6!.servers, ipv6!.mapping], [null, [], 'unknown']);
  });
}

test('one server says less than two, one that is silent nothing, and a name that is none is told of', async (context) => {
  const [alone, silent] = [
    await serverAt(context, cone, ['127.0.0.2']),
    await serverAt(context, undefined, ['127.0.0.2']),
  ];
  const of = async (...servers: { host: string; port: number }[]) => {
    const lookup = async () => {
      throw Object.assign(new Error(), { code: 'ENOTFOUND' });
    };
    const { families, unresolved } = await checkNetwork(servers, { ...options, lookup });
    return { ...families[0]!, unresolved };
  };
  const [one, none, nameless] = await Promise.all([
    of(alone),
    of(silent),
    of(alone, { host: 'nowhere.example', port: 3478 }),
  ]);
  assert.deepEqual([one.mapping, one.servers[0]?.mapped?.address], ['unknown', '203.0.113.7']);
  assert.deepEqual([none.mapping, none.servers[0]?.mapped, none.hairpin], ['unknown', null, null]);
  assert.deepEqual(nameless.unresolved, [
    { server: 'nowhere.example:3478', reason: 'its name does not resolve: ENOTFOUND' },
  ]);
});

test('what is sent to where we are seen and comes back is a hairpin', async (context) => {
  const turned = dgram.createSocket('udp4').bind(0, '127.0.0.5');
  await once(turned, 'listening');
  context.after(() => turned.close());
  let inner = 0;
  const nat: Nat = {
    letsIn: () => true,
    seen: ({ port }) => {
      inner ||= port;
      return turned.address();
    },
  };
  turned.on('message', (bytes) => turned.send(bytes, inner, '127.0.0.1'));
  const server = await serverAt(context, nat, ['127.0.0.2']);
  assert.equal((await checkNetwork([server], options)).families[0]!.hairpin, true);
});

test('an address in an answer is read as RFC 8489 has it, and no bytes in its place do harm', () => {
  const transaction = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');
  // RFC 5769 2.3, without SOFTWARE, MESSAGE-INTEGRITY and FINGERPRINT.
  const value = Buffer.from('0002a1470113a9faa5d3f179bc25f4b5bed2b9d9', 'hex');
  const attributes = new Map([[0x0020, value]]);
  const at = { type: 0x0101, transaction, attributes, code: undefined };
  assert.deepEqual(mappedAddress(at), { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(0x0001, 0x0020, 0x802c), (bytes, type) => {
      const body = Buffer.alloc(4 + Math.ceil(bytes.length / 4) * 4);
      body.writeUInt16BE(type, 0);
      body.writeUInt16BE(bytes.length, 2);
      body.set(bytes, 4);
      const read = readStunResponse(
        response(Buffer.concat([Buffer.from('2112a442', 'hex'), transaction]), [body]),
        transaction,
      )!;
      for (const place of [mappedAddress(read), otherAddress(read)])
        if (place !== undefined) assert.match(place.address, /^[0-9a-f.:]+$/);
    }),
    { numRuns: 2000 },
  );
});

const shown = (found: Netcheck, paths: readonly number[] = [1492]) =>
  renderNetcheck(found, paths, { color: false, width: 80 });

test('golden: a NAT that hole punching gets through, at 80 columns', () => {
  assert.equal(
    shown(calls.netcheck.result),
    `links      ipv4: a NAT that hole punching gets through: direct paths with every
           peer but those whose NAT maps by destination
ipv4       192.0.2.7 on eth0, MTU 1500
seen       as 203.0.113.7:40001 by stun.example:3478 (198.51.100.1)
mapping    the same for every destination (endpoint-independent)
filtering  unknown: it takes a STUN server with two addresses to say (RFC 5780)
hairpin    no: peers behind the same NAT need its inner addresses
ipv6       none: there is no route
server     nowhere.example:3478: its name does not resolve: ENOTFOUND
told       host 192.0.2.7:2333, srflx 203.0.113.7:61021
paths      direct ones carry 1492 bytes
`,
  );
});

test('golden: nobody answers', () => {
  const { families, ...rest } = calls.netcheck.result;
  const [ipv4, ipv6] = families;
  const silent = {
    ...ipv4!,
    mapping: 'unknown' as const,
    hairpin: null,
    servers: [{ ...ipv4!.servers[0]!, mapped: null }],
  };
  assert.equal(
    shown({ ...rest, families: [silent, ipv6!], unresolved: [], candidates: [] }, []),
    `links      no STUN server answers: UDP is blocked here, or they are down; where
           it is blocked no link comes up but with peers in the same network
ipv4       192.0.2.7 on eth0, MTU 1500
seen       not by stun.example:3478 (198.51.100.1)
ipv6       none: there is no route
told       nothing: peers are told no address
`,
  );
});
