/** The CAs that vouch for `wss://` servers, and words for TLS connections that fail. */
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

/** The CA certificates. They are read for the first `wss://` connection only, because a system has hundreds. */
export class Trust {
  readonly #certificates: readonly string[] | null;
  #context: SecureContext | undefined;

  /** Certificates in PEM; null for those of the system and of `NODE_EXTRA_CA_CERTS`. */
  constructor(certificates: readonly string[] | null) {
    this.#certificates = certificates;
  }

  context(): SecureContext {
    this.#context ??= createSecureContext({ ca: [...(this.#certificates ?? usualCertificates())] });
    return this.#context;
  }
}

/** The system's certificates, or Node's built-in ones on a system without any, such as a small container. */
function usualCertificates(): string[] {
  const system = getCACertificates('system');
  const extra = getCACertificates('extra');
  return [...(system.length > 0 ? system : getCACertificates('bundled')), ...extra];
}

const unknownAuthority: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Why a TLS connection failed, in words for an operator; undefined if it failed for another reason. `now` is the machine's
 *  clock in milliseconds. */
export function tlsTrouble(thrown: unknown, host: string, now: number): string | undefined {
  const { code, cert } = thrown as { code?: string; cert?: { subjectaltname?: string } };
  if (code === undefined) return undefined;
  const clock = new Date(now).toISOString().slice(0, 16).replace('T', ' ');
  if (unknownAuthority.has(code)) {
    return 'its certificate is from a CA that is not known here: give that CA’s certificate, or a self-signed one itself, by --tls-ca';
  }
  if (code === 'CERT_HAS_EXPIRED')
    return `its certificate has expired, or the clock here is ahead (${clock} UTC)`;
  if (code === 'CERT_NOT_YET_VALID') {
    return `its certificate is not valid yet, or the clock here is behind (${clock} UTC)`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = (cert?.subjectaltname ?? '')
      .replace(/[^\x21-\x7e]+/g, ' ')
      .trim()
      .slice(0, 200);
    return `its certificate is not for ${host}, but for ${names === '' ? 'no name' : names}`;
  }
  const { message } = thrown as { message?: string };
  const reason = /:SSL routines:[^:]*:([^:]{1,80}):/.exec(message ?? '')?.[1];
  if (reason === 'wrong version number' || reason === 'packet length too long') {
    return 'it does not speak TLS on that port: is it ws:// instead of wss://?';
  }
  if (reason !== undefined) return `TLS fails: ${reason}`;
  if (/^(CERT_|UNABLE_TO_|INVALID_|ERR_SSL_|ERR_TLS_)/.test(code)) return `TLS fails: ${code}`;
  return undefined;
}
