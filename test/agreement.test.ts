import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agreement, type AgreementParties } from '../dataplane/io/agreement.ts';
import type { Keypair } from '../dataplane/io/direct.ts';
import { newX25519 } from '../dataplane/io/link-keys.ts';
import type { LinkKeys, RenewMessage } from '../protocol/keys.ts';

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fingerprintOf = (byte: number) => `sha-256 ${Array(32).fill(byte.toString(16)).join(':')}`;

const party = (id: string, byte: number) => ({ id, identity: new Uint8Array(32).fill(byte) });
const ofAmsterdam: AgreementParties = {
  negotiation: 'n-1',
  ours: party('ams', 1),
  theirs: party('berlin', 2),
};
const ofBerlin: AgreementParties = { ...ofAmsterdam, ours: ofAmsterdam.theirs, theirs: ofAmsterdam.ours };
const described = {
  ams: { epoch: 5, fingerprint: fingerprintOf(0x40) },
  berlin: { epoch: 6, fingerprint: fingerprintOf(0xc0) },
};

/** Two nodes that have exchanged descriptions; what goes over may be changed on the way. */
function agreed(change = (keys: LinkKeys): LinkKeys => keys): { a: Agreement; b: Agreement } {
  const a = Agreement.offer(ofAmsterdam, { index: 7, udp: true });
  const b = Agreement.answer(ofBerlin, { index: 8, udp: true }, a.keys);
  b.conclude(described.berlin, { ...described.ams, keys: a.keys });
  a.conclude(described.ams, { ...described.berlin, keys: change(b.keys) });
  return { a, b };
}

function assertFit(a: Keypair, b: Keypair): void {
  const { cipher } = a;
  const crossed = { index: b.peerIndex, peerIndex: b.index, cipher: b.cipher, sendKey: b.receiveKey };
  assert.deepEqual({ index: a.index, peerIndex: a.peerIndex, cipher, sendKey: a.sendKey }, crossed);
  assert.deepEqual(a.receiveKey, b.sendKey);
  assert.notDeepEqual(a.sendKey, a.receiveKey);
}

test('two nodes agree with their descriptions, and renew with two messages; each keypair is another one', () => {
  const { a, b } = agreed();
  const seen = new Set<string>();
  const take = (one: Keypair, other: Keypair) => {
    assertFit(one, other);
    seen.add(hexOf(one.sendKey)).add(hexOf(one.receiveKey));
  };
  take(a.takeFirst()!, b.takeFirst()!);
  for (let generation = 1; generation <= 3; generation++) {
    const asked = a.ask(generation, () => 100 + generation);
    assert.equal(
      a.ask(generation, () => 1),
      asked,
      'asked again, it is the same message',
    );
    const { keypair, message } = b.answer(asked, 200 + generation);
    take(a.take(message)!, keypair);
    assert.equal(a.take(message), undefined, 'once');
  }
  assert.equal(seen.size, 8);
  assert.equal(a.takeFirst(), undefined, 'counters begin at 0 once');
});

test('an answer to another question is none', () => {
  const { a, b } = agreed();
  const asked = a.ask(1, () => 9);
  const { message } = b.answer(asked, 10);
  const { echo: _, ...mute } = message;
  const others: RenewMessage[] = [
    mute,
    { ...message, echo: newX25519().publicKey },
    { ...message, generation: 2 },
  ];
  for (const other of others) assert.equal(a.take(other), undefined);
  assert.ok(a.take(message));
});

test('what is changed on the way makes keys that do not fit, or none', () => {
  const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const changes: readonly ((keys: LinkKeys) => LinkKeys)[] = [
    (keys) => ({ ...keys, x25519: flip(keys.x25519, 3) }),
    (keys) => ({ ...keys, kem: flip(keys.kem, 500) }),
    (keys) => ({ ...keys, ecn: false }),
    (keys) => ({ ...keys, udp: false }),
    (keys) => ({ ...keys, ciphers: ['chacha20-poly1305'] }),
    (keys) => ({ ...keys, index: 9 }),
  ];
  for (const change of changes) {
    const { a, b } = agreed(change);
    assert.notDeepEqual(a.takeFirst()!.sendKey, b.takeFirst()!.receiveKey);
  }
});
