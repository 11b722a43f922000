import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type CheckOptions, iceServerCheck } from '../dataplane/io/ice-server-check.ts';
import { longTermKey, readStunResponse, stunAttribute, stunRequest, stunType } from '../dataplane/io/stun.ts';
import type { IceServer } from '../dataplane/io/webrtc.ts';

type Attributes = readonly (readonly [number, Uint8Array])[];
type Reply = (request: Buffer, count: number) => readonly (Uint8Array | undefined)[];

const user = 'cryonet';
const credential = 'a secret';
const pauses = [60, 60, 60];

/** A response with these attributes. */
function response(request: Buffer, type: number, attributes: Attributes): Buffer {
  return stunRequest(type, request.subarray(8, 20), attributes);
}

function error(request: Buffer, code: number, more: Attributes = []): Buffer {
  const value = Buffer.from([0, 0, Math.floor(code / 100), code % 100, ...Buffer.from(`no, ${credential}`)]);
  return response(request, request.readUInt16BE(0) | 0x0110, [[stunAttribute.errorCode, value], ...more]);
}

const challenge: Attributes = [
  [stunAttribute.realm, Buffer.from('a realm')],
  [stunAttribute.nonce, Buffer.from('a nonce')],
];
const someAddress = Buffer.from([0, 1, 0x21, 0x12, 0x21, 0x12, 0xa4, 0x43]);

/** A server that answers each datagram with what `reply` returns. */
async function serving(context: TestContext, reply: Reply): Promise<{ port: number; requests: Buffer[] }> {
  const socket = dgram.createSocket('udp4');
  const requests: Buffer[] = [];
  socket.on('message', (request, from) => {
    requests.push(request);
    for (const bytes of reply(request, requests.length)) {
      if (bytes !== undefined) socket.send(bytes, from.port, from.address, () => {});
    }
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  context.after(() => socket.close());
  return { port: socket.address().port, requests };
}

function check(server: IceServer, more: Partial<CheckOptions> = {}, signal = new AbortController().signal) {
  return iceServerCheck({ opened: () => {}, pauses, ...more })(server, signal);
}

const stunAt = (port: number, host = '127.0.0.1'): IceServer => ({ kind: 'stun', host, port });
const turnAt = (port: number, host = '127.0.0.1'): IceServer => ({
  kind: 'turn',
  host,
  port,
  user,
  credential,
});

test('a TURN server that gives an allocation works, has the user’s proof, and gets the allocation back', async (context) => {
  const { port, requests: sent } = await serving(context, (request) => {
    const type = request.readUInt16BE(0);
    if (type === stunType.refreshRequest) return [response(request, 0x0104, [])];
    if (request.length < 60) return [error(request, 401, challenge)];
    const relayed = [stunAttribute.xorRelayedAddress, someAddress] as const;
    return [response(request, 0x0103, [relayed])];
  });
  let opened = 0;
  assert.equal(await check(turnAt(port), { opened: () => opened++ }), undefined);
  assert.equal(opened, 1);
  // On a busy machine some are sent again before they are answered.
  const requests = [...new Map(sent.map((each) => [each.toString('hex', 8, 20), each])).values()];
  assert.equal(requests.length, 3);
  // RFC 8489 14.5: over all that stands before, the length with the 24 bytes of this attribute.
  const proven = requests[1]!;
  const key = longTermKey(user, 'a realm', credential);
  const expected = createHmac('sha1', key).update(proven.subarray(0, -24)).digest();
  assert.deepEqual(proven.subarray(-20), expected);
  assert.equal(proven.readUInt16BE(2), proven.length - 20);
  assert.equal(requests[2]!.readUInt16BE(0), stunType.refreshRequest);
  assert.ok(!Buffer.concat(requests).includes(credential));
});

for (const [code, words] of [
  [401, /401, Unauthorized: the user or the credential is wrong, or has expired$/],
  [403, /403, Forbidden/],
  [437, /437, Allocation Mismatch/],
  [442, /442, Unsupported Transport Protocol/],
  [486, /486, Allocation Quota Reached/],
  [508, /508, Insufficient Capacity$/],
  [699, /error 699$/],
] as const) {
  test(`a TURN server that refuses with ${code} is told by that, without its own words`, async (context) => {
    const { port } = await serving(context, (request, count) => [
      count === 1 ? error(request, 401, challenge) : error(request, code, challenge),
    ]);
    const trouble = await check(turnAt(port));
    assert.match(trouble!, words);
    assert.doesNotMatch(trouble!, /secret|cryonet/);
  });
}

test('a STUN server that tells an address works; one that tells none, or refuses, does not', async (context) => {
  const mapped = [stunAttribute.xorMappedAddress, someAddress] as const;
  for (const [attributes, words] of [
    [[mapped], undefined],
    [[[stunAttribute.mappedAddress, someAddress]], undefined],
    [[], /without telling our address/],
  ] as const) {
    const { port } = await serving(context, (request) => [response(request, 0x0101, attributes)]);
    const trouble = await check(stunAt(port));
    if (words === undefined) assert.equal(trouble, undefined);
    else assert.match(trouble!, words);
  }
  const { port } = await serving(context, (request) => [error(request, 500)]);
  assert.match((await check(stunAt(port)))!, /500, Server Error/);
});

test('a request is repeated, and a server that stays silent is told as such', async (context) => {
  const { port, requests } = await serving(context, () => []);
  assert.match((await check(turnAt(port)))!, /does not answer over UDP.*TCP only/);
  assert.equal(requests.length, pauses.length);
  assert.equal(new Set(requests.map((request) => request.toString('hex'))).size, 1);
});

test('a port that nobody has is told as such', async (context) => {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  assert.match((await check(stunAt(port)))!, /nothing listens on that UDP port/);
  assert.match((await check(stunAt(9, '255.255.255.255')))!, /cannot be reached: E/);
  context.diagnostic('refused by the kernel in both cases');
});

test('a name without an address, and a name server that says nothing, are told as such', async () => {
  const unknown = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
  const lookups = [
    [() => Promise.reject(unknown), /name does not resolve: no such host/],
    [
      () => Promise.reject(Object.assign(new Error(), { code: 'EAI_AGAIN' })),
      /name does not resolve: EAI_AGAIN/,
    ],
    [() => Promise.resolve([]), /name does not resolve: no address/],
  ] as const;
  for (const [lookup, words] of lookups)
    assert.match((await check(stunAt(3478, 'stun.example'), { lookup }))!, words);
});

test('of hundreds of addresses one is asked', async (context) => {
  const { port, requests } = await serving(context, () => []);
  const lookup = async () => Array.from({ length: 500 }, () => '127.0.0.1');
  assert.match((await check(stunAt(port, 'stun.example'), { lookup }))!, /does not answer/);
  assert.equal(requests.length, pauses.length);
});

const wholeBuffer = Buffer.alloc(60_000, 0xa5);
const hostile: readonly [what: string, reply: Reply][] = [
  ['garbage', () => [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
  ['the longest datagrams', () => [wholeBuffer, wholeBuffer]],
  ['nothing, at length', () => [Buffer.alloc(0), Buffer.alloc(1)]],
  ['a flood', () => Array.from({ length: 500 }, () => Buffer.from('no'))],
  ['answers to other requests', (request) => [error(Buffer.from(request).fill(7, 8, 20), 401, challenge)]],
  ['its own request', (request) => [request]],
  ['a code that is none', (request) => [error(request, 0), error(request, 999)]],
  ['a challenge without a nonce', (request) => [error(request, 401, challenge.slice(0, 1))]],
  [
    'a nonce of sixty thousand bytes',
    (request) => [error(request, 401, [challenge[0]!, [stunAttribute.nonce, wholeBuffer]])],
  ],
  [
    'a thousand attributes',
    (request) => [
      error(
        request,
        401,
        Array.from({ length: 1000 }, (_, i) => [0x8000 + i, Buffer.alloc(4)] as const),
      ),
    ],
  ],
];

for (const [what, reply] of hostile) {
  test(`a TURN server that answers with ${what} costs a bounded time and is told as malformed`, async (context) => {
    const { port, requests } = await serving(context, reply);
    const begun = performance.now();
    assert.equal(await check(turnAt(port)), 'its answer is malformed');
    assert.ok(performance.now() - begun < 10_000);
    assert.ok(requests.length <= pauses.length);
  });
}

for (const code of [401, 438]) {
  test(`a TURN server that says ${code} for ever is asked three times at most`, async (context) => {
    const { port, requests } = await serving(context, (request, count) => [
      error(request, count === 1 ? 401 : code, challenge),
    ]);
    assert.match((await check(turnAt(port)))!, new RegExp(`error ${code}`));
    assert.ok(requests.length <= 3, `${requests.length}`);
  });
}

test('a check that is not wanted any more ends at once', async (context) => {
  const { port } = await serving(context, () => []);
  const end = new AbortController();
  const checked = check(turnAt(port), { pauses: [60_000] }, end.signal);
  setImmediate(() => end.abort());
  assert.equal(await checked, undefined);
  const waiting = new AbortController();
  const looked = check(stunAt(3478, 'stun.example'), { lookup: () => new Promise(() => {}) }, waiting.signal);
  setImmediate(() => waiting.abort());
  assert.equal(await looked, undefined);
});

test('any bytes are a response or none, and reading them ends', () => {
  const transaction = Buffer.alloc(12, 1);
  const body = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(body, fc.nat(0xffff), fc.boolean(), (bytes, type, honest) => {
      const header = stunRequest(type, transaction, []);
      header.writeUInt16BE(honest ? bytes.length : (bytes.length + 1) & 0xffff, 2);
      const read = readStunResponse(Buffer.concat([header, bytes]), transaction);
      if (!honest) assert.equal(read, undefined);
      if (read?.code !== undefined) assert.ok(read.code >= 300 && read.code <= 699);
    }),
    { numRuns: 3000 },
  );
});
