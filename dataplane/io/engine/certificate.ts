/**
 * A self-signed certificate for DTLS, made here: the library makes one in the pool of threads that also reads what
 * arrives, and has JavaScript wait for it. Who keeps these threads busy would stop everything.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** Who connects compares its fingerprint with the description's: nothing else in it counts. */
export function newCertificate(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = certificateBody(publicKey);
  const signature = sign('sha256', body, privateKey);
  const der = sequence(body, ecdsaWithSha256, element(0x03, Buffer.concat([Buffer.of(0), signature])));
  const base64 = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** `TBSCertificate` of RFC 5280, section 4.1. */
function certificateBody(publicKey: KeyObject): Buffer {
  const version3 = element(0xa0, element(0x02, Buffer.of(2)));
  // Neither negative nor with a zero in front.
  const serial = element(0x02, Buffer.concat([Buffer.of(1), randomBytes(15)]));
  const key = publicKey.export({ type: 'spki', format: 'der' });
  return sequence(version3, serial, ecdsaWithSha256, name, validity, name, key);
}

/** DER (ITU-T X.690): tag, length, content. */
function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.of(tag, ...(length < 128 ? [length] : long)), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

/** 1.2.840.10045.4.3.2, RFC 5758. */
const ecdsaWithSha256 = sequence(element(0x06, Buffer.from('2a8648ce3d040302', 'hex')));
/** A common name, 2.5.4.3. */
const name = sequence(
  element(0x31, sequence(element(0x06, Buffer.from('550403', 'hex')), element(0x0c, Buffer.from('cryonet')))),
);
/** From before any clock that is behind, without an end (RFC 5280, section 4.1.2.5). */
const validity = sequence(
  element(0x17, Buffer.from('700101000000Z')),
  element(0x18, Buffer.from('99991231235959Z')),
);
