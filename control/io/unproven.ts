/**
 * Connections to the bootstrap WebSocket that have not proved the token yet. Anybody who reaches the port can open them, so
 * their number is bounded, each source has a share, and each connection has a time limit. Where there is no room the oldest
 * is closed, since it had the most time to prove itself:
 *
 *                ┌── its source has its full share: that source's oldest is closed
 *   ── add ──────┼── no room at all: the oldest of the source with the most is closed
 *                └── counted ──► closed, proved, or out of time
 */
import type { Socket } from 'node:net';
import { ipv6Groups } from '../../protocol/ipv6.ts';
import { formatHostPort, type HostPort } from '../config/address.ts';
import { Deadline } from './deadline.ts';

/** Connections at a time, of all sources and of one. */
export const maxUnproven = 512;
export const maxOfSource = 128;

/** Milliseconds from the connection to the proof, for TLS, HTTP and the handshake. */
const timeToProve = 30_000;

interface Entry {
  readonly source: string;
  readonly socket: Socket;
  readonly deadline: Deadline;
}

export class Unproven {
  readonly #crowded: (source: string) => void;
  /** By the other end's address and port, oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #counts = new Map<string, number>();

  /** Calls `crowded` with the source of a connection that had to make room. */
  constructor(crowded: (source: string) => void) {
    this.#crowded = crowded;
  }

  add(socket: Socket): void {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return;
    const source = sourceOf(remoteAddress);
    if (this.#countOf(source) >= maxOfSource) this.#makeRoom(source);
    else if (this.#entries.size >= maxUnproven) this.#makeRoom(this.#largest());
    const end = formatHostPort(farEnd(socket));
    const deadline = new Deadline(timeToProve, () => socket.destroy());
    this.#entries.set(end, { source, socket, deadline });
    this.#counts.set(source, this.#countOf(source) + 1);
    socket.once('close', () => this.#remove(end, socket));
  }

  /** The other end of `socket` has proved itself. `socket` may be the TLS socket over the one that was added. */
  proved(socket: Socket): void {
    this.#remove(formatHostPort(farEnd(socket)));
  }

  #countOf(source: string): number {
    return this.#counts.get(source) ?? 0;
  }

  #largest(): string {
    let largest = '';
    for (const [source, count] of this.#counts) if (count > this.#countOf(largest)) largest = source;
    return largest;
  }

  #makeRoom(source: string): void {
    for (const [end, entry] of this.#entries) {
      if (entry.source !== source) continue;
      this.#remove(end);
      entry.socket.destroy();
      this.#crowded(source);
      return;
    }
  }

  /** With `socket`, removes the entry only if it is of that socket, because an address and port may be in use again. */
  #remove(end: string, socket?: Socket): void {
    const entry = this.#entries.get(end);
    if (entry === undefined || (socket !== undefined && entry.socket !== socket)) return;
    entry.deadline.clear();
    this.#entries.delete(end);
    const left = this.#countOf(entry.source) - 1;
    if (left > 0) this.#counts.set(entry.source, left);
    else this.#counts.delete(entry.source);
  }
}

/** The source that an address belongs to: an IPv4 address, or an IPv6 /56, which providers give to one customer
 *  (RIPE-690). */
export function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '');
  const groups = ipv6Groups(plain)?.slice(0, 4);
  if (groups === undefined) return plain;
  groups[3]! &= 0xff00;
  return `${groups.map((group) => group.toString(16)).join(':')}::/56`;
}

/** The address and port of a connection's other end; `?` and 0 once it is closed. */
export function farEnd({ remoteAddress, remotePort }: Socket): HostPort {
  return { host: remoteAddress ?? '?', port: remotePort ?? 0 };
}
