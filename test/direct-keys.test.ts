import assert from 'node:assert/strict';
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type DirectKeys,
  type DirectSide,
  deriveDirectKeys,
  hasAesHardware,
  listsAes,
  newDirectKeyPair,
  ownCiphers,
} from '../dataplane/io/direct-keys.ts';
import { type DirectMessage, directMessage } from '../protocol/direct.ts';
import { CryonetError, type ErrorCode } from '../protocol/errors.ts';
import { encode } from '../protocol/msgpack.ts';
import { check, parse } from '../protocol/schema.ts';

interface VectorSide {
  readonly identity: string;
  readonly fingerprint: string;
  readonly index: number;
  readonly key: string;
  readonly ciphers: string[];
}

interface Vectors {
  /** RFC 7748 section 6.1. */
  readonly secret: Readonly<Record<'privateKey' | 'publicKey' | 'peerKey' | 'shared', string>>;
  readonly cases: readonly {
    readonly name: string;
    readonly generation: number;
    readonly offerer: VectorSide;
    readonly answerer: VectorSide;
    readonly cipher: string;
    readonly transcript: string;
    readonly offererToAnswerer: string;
    readonly answererToOfferer: string;
  }[];
  readonly messages: Readonly<Record<'first' | 'answer', string>>;
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('./vectors/direct-keys.json', import.meta.url), 'utf8'),
);

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const shared = () => bytesOf(vectors.secret.shared);

function sideOf({ identity, fingerprint, index, key, ciphers }: VectorSide, generation = 0): DirectSide {
  return {
    identity: bytesOf(identity),
    fingerprint,
    message: { type: 'direct', version: 1, generation, index, key: bytesOf(key), ciphers },
  };
}

const [first] = vectors.cases;
const alice = sideOf(first!.offerer);
const bob = sideOf(first!.answerer);

/** `side` with some of its message changed. */
function saying(side: DirectSide, change: Partial<DirectMessage>): DirectSide {
  return { ...side, message: { ...side.message, ...change } };
}

function refusal(attempt: () => unknown): ErrorCode {
  try {
    attempt();
  } catch (error) {
    assert.ok(error instanceof CryonetError, String(error));
    return error.code;
  }
  assert.fail('taken');
}

function brief({ cipher, sendKey, receiveKey }: DirectKeys): string[] {
  return [cipher, hexOf(sendKey), hexOf(receiveKey)];
}

/** `protocol/direct.ts` and RFC 5869, once more, with nothing but HMAC. */
function derivedByHand(secret: Uint8Array, offerer: DirectSide, answerer: DirectSide) {
  const number = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  const transcript: number[] = [];
  const field = (bytes: Iterable<number>) => {
    const content = [...bytes];
    transcript.push(Math.floor(content.length / 256), content.length % 256, ...content);
  };
  field(Buffer.from('cryonet direct 1'));
  field(number(offerer.message.generation));
  for (const side of [offerer, answerer]) {
    field(side.identity);
    field(
      side.fingerprint
        .split(' ')[1]!
        .split(':')
        .map((pair) => Number.parseInt(pair, 16)),
    );
    field(number(side.message.index));
    field(side.message.key);
    field([side.message.ciphers.length]);
    for (const name of side.message.ciphers) field(Buffer.from(name));
  }
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
    createHmac('sha256', key).update(Buffer.concat(parts)).digest();
  const salt = createHash('sha256').update(Uint8Array.from(transcript)).digest();
  const pseudorandom = hmac(salt, secret);
  const info = Buffer.from('cryonet direct 1 keys');
  const one = hmac(pseudorandom, info, Uint8Array.of(1));
  const two = hmac(pseudorandom, one, info, Uint8Array.of(2));
  return { transcript: hexOf(salt), fromOfferer: hexOf(one), fromAnswerer: hexOf(two) };
}

test('the X25519 result of the vectors is RFC 7748’s', () => {
  const { privateKey, publicKey, peerKey } = vectors.secret;
  const prefix = '302e020100300506032b656e04220420';
  const own = createPrivateKey({
    key: Buffer.from(prefix + privateKey, 'hex'),
    format: 'der',
    type: 'pkcs8',
  });
  const point = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
  assert.equal(createPublicKey(own).export({ format: 'jwk' }).x, point(publicKey));
  const peer = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: point(peerKey) }, format: 'jwk' });
  assert.equal(hexOf(diffieHellman({ privateKey: own, publicKey: peer })), vectors.secret.shared);
});

for (const { name, generation, cipher, transcript, ...each } of vectors.cases) {
  test(`${name}: both sides derive the keys of the vector, and so does HMAC by hand`, () => {
    const offerer = sideOf(each.offerer, generation);
    const answerer = sideOf(each.answerer, generation);
    const { offererToAnswerer, answererToOfferer } = each;
    assert.deepEqual(brief(deriveDirectKeys(shared(), offerer, answerer, true)), [
      cipher,
      offererToAnswerer,
      answererToOfferer,
    ]);
    assert.deepEqual(brief(deriveDirectKeys(shared(), answerer, offerer, false)), [
      cipher,
      answererToOfferer,
      offererToAnswerer,
    ]);
    assert.deepEqual(derivedByHand(shared(), offerer, answerer), {
      transcript,
      fromOfferer: offererToAnswerer,
      fromAnswerer: answererToOfferer,
    });
  });
}

test('the messages have these bytes, and read back they are the same', () => {
  const renewal = vectors.cases[1]!;
  const answer = sideOf(renewal.offerer, renewal.generation).message;
  const examples = { first: alice.message, answer: { ...answer, echo: alice.message.key } };
  for (const [name, message] of Object.entries(examples)) {
    const hex = vectors.messages[name as keyof typeof examples];
    assert.equal(hexOf(encode(message)), hex, name);
    assert.deepEqual(parse(directMessage, bytesOf(hex)), message);
  }
});

const limits: readonly [keyof DirectMessage, good: readonly unknown[], bad: readonly unknown[]][] = [
  ['version', [1, 2], ['1', 1.5]],
  ['generation', [0, 0xffff_ffff], [-1, 0x1_0000_0000, 0.5]],
  ['index', [1, 0xffff_ffff], [0, -1, 0x1_0000_0000]],
  ['key', [new Uint8Array(32)], [new Uint8Array(31), new Uint8Array(33), 'k']],
  [
    'ciphers',
    [['chacha20-poly1305'], ['a-cipher-of-tomorrow', 'aes-256-gcm'], Array(4).fill('x')],
    [[], Array(5).fill('x'), [''], ['x'.repeat(33)], ['AES'], 'aes-256-gcm'],
  ],
  ['echo', [undefined, new Uint8Array(0), new Uint8Array(32)], [new Uint8Array(33), 'k']],
];

for (const [name, good, bad] of limits) {
  test(`limits of ${name}`, () => {
    const message = (value: unknown) => ({ ...alice.message, [name]: value });
    for (const value of good) assert.doesNotThrow(() => check(directMessage, message(value)));
    for (const value of bad)
      assert.equal(
        refusal(() => check(directMessage, message(value))),
        'bad_message',
      );
  });
}

test('two fresh pairs agree, whichever side offered and whatever ciphers they list', () => {
  const list = fc.uniqueArray(fc.constantFrom('aes-256-gcm', 'chacha20-poly1305', 'a-cipher-of-tomorrow'), {
    minLength: 1,
  });
  const u32 = fc.integer({ min: 1, max: 0xffff_ffff });
  fc.assert(
    fc.property(list, list, u32, u32, u32, fc.boolean(), (a, b, indexA, indexB, generation, offers) => {
      const pairs = [newDirectKeyPair(), newDirectKeyPair()] as const;
      const one = saying(alice, { generation, index: indexA, ciphers: a, key: pairs[0].publicKey });
      const other = saying(bob, { generation, index: indexB, ciphers: b, key: pairs[1].publicKey });
      const ours = deriveDirectKeys(pairs[0].agree(pairs[1].publicKey), one, other, offers);
      const theirs = deriveDirectKeys(pairs[1].agree(pairs[0].publicKey), other, one, !offers);
      const aes = a.includes('aes-256-gcm') && b.includes('aes-256-gcm');
      assert.equal(ours.cipher, aes ? 'aes-256-gcm' : 'chacha20-poly1305');
      assert.deepEqual(brief(theirs), [ours.cipher, hexOf(ours.receiveKey), hexOf(ours.sendKey)]);
      assert.notDeepEqual(ours.sendKey, ours.receiveKey);
      assert.equal(ours.sendKey.length, 32);
      assert.equal(ours.receiveKey.length, 32);
    }),
    { numRuns: 50 },
  );
});

test('whatever is different on one side, or swapped between them, makes other keys', () => {
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
  const otherPrint = alice.fingerprint.replace('40', '41');
  const derived = (ours: DirectSide, theirs: DirectSide, offered = true, secret = shared()) =>
    brief(deriveDirectKeys(secret, ours, theirs, offered)).slice(1);
  const all = [
    derived(alice, bob),
    derived(alice, bob, false),
    derived({ ...alice, identity: flipped(alice.identity) }, bob),
    derived(alice, { ...bob, identity: flipped(bob.identity) }),
    derived({ ...alice, identity: bob.identity }, { ...bob, identity: alice.identity }),
    derived({ ...alice, fingerprint: otherPrint }, bob),
    derived(alice, { ...bob, fingerprint: otherPrint }),
    derived({ ...alice, fingerprint: bob.fingerprint }, { ...bob, fingerprint: alice.fingerprint }),
    derived(saying(alice, { index: 5 }), bob),
    derived(alice, saying(bob, { index: 5 })),
    derived(saying(alice, { key: flipped(alice.message.key) }), bob),
    derived(alice, saying(bob, { key: flipped(bob.message.key) })),
    derived(saying(alice, { ciphers: ['aes-256-gcm'] }), bob),
    derived(saying(alice, { ciphers: ['chacha20-poly1305', 'aes-256-gcm'] }), bob),
    derived(alice, saying(bob, { ciphers: ['aes-256-gcm'] })),
    derived(saying(alice, { generation: 1 }), saying(bob, { generation: 1 })),
    derived(alice, bob, true, flipped(shared())),
  ].flat();
  // The second row is the first with the sides exchanged: the same bytes hashed in the other order.
  assert.equal(new Set(all).size, all.length);
});

test('a fingerprint is the same in any case of letters, with the name of the hash and without', () => {
  const expected = brief(deriveDirectKeys(shared(), alice, bob, true));
  const bare = alice.fingerprint.replace('sha-256 ', '');
  for (const fingerprint of [bare, bare.toLowerCase(), `SHA-256 ${bare}`, ` sha-256  ${bare}\r\n`]) {
    assert.deepEqual(brief(deriveDirectKeys(shared(), { ...alice, fingerprint }, bob, true)), expected);
  }
  for (const fingerprint of [
    '',
    'sha-256',
    `sha-1 ${bare}`,
    bare.slice(3),
    `${bare}:00`,
    bare.replace('4', 'g'),
  ]) {
    const attempt = () => deriveDirectKeys(shared(), alice, { ...bob, fingerprint }, true);
    assert.equal(refusal(attempt), 'bad_message', fingerprint);
  }
});

/** The points of order 1, 2, 4 and 8, and of them those that are written in two ways. */
const smallOrder = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
];

for (const point of smallOrder) {
  test(`a key of small order is refused: ${point.slice(0, 8)}…`, () => {
    const withHighBit = bytesOf(point);
    withHighBit[31]! |= 0x80;
    for (const key of [bytesOf(point), withHighBit]) {
      assert.equal(
        refusal(() => newDirectKeyPair().agree(key)),
        'bad_message',
      );
    }
  });
}

test('a key that is no key is refused', () => {
  for (const size of [0, 31, 33])
    assert.equal(
      refusal(() => newDirectKeyPair().agree(new Uint8Array(size).fill(9))),
      'bad_message',
    );
});

test('what must not become a key is refused, and the secret is gone all the same', () => {
  const refused: readonly [ErrorCode, Uint8Array, DirectSide, DirectSide][] = [
    ['bad_message', new Uint8Array(32), alice, bob],
    ['bad_message', shared().subarray(1), alice, bob],
    ['bad_message', shared(), alice, saying(bob, { key: alice.message.key })],
    ['bad_message', shared(), alice, saying(bob, { generation: 1 })],
    ['version_mismatch', shared(), alice, saying(bob, { version: 2 })],
    ['bad_message', shared(), alice, { ...bob, fingerprint: 'none' }],
  ];
  for (const [code, secret, ours, theirs] of refused) {
    assert.equal(
      refusal(() => deriveDirectKeys(secret, ours, theirs, true)),
      code,
    );
    assert.ok(secret.every((byte) => byte === 0));
  }
});

test('the secret is zeros after use, and a private key serves once', () => {
  const pair = newDirectKeyPair();
  const peer = newDirectKeyPair().publicKey;
  const secret = pair.agree(peer);
  assert.ok(secret.some((byte) => byte !== 0));
  deriveDirectKeys(secret, alice, bob, true);
  assert.ok(secret.every((byte) => byte === 0));
  assert.equal(
    refusal(() => pair.agree(peer)),
    'internal',
  );
});

const x86 =
  'processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 pclmulqdq ssse3 aes avx\nbugs\t\t: aes\n\n';
const arm = 'processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd aes pmull sha1\nCPU part\t: 0xd0c\n\n';

const machines: readonly [what: string, cpuinfo: string, aes: boolean][] = [
  ['x86 with both', x86.repeat(2), true],
  ['x86 without AES', x86.replace(' aes avx', ' avx'), false],
  ['x86 without the multiplication', x86.replace(' pclmulqdq', ''), false],
  ['x86 with vaes and vpclmulqdq alone', x86.replace('aes avx', 'vaes').replace('pclm', 'vpclm'), false],
  ['arm64 with both', arm, true],
  ['arm64 without the multiplication', arm.replace(' pmull', ''), false],
  ['arm64 of which one processor lacks it', arm + arm.replace(' aes', ''), false],
  ['32-bit ARM', 'Features\t: half thumb fastmult vfp\n', false],
  ['RISC-V', 'processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\n', false],
  ['nothing at all', '', false],
];

for (const [what, cpuinfo, aes] of machines) {
  test(`AES in hardware, ${what}: ${aes ? 'yes' : 'no'}`, () => assert.equal(listsAes(cpuinfo), aes));
}

test('this machine lists AES first where it has it, and ChaCha20 always', () => {
  const expected = hasAesHardware() ? ['aes-256-gcm', 'chacha20-poly1305'] : ['chacha20-poly1305'];
  assert.deepEqual(ownCiphers(), expected);
  assert.equal(hasAesHardware(), listsAes(readFileSync('/proc/cpuinfo', 'utf8')));
});
