import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SaidKeys } from '../dataplane/io/channel-records.ts';
import {
  commonCipher,
  firstKeys,
  hasAesHardware,
  type KeySide,
  type Keys,
  listsAes,
  newAnswerKeys,
  newOfferKeys,
  newX25519,
  nextKeys,
  ownCiphers,
  saidKeys,
} from '../dataplane/io/link-keys.ts';
import { CryonetError, type ErrorCode } from '../protocol/errors.ts';
import { answerKeys, type LinkKeys, offerKeys, renewMessage } from '../protocol/keys.ts';
import { check } from '../protocol/schema.ts';

interface VectorSide {
  readonly id: string;
  readonly identity: string;
  readonly epoch: number;
  readonly fingerprint: string;
  readonly keys: Omit<LinkKeys, 'x25519' | 'kem'> & { readonly x25519: string; readonly kem: string };
}

interface VectorPair {
  readonly offererToAnswerer: string;
  readonly answererToOfferer: string;
}

interface VectorKeys extends VectorPair {
  readonly chain: string;
}

interface VectorHalf {
  readonly index: number;
  readonly x25519: string;
}

/** Made by another implementation than this one, of SHA-256 and HMAC. */
interface Vectors {
  /** RFC 7748 section 6.1. */
  readonly x25519: Readonly<Record<'privateKey' | 'publicKey' | 'peerKey' | 'shared', string>>;
  readonly cases: readonly (VectorKeys & {
    readonly name: string;
    readonly negotiation: string;
    readonly secret: string;
    readonly offerer: VectorSide;
    readonly answerer: VectorSide;
    readonly cipher: string;
    readonly said: Readonly<Record<'signal' | 'wire' | 'full', VectorPair>>;
    readonly renewals: readonly (VectorKeys & {
      readonly secret: string;
      readonly offerer: VectorHalf;
      readonly answerer: VectorHalf;
    })[];
  })[];
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('./vectors/link-keys.json', import.meta.url), 'utf8'),
);

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function sideOf({ identity, keys, ...rest }: VectorSide): KeySide {
  const { x25519, kem } = keys;
  return {
    ...rest,
    identity: bytesOf(identity),
    keys: { ...keys, x25519: bytesOf(x25519), kem: bytesOf(kem) },
  };
}

const first = vectors.cases[0]!;
const alice = sideOf(first.offerer);
const bob = sideOf(first.answerer);
const secretOf = () => bytesOf(first.secret);

/** `side` with some of its keys changed. */
function saying(side: KeySide, change: Partial<LinkKeys>): KeySide {
  return { ...side, keys: { ...side.keys, ...change } };
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

/** What one side has, as the vectors of the other direction have it. */
function keysOf(keys: Keys, offered: boolean): VectorKeys {
  return { chain: hexOf(keys.chain), ...pairOf(keys, offered) };
}

function pairOf({ sendKey, receiveKey }: SaidKeys, offered: boolean): VectorPair {
  const [sent, received] = [hexOf(sendKey), hexOf(receiveKey)];
  return offered
    ? { offererToAnswerer: sent, answererToOfferer: received }
    : { offererToAnswerer: received, answererToOfferer: sent };
}

function expected({ chain, offererToAnswerer, answererToOfferer }: VectorKeys): VectorKeys {
  return { chain, offererToAnswerer, answererToOfferer };
}

test('the X25519 result of the vectors is RFC 7748’s', () => {
  const { privateKey, publicKey, peerKey, shared } = vectors.x25519;
  const prefix = '302e020100300506032b656e04220420';
  const own = createPrivateKey({
    key: Buffer.from(prefix + privateKey, 'hex'),
    format: 'der',
    type: 'pkcs8',
  });
  const point = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
  assert.equal(createPublicKey(own).export({ format: 'jwk' }).x, point(publicKey));
  const peer = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: point(peerKey) }, format: 'jwk' });
  assert.equal(hexOf(diffieHellman({ privateKey: own, publicKey: peer })), shared);
});

for (const { name, negotiation, secret, cipher, said, renewals, ...each } of vectors.cases) {
  test(`${name}: both sides make the keys of the vector, of what is said, and those of two renewals`, () => {
    const offerer = sideOf(each.offerer);
    const answerer = sideOf(each.answerer);
    assert.equal(commonCipher(offerer.keys, answerer.keys), cipher);
    const sides = [
      { offered: true, keys: firstKeys(bytesOf(secret), negotiation, offerer, answerer, true) },
      { offered: false, keys: firstKeys(bytesOf(secret), negotiation, answerer, offerer, false) },
    ];
    for (const { offered, keys } of sides) {
      assert.deepEqual(keysOf(keys, offered), expected(each));
      for (const what of ['signal', 'wire', 'full'] as const)
        assert.deepEqual(pairOf(saidKeys(keys.chain, what, offered), offered), said[what]);
    }
    for (const [i, renewal] of renewals.entries()) {
      const halfOf = ({ index, x25519 }: VectorHalf) => ({
        generation: i + 1,
        index,
        x25519: bytesOf(x25519),
      });
      const halves = [halfOf(renewal.offerer), halfOf(renewal.answerer)] as const;
      for (const side of sides) {
        const [ours, theirs] = side.offered ? halves : [halves[1], halves[0]];
        const { chain } = side.keys;
        side.keys = nextKeys(chain, bytesOf(renewal.secret), ours, theirs, side.offered);
        assert.deepEqual(keysOf(side.keys, side.offered), expected(renewal));
        assert.ok(
          chain.every((byte) => byte === 0),
          'the old chain is wiped',
        );
      }
    }
  });
}

const limits: readonly [keyof LinkKeys, good: readonly unknown[], bad: readonly unknown[]][] = [
  ['index', [1, 0xffff_ffff], [0, -1, 0x1_0000_0000, 1.5]],
  ['x25519', [new Uint8Array(32)], [new Uint8Array(31), new Uint8Array(33), 'k']],
  ['kem', [new Uint8Array(1184)], [new Uint8Array(1183), new Uint8Array(1185), new Uint8Array(1088)]],
  [
    'ciphers',
    [['chacha20-poly1305'], ['a-cipher-of-tomorrow', 'aes-256-gcm'], Array(4).fill('x')],
    [[], Array(5).fill('x'), [''], ['x'.repeat(33)], ['AES'], 'aes-256-gcm'],
  ],
  ['ecn', [true, false], [undefined, 1]],
  ['udp', [true, false], [undefined, 1]],
];

for (const [name, good, bad] of limits) {
  test(`limits of ${name}`, () => {
    const offer = (value: unknown) => ({ ...alice.keys, [name]: value });
    for (const value of good) assert.doesNotThrow(() => check(offerKeys, offer(value)));
    for (const value of bad)
      assert.equal(
        refusal(() => check(offerKeys, offer(value))),
        'bad_message',
      );
  });
}

test('an answer has a ciphertext, and no key', () => {
  assert.doesNotThrow(() => check(answerKeys, bob.keys));
  assert.equal(
    refusal(() => check(answerKeys, alice.keys)),
    'bad_message',
  );
});

test('limits of a renewal', () => {
  const message = { type: 'renew', generation: 1, index: 7, x25519: new Uint8Array(32) };
  for (const good of [{}, { generation: 0xffff_ffff }, { echo: new Uint8Array(32) }])
    assert.doesNotThrow(() => check(renewMessage, { ...message, ...good }));
  for (const bad of [{ generation: 0 }, { index: 0 }, { x25519: new Uint8Array(31) }, { echo: 'k' }])
    assert.equal(
      refusal(() => check(renewMessage, { ...message, ...bad })),
      'bad_message',
    );
});

test('whatever is different on one side, or swapped between them, makes other keys', () => {
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
  const otherPrint = alice.fingerprint.replace('40', '41');
  const made = (ours: KeySide, theirs: KeySide, offered = true, secret = secretOf(), name = 'n') => {
    const { sendKey, receiveKey } = firstKeys(secret, name, ours, theirs, offered);
    return [hexOf(sendKey), hexOf(receiveKey)];
  };
  const all = [
    made(alice, bob),
    made(alice, bob, false),
    made(alice, bob, true, secretOf(), 'm'),
    made({ ...alice, id: 'ams-2' }, bob),
    made({ ...alice, id: bob.id }, { ...bob, id: alice.id }),
    made({ ...alice, identity: flipped(alice.identity) }, bob),
    made(alice, { ...bob, identity: flipped(bob.identity) }),
    made({ ...alice, identity: bob.identity }, { ...bob, identity: alice.identity }),
    made({ ...alice, epoch: 5 }, bob),
    made(alice, { ...bob, epoch: 5 }),
    made({ ...alice, epoch: bob.epoch }, { ...bob, epoch: alice.epoch }),
    made({ ...alice, fingerprint: otherPrint }, bob),
    made(alice, { ...bob, fingerprint: otherPrint }),
    made({ ...alice, fingerprint: bob.fingerprint }, { ...bob, fingerprint: alice.fingerprint }),
    made(saying(alice, { index: 5 }), bob),
    made(alice, saying(bob, { index: 5 })),
    made(saying(alice, { x25519: flipped(alice.keys.x25519) }), bob),
    made(alice, saying(bob, { x25519: flipped(bob.keys.x25519) })),
    made(saying(alice, { kem: flipped(alice.keys.kem) }), bob),
    made(alice, saying(bob, { kem: flipped(bob.keys.kem) })),
    made(saying(alice, { ecn: false }), bob),
    made(saying(alice, { udp: false }), bob),
    made(saying(alice, { ciphers: ['aes-256-gcm'] }), bob),
    made(saying(alice, { ciphers: ['chacha20-poly1305', 'aes-256-gcm'] }), bob),
    made(alice, saying(bob, { ciphers: ['aes-256-gcm'] })),
    made(alice, bob, true, flipped(secretOf())),
    made(
      alice,
      bob,
      true,
      secretOf().map((byte, i) => (i === 63 ? byte ^ 1 : byte)),
    ),
  ].flat();
  // The second row is the first with the sides exchanged: the same bytes hashed in the other order.
  assert.equal(new Set(all).size, all.length);
});

test('a fingerprint is the same in any case of letters, with the name of the hash and without', () => {
  const made = (fingerprint: string) =>
    hexOf(firstKeys(secretOf(), 'n', { ...alice, fingerprint }, bob, true).chain);
  const bare = alice.fingerprint.replace('sha-256 ', '');
  for (const fingerprint of [bare, bare.toLowerCase(), `SHA-256 ${bare}`, ` sha-256  ${bare}\r\n`])
    assert.equal(made(fingerprint), made(alice.fingerprint));
  for (const fingerprint of [
    '',
    'sha-256',
    `sha-1 ${bare}`,
    bare.slice(3),
    `${bare}:00`,
    bare.replace('4', 'g'),
  ]) {
    const secret = secretOf();
    const attempt = () => firstKeys(secret, 'n', alice, { ...bob, fingerprint }, true);
    assert.equal(refusal(attempt), 'bad_message', fingerprint);
    assert.ok(
      secret.every((byte) => byte === 0),
      'the secret is gone all the same',
    );
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
        refusal(() => newX25519().agree(key)),
        'bad_message',
      );
    }
  });
}

test('a key that is no key is refused', () => {
  for (const size of [0, 31, 33])
    assert.equal(
      refusal(() => newX25519().agree(new Uint8Array(size).fill(9))),
      'bad_message',
    );
  // FIPS 203, section 7.2: coefficients of a key are less than 3,329.
  const { keys } = newOfferKeys({ index: 7, udp: true });
  for (const kem of [keys.kem.subarray(1), new Uint8Array(1184).fill(0xff)])
    assert.equal(
      refusal(() => newAnswerKeys({ index: 8, udp: true }, { ...keys, kem })),
      'bad_message',
    );
});

test('our own key that comes back is none of the peer’s', () => {
  const own = newOfferKeys({ index: 7, udp: true });
  const { keys } = newAnswerKeys({ index: 8, udp: true }, own.keys);
  assert.equal(
    refusal(() => own.agree({ ...keys, x25519: own.keys.x25519 })),
    'bad_message',
  );
});

test('a private key serves once', () => {
  const own = newOfferKeys({ index: 7, udp: true });
  const { keys } = newAnswerKeys({ index: 8, udp: true }, own.keys);
  own.agree(keys);
  assert.equal(
    refusal(() => own.agree(keys)),
    'internal',
  );
});

test('whichever ciphers both list, they agree on one', () => {
  const list = fc.uniqueArray(fc.constantFrom('aes-256-gcm', 'chacha20-poly1305', 'a-cipher-of-tomorrow'), {
    minLength: 1,
  });
  fc.assert(
    fc.property(list, list, (a, b) => {
      const both = [saying(alice, { ciphers: a }).keys, saying(bob, { ciphers: b }).keys] as const;
      const aes = a.includes('aes-256-gcm') && b.includes('aes-256-gcm');
      assert.equal(commonCipher(...both), aes ? 'aes-256-gcm' : 'chacha20-poly1305');
      assert.equal(commonCipher(both[1], both[0]), commonCipher(...both));
    }),
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
