/**
 * TUN devices in memory, for tests of what uses `TunFactory`. The test is the kernel: `inject` sends a packet out of
 * a device, `written` is what the kernel got. Names, errors, losses and the order of events are those of
 * `native-tun.ts`; one conformance suite runs against both.
 */
import { isIPv6 } from 'node:net';
import { CryonetError, type ErrorCode, errorCodes } from '../../protocol/errors.ts';
import type { DirectEvents, DirectLink, DirectOptions } from './direct.ts';
import type { Forbidden, HostAddress, HostLink, Route } from './host.ts';
import { type MemoryDirect, MemoryDirectNetwork } from './memory-direct.ts';
import { MemoryDirectLink } from './memory-direct-link.ts';
import {
  type Given,
  packetInformationSize,
  type RecordSink,
  type Tun,
  type TunFactory,
  type TunOptions,
} from './tun.ts';

const batchPackets = 128;
const queueLength = 500;
const ipv6MinimumMtu = 1280;
/** IFF_UP, IFF_POINTOPOINT, IFF_RUNNING, IFF_NOARP (linux/if.h); RT_SCOPE_LINK. */
const flagsOfTun = 0x1 | 0x10 | 0x40 | 0x80;
const scopeLink = 253;

/** Where a node is in a network of direct paths. */
interface Place {
  readonly network: MemoryDirectNetwork;
  readonly node: string;
  readonly address: string;
}

/** What a device asks of its factory, and tells it. */
interface Owner {
  readonly direct: MemoryDirect;
  readonly hasIpv6: () => boolean;
  readonly closed: () => void;
}

function nowhere(): Place {
  return { network: new MemoryDirectNetwork(), node: '', address: '::' };
}

export class MemoryTunFactory implements TunFactory {
  /** The open devices by name. */
  readonly devices = new Map<string, MemoryTun>();
  /** What `route` answers: address to interface name. */
  readonly routes = new Map<string, string>();
  /** Set it to have `open` throw this. */
  refusal: ErrorCode | undefined;
  /** Set it to have `try` and `open` throw this. */
  trouble: ErrorCode | undefined;
  /** Set it to have `openDirect` refused for this reason. */
  directRefusal: string | undefined;
  /** Set it to have `mark` throw this. */
  markRefusal: string | undefined;
  #ifindex = 1;
  #place: Place | undefined;
  /** Until `openDirect`: links without events, and without UDP. */
  #direct = nowhere().network.open('', '::', { port: 0, udp: false, workers: 1, mark: 0 });

  try(): void {
    if (this.trouble !== undefined) throw new CryonetError(this.trouble);
  }

  open(options: TunOptions, sink: RecordSink): MemoryTun {
    this.try();
    if (this.refusal !== undefined) throw new CryonetError(this.refusal);
    const name = this.#nameFor(options.name === '' ? 'tun%d' : options.name);
    if (this.devices.has(name)) throw new CryonetError('tun_exists', `${errorCodes.tun_exists} (${name})`);
    if (Buffer.byteLength(name) > 15) throw failure(name, 'name');
    if (Buffer.byteLength(options.alias) > 255) throw failure(name, 'alias');
    if (!isIPv6(options.linkLocal)) throw failure(name, 'link-local address');
    if (!isMtu(options.mtu)) throw failure(name, 'MTU');
    this.#ifindex += 1;
    const tun = new MemoryTun(name, this.#ifindex, options, sink, {
      direct: this.#direct,
      hasIpv6: () => !this.withoutIpv6,
      closed: () => this.devices.delete(name),
    });
    this.devices.set(name, tun);
    return tun;
  }

  /** Interfaces and addresses besides the devices' own. */
  readonly foreign: { links: HostLink[]; addresses: HostAddress[] } = { links: [], addresses: [] };
  /** `net.ipv4.conf.all.rp_filter`. */
  rpFilter = 0;
  /** IPv6 is switched off on every interface. */
  withoutIpv6 = false;

  links(): HostLink[] {
    const own = [...this.devices.values()].map(({ name, ifindex, rpFilter }) => ({
      ...{ index: ifindex, name, kind: 'tun', rpFilter },
      flags: flagsOfTun,
    }));
    return [...this.foreign.links, ...own];
  }

  addresses(): HostAddress[] {
    const own = [...this.devices.values()].filter(({ hasAddress }) => hasAddress);
    return [
      ...this.foreign.addresses,
      ...own.map(({ ifindex, options }) => ({
        ...{ index: ifindex, address: options.linkLocal, flags: 0 },
        ...{ prefixLength: 64, scope: scopeLink },
      })),
      ...[...this.devices.values()].flatMap(({ ifindex, given }) =>
        [...given].map((each) => {
          const [address = '', length] = each.split('/');
          return { index: ifindex, address, flags: 0, prefixLength: Number(length), scope: 0 };
        }),
      ),
    ];
  }

  route(address: string, _mark: number): Route | Forbidden | undefined {
    const found = this.routes.get(address);
    return found === undefined ? undefined : { interface: found, source: undefined };
  }

  rpFilterOfAll(): number {
    return this.rpFilter;
  }

  /** Direct paths that are opened from now on go by a network; without one they are refused. */
  join(place: Place): void {
    this.#place = place;
  }

  /** This node sends from another address now, and hears nothing at the old one. */
  move(address: string): void {
    this.#direct.end = { ...this.#direct.end, address };
  }

  openDirect(options: DirectOptions, events: DirectEvents): void {
    if (this.#direct.udp || this.devices.size > 0)
      throw new CryonetError('direct_refused', 'direct paths: EINVAL');
    const { network, node, address } = this.#place ?? nowhere();
    if (options.udp && (this.#place === undefined || this.directRefusal !== undefined))
      throw new CryonetError('direct_refused', this.directRefusal ?? 'no direct paths in memory');
    this.#direct = network.open(node, address, options, events);
  }

  closeDirect(): void {
    this.#direct.close();
  }

  mark(): void {
    if (this.markRefusal !== undefined) throw new Error(this.markRefusal);
  }

  #nameFor(template: string): string {
    let number = 0;
    while (template.includes('%d') && this.devices.has(template.replace('%d', `${number}`))) number += 1;
    return template.replace('%d', `${number}`);
  }
}

export class MemoryTun implements Tun {
  readonly name: string;
  readonly ifindex: number;
  readonly options: TunOptions;
  /** Copies of the packets that the kernel took, oldest first. */
  readonly written: Uint8Array[] = [];
  hasAddress = false;
  /** Addresses beside the link-local one, each with its length; a test may change them as other programs do. */
  readonly given = new Set<string>();
  /** Mode of reverse path filtering, which a test may set as udev does. */
  rpFilter = 0;
  readonly #header: number;
  readonly #sink: RecordSink;
  readonly #owner: Owner;
  readonly #link: MemoryDirectLink;
  #queue: Uint8Array[] = [];
  #scheduled = false;
  #carrier = false;
  #dropped = 0;
  #mtu: number;
  #paused = false;
  #closed = false;

  constructor(name: string, ifindex: number, options: TunOptions, sink: RecordSink, owner: Owner) {
    this.name = name;
    this.ifindex = ifindex;
    this.options = options;
    this.#header = options.packetInformation ? packetInformationSize : 0;
    this.#mtu = options.mtu;
    this.#sink = sink;
    this.#owner = owner;
    this.#link = new MemoryDirectLink(owner.direct, {
      header: this.#header,
      // The kernel takes what is longer than its own MTU, too.
      receive: (packet) => this.#take(packet),
    });
    this.putAddress();
  }

  putAddress(): void {
    this.hasAddress = !this.#closed && this.#mtu >= ipv6MinimumMtu && this.#owner.hasIpv6();
  }

  stopRpFilter(): void {
    this.rpFilter = 0;
  }

  giveAddress(address: string): Given {
    const isKept =
      this.#closed || (address.includes(':') && !(this.#owner.hasIpv6() && this.#mtu >= ipv6MinimumMtu));
    if (isKept) return { refused: 'EACCES' };
    if (this.given.has(address)) return 'there';
    this.given.add(address);
    return 'given';
  }

  takeAddress(address: string): void {
    this.given.delete(address);
  }

  /** The kernel takes the link-local address away, as it does where the interface is set down. */
  loseAddress(): void {
    this.hasAddress = false;
    for (const address of this.given) if (address.includes(':')) this.given.delete(address);
  }

  get carrier(): boolean {
    return this.#carrier;
  }

  get mtu(): number {
    return this.#mtu;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The kernel sends a packet, its header first where the device has packet information. False where the kernel
   *  would drop it: closed, no carrier, no packet of this MTU, queue full. The sink gets it in a microtask. */
  inject(packet: Uint8Array): boolean {
    if (this.#closed || !this.#carrier || !this.#fits(packet)) return false;
    if (this.#queue.length >= queueLength) {
      this.#dropped++;
      return false;
    }
    this.#queue.push(packet.slice());
    this.#schedule();
    return true;
  }

  setCarrier(up: boolean): void {
    if (!this.#closed) this.#carrier = up;
  }

  dropped(): number {
    return this.#closed ? 0 : this.#dropped;
  }

  setMtu(bytes: number): void {
    if (this.#closed) return;
    if (!isMtu(bytes)) throw failure(this.name, 'MTU');
    this.#mtu = bytes;
    this.putAddress();
  }

  direct(): DirectLink {
    if (this.#closed) throw failure(this.name, 'closed');
    return this.#link;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#link.close();
    this.#owner.closed();
  }

  #fits(packet: Uint8Array): boolean {
    return packet.length > this.#header && packet.length <= this.#mtu + this.#header;
  }

  #take(packet: Uint8Array): boolean {
    const isTaken = this.#isKnown(packet);
    if (isTaken) this.written.push(packet.slice());
    return isTaken;
  }

  /** Without packet information the kernel tells IPv4 from IPv6 by the first four bits, and takes nothing else. */
  #isKnown(packet: Uint8Array): boolean {
    const version = packet[0]! >> 4;
    return this.options.packetInformation || version === 4 || version === 6;
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#queue.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    if (this.#paused || this.#closed) return;
    const batch = this.#queue.splice(0, batchPackets);
    this.#schedule();
    const records = batch.flatMap((packet) => this.#link.offer(packet) ?? []);
    if (records.length > 0) this.#sink(records);
  }
}

function isMtu(bytes: number): boolean {
  return bytes >= 68 && bytes <= 65535;
}

function failure(name: string, what: string): CryonetError {
  return new CryonetError('tun_failed', `${errorCodes.tun_failed} (${name}: ${what})`);
}
