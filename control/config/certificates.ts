/** Bundles of CA certificates. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';

/** The certificates of a PEM bundle. Throws `bad_config`, which names `source`, if the file cannot be read, has none, or
 *  has one that cannot be used. */
export function readCertificates(path: string, source: string): string[] {
  const refuse = (reason: string, cause?: unknown) =>
    new CryonetError('bad_config', `${source} takes a file of CA certificates in PEM: ${path} ${reason}`, {
      cause,
    });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw refuse(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`, cause);
  }
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw refuse('has no certificate');
  for (const [index, pem] of found.entries()) {
    try {
      new X509Certificate(pem);
    } catch (cause) {
      throw refuse(`has one that cannot be used, number ${index + 1}: ${reasonOf(cause)}`, cause);
    }
  }
  return [...found];
}
