/**
 * The edge to the kernel's TUN devices. `native-tun.ts` implements it with the addon, `memory-tun.ts` in memory
 * for tests.
 */

import type { DirectEvents, DirectLink, DirectOptions } from './direct.ts';
import type { Host } from './host.ts';

/** Bytes of the packet information header: struct tun_pi, linux/if_tun.h. */
export const packetInformationSize = 4;

export interface TunOptions {
  /** At most 15 bytes; `%d` in it becomes the least number that is free, '' lets the kernel choose (`tun0`, …). */
  readonly name: string;
  /** Kept as the interface's alias (IFLA_IFALIAS), at most 255 bytes; '' for none. */
  readonly alias: string;
  /** Bytes of the largest packet, without the packet-information header. */
  readonly mtu: number;
  /** Every packet starts with the 4-byte header of linux/if_tun.h: flags, then the ethertype. */
  readonly packetInformation: boolean;
  /** IPv6 link-local address without prefix length; the device gets it as /64 and no other. */
  readonly linkLocal: string;
}

/** What came of giving an address: `there` where the interface had it; else why the kernel refused it. */
export type Given = 'given' | 'there' | { readonly refused: string };

export interface Tun {
  readonly name: string;
  readonly ifindex: number;
  /** TUNSETCARRIER. A new device has no carrier. */
  setCarrier(up: boolean): void;
  setMtu(bytes: number): void;
  /** Whether it was given its link-local address when that was set last: not where IPv6 is switched off. */
  readonly hasAddress: boolean;
  /** Sets the link-local address again, beside others that are there by now. */
  putAddress(): void;
  /** Adds an address as `address/length`, where the interface has it not. */
  giveAddress(address: string): Given;
  /** Removes it, where it is there. */
  takeAddress(address: string): void;
  /** Takes reverse path filtering of IPv4 off the interface, as a new one has none. */
  stopRpFilter(): void;
  /** Stop and start reading; while stopped the kernel's queue fills and then drops. */
  pause(): void;
  resume(): void;
  /** Packets that came faster than they were read and found the kernel's queue full, while the device had carrier. */
  dropped(): number;
  /** Its packets. Throws once it is closed. */
  direct(): DirectLink;
  /** Removes the device. Idempotent, never throws. */
  close(): void;
}

/** Takes records of packets that do not go by a direct path. A batch is the callee's to keep: no buffer in it is used again. */
export type RecordSink = (batch: readonly Uint8Array[]) => void;

export interface TunFactory extends Host {
  /** Throws what would keep every device from being opened, now; makes none. Errors as of `open`, but `tun_exists`. */
  try(): void;
  /** Opens, configures and brings up a device. Throws a `CryonetError`: `tun_missing`, `tun_no_driver`,
   *  `tun_file_denied`, `tun_cgroup_denied`, `tun_denied`, `tun_exists`, `tun_failed`, `addon_missing`. */
  open(options: TunOptions, sink: RecordSink): Tun;
  /** How the links of devices that are opened from now on send records; until then by datachannels, without a word of what
   *  happens. Throws a `CryonetError` `direct_refused` that says what the kernel refused. */
  openDirect(options: DirectOptions, events: DirectEvents): void;
  /** Every device loses its direct path, and keeps its keypairs. Idempotent. */
  closeDirect(): void;
  /** SO_MARK on every UDP socket of this process. Throws `direct_refused`. */
  mark(value: number): void;
}
