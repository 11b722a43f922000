/**
 * The little of SDP (RFC 8866) and of ICE candidates (RFC 8839 5.1) that the engines need. What a peer sent goes
 * through here first: the engines' own parsers see only lines this file understood.
 */

import { isIP } from 'node:net';
import { CryonetError } from '../../../protocol/errors.ts';
import { type Nat64Prefix, nat64Address } from '../../core/nat64.ts';
import type { CandidateType } from '../webrtc.ts';

/** Bytes of the longest description accepted; ours have about 500. */
const MAX_DESCRIPTION = 16_384;
/** Bytes of the longest candidate line accepted; ours have about 100. */
const MAX_CANDIDATE = 512;

export interface Candidate {
  readonly type: CandidateType;
  /** A literal IPv4 or IPv6 address without zone. */
  readonly address: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
}

/** The SHA-256 fingerprint of the sender's DTLS certificate (RFC 8122): 32 upper-case hex bytes with colons.
 *  Throws `bad_sdp` where there is none, more than one, or one of another hash: a description that could be read
 *  in two ways must not be bound to an identity. */
export function fingerprintOf(sdp: string): string {
  const found = new Set<string>();
  for (const line of linesOf(sdp)) {
    if (!/^\s*a\s*=\s*fingerprint/i.test(line)) continue;
    const value = /^a=fingerprint:sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$/i.exec(line)?.[1];
    if (value === undefined) throw new CryonetError('bad_sdp', 'a fingerprint that is not SHA-256');
    found.add(value.toUpperCase());
  }
  const [fingerprint] = found;
  if (fingerprint === undefined) throw new CryonetError('bad_sdp', 'no fingerprint');
  if (found.size > 1) throw new CryonetError('bad_sdp', 'more than one fingerprint');
  return fingerprint;
}

/** The description without its candidates and without `end-of-candidates`, lines ended by CRLF. */
export function withoutCandidates(sdp: string): string {
  const kept = linesOf(sdp).filter((line) => !/^\s*a\s*=\s*(candidate|end-of-candidates)/i.test(line));
  return `${kept.join('\r\n')}\r\n`;
}

/** A peer's description made safe to hand to an engine: one datachannel section, one fingerprint, ICE credentials,
 *  no candidates (they trickle). Throws `bad_sdp`. */
export function remoteDescription(sdp: string): string {
  fingerprintOf(sdp);
  const lines = linesOf(sdp);
  const sections = lines.filter((line) => /^\s*m\s*=/i.test(line));
  if (sections.length !== 1 || !/^m=application \d+ (UDP|TCP)?\/?DTLS\/SCTP /.test(sections[0]!)) {
    throw new CryonetError('bad_sdp', 'not one datachannel section');
  }
  // The lengths of RFC 8839 5.4: engines copy both into fixed buffers.
  expectOne(lines, /^a=ice-ufrag:[A-Za-z0-9+/]{4,256}$/, 'ice-ufrag');
  expectOne(lines, /^a=ice-pwd:[A-Za-z0-9+/]{22,256}$/, 'ice-pwd');
  expectOne(lines, /^a=setup:(actpass|active|passive)$/, 'setup');
  return withoutCandidates(sdp);
}

/** The candidate in an `a=` line's value (with or without the `a=`), or undefined where the line is malformed or the
 *  address is not a literal: names, `.local` ones above all (RFC 8828), are not looked up for a peer. */
export function parseCandidate(line: string): Candidate | undefined {
  const fields = candidateFields(line);
  if (fields === undefined) return undefined;
  const { type, address, port, transport } = fields;
  return { type, address, port, transport };
}

/** A peer's candidate rebuilt from what was understood, or undefined where an engine has no use for it: malformed,
 *  not UDP, not component 1, or no unicast address. */
export function remoteCandidate(line: string): string | undefined {
  const fields = candidateFields(line);
  if (fields === undefined || fields.transport !== 'udp' || fields.component !== 1) return undefined;
  if (fields.port === 0 || !isUnicast(fields.address)) return undefined;
  const { foundation, priority, address, port, type } = fields;
  return `candidate:${foundation} 1 UDP ${priority} ${address} ${port} typ ${type}`;
}

/** The same candidate by the translator of our network; undefined where it is none of IPv4, or not translated. */
export function translatedCandidate(line: string, nat64: Nat64Prefix): string | undefined {
  const fields = candidateFields(line);
  if (fields === undefined || isIP(fields.address) !== 4) return undefined;
  const address = nat64Address(nat64, fields.address);
  return address === undefined ? undefined : line.replace(` ${fields.address} `, ` ${address} `);
}

/** A host candidate (RFC 8445 5.1.2.1): type preference 126, then in the order of `index`, whatever the family. */
export function hostCandidate(address: string, port: number, index: number): string {
  const preference = 65_535 - index;
  const priority = 126 * 2 ** 24 + preference * 2 ** 8 + 255;
  return `candidate:${index + 1} 1 UDP ${priority} ${address} ${port} typ host`;
}

interface CandidateFields extends Candidate {
  readonly foundation: string;
  readonly component: number;
  readonly priority: number;
}

const candidatePattern =
  /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) (\d{1,3}) (udp|tcp) (\d{1,10}) ([0-9A-Fa-f.:]{2,45}) (\d{1,5}) typ (host|srflx|prflx|relay)(?: |$)/i;

function candidateFields(line: string): CandidateFields | undefined {
  if (line.length > MAX_CANDIDATE) return undefined;
  const match = candidatePattern.exec(line);
  if (match === null || /[\r\n\0]/.test(line)) return undefined;
  const [, foundation, component, transport, priority, address, port, type] = match as unknown as string[];
  if (isIP(address!) === 0 || Number(port) > 65_535 || Number(priority) > 2 ** 31 - 1) return undefined;
  return {
    foundation: foundation!,
    component: Number(component),
    transport: transport!.toLowerCase() as Candidate['transport'],
    priority: Number(priority),
    address: address!,
    port: Number(port),
    type: type!.toLowerCase() as CandidateType,
  };
}

function isUnicast(address: string): boolean {
  if (isIP(address) === 4) {
    const first = Number(address.split('.', 1)[0]);
    return first !== 0 && first < 224;
  }
  const plain = address.toLowerCase();
  return !plain.startsWith('ff') && !/^[0:]+$/.test(plain);
}

function expectOne(lines: readonly string[], form: RegExp, name: string): void {
  const prefix = new RegExp(`^\\s*a\\s*=\\s*${name}`, 'i');
  const found = lines.filter((line) => prefix.test(line));
  if (found.length !== 1 || !form.test(found[0]!)) throw new CryonetError('bad_sdp', `not one valid ${name}`);
}

function linesOf(sdp: string): string[] {
  if (sdp.length > MAX_DESCRIPTION) throw new CryonetError('bad_sdp', 'a description that is too long');
  return sdp.split(/\r\n|\n|\r|\0/).filter((line) => line !== '');
}
