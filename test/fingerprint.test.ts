import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { digestOf, fingerprintText, isFingerprint, shortFingerprint } from '../protocol/fingerprint.ts';

test('a fingerprint is SHA256: and the digest in base64 without padding, and is read back', () => {
  // Of 32 zero bytes; by `head -c 32 /dev/zero | openssl dgst -sha256 -binary | base64`.
  const zeros = 'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU';
  assert.equal(fingerprintText(createHash('sha256').update(new Uint8Array(32)).digest()), zeros);
  for (let i = 0; i < 256; i++) {
    const digest = createHash('sha256').update(`${i}`).digest();
    const text = fingerprintText(digest);
    assert.ok(isFingerprint(text), text);
    assert.deepEqual(Buffer.from(digestOf(text)), digest);
  }
  assert.equal(shortFingerprint(zeros), 'SHA256:Zmh6rfhivX');
});

test('what is no fingerprint: other digests, other alphabets, padding, bits that no digest has', () => {
  const good = 'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU';
  const bad = [
    good.slice(7),
    good.slice(0, -1),
    `${good}=`,
    ` ${good}`,
    good.replace('+', '-'),
    `${good.slice(0, -1)}V`,
  ];
  for (const text of [...bad, good.toLowerCase(), good.replace('256', '512')])
    assert.ok(!isFingerprint(text), text);
});
