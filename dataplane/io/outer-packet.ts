/**
 * Recognizes this node's own tunnel packets among those that the kernel hands to an interface: a route that leads the
 * outside of one tunnel into another would wrap packets in packets without end.
 */
import { networkInterfaces } from 'node:os';

const udp = 17;

/** Milliseconds that a look at the machine's addresses serves. */
const lookLifetime = 1000;

export class OuterPackets {
  readonly #port: number;
  #addresses = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** `port`: the UDP port that the tunnels use. */
  constructor(port: number) {
    this.#port = port;
  }

  /** Whether `packet`, an IPv4 (RFC 791) or IPv6 (RFC 8200) packet from byte `start` on, is UDP from that port of one
   *  of this machine's addresses. Fragments but the first, and IPv6 with extension headers, do not count. */
  has(packet: Uint8Array, start: number): boolean {
    const version = packet[start]! >> 4;
    if (version === 4) {
      const ports = start + (packet[start]! & 15) * 4;
      if (packet[start + 9] !== udp || !this.#isFromPort(packet, ports)) return false;
      return this.#isOwn(packet.subarray(start + 12, start + 16).join('.'));
    }
    if (version !== 6 || packet[start + 6] !== udp || !this.#isFromPort(packet, start + 40)) return false;
    return this.#isOwn(hexGroups(packet, start + 8));
  }

  #isFromPort(packet: Uint8Array, at: number): boolean {
    return at + 1 < packet.length && packet[at]! * 256 + packet[at + 1]! === this.#port;
  }

  #isOwn(address: string): boolean {
    const now = performance.now();
    if (now - this.#lookedAt > lookLifetime) {
      this.#lookedAt = now;
      this.#addresses = new Set();
      for (const each of Object.values(networkInterfaces()).flat()) {
        if (each !== undefined)
          this.#addresses.add(each.family === 'IPv4' ? each.address : expand(each.address));
      }
    }
    return this.#addresses.has(address);
  }
}

function hexGroups(packet: Uint8Array, at: number): string {
  const groups: string[] = [];
  for (let i = at; i < at + 16; i += 2) groups.push((packet[i]! * 256 + packet[i + 1]!).toString(16));
  return groups.join(':');
}

/** An IPv6 address as Node writes it (RFC 5952), with all eight groups. */
function expand(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right].join(':');
}
