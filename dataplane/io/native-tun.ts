/**
 * TUN devices of the kernel, by the native addon. One native thread reads all devices into a ring each; a turn takes
 * one batch from each device, and turns follow each other by setImmediate until all rings are empty, so that timers
 * and sockets have theirs in between however fast packets come:
 *
 *     asleep ──wake (a packet came)──▶ turn ──setImmediate──▶ turn ── … ──rest()──▶ asleep
 */
import { writeFileSync } from 'node:fs';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { DirectEvents, DirectLink } from './direct.ts';
import { loadAddon, type NativeAddon } from './native.ts';
import { directLink, emitDirectEvents } from './native-direct.ts';
import { nativeHost } from './native-host.ts';
import type { Given, RecordSink, Tun, TunFactory, TunOptions } from './tun.ts';
import { tunRefusal } from './tun-refusal.ts';

/** Packets per batch: what a sink that needs 5 µs for each works off in less than a millisecond. */
const batchPackets = 128;
/** Packets in the kernel's queue, as many as in that of an Ethernet interface (DEFAULT_TX_QUEUE_LEN, net/core/dev.c):
 *  what comes while a thread waits for its turn. A TCP flow beside others fills it with super-packets. */
const queueLength = 1000;
/** `DSCP_COPY` in `keypair.h`. */
const copiedDscp = 64;
/** The smallest MTU with which an interface has IPv6 at all (RFC 8200 §5). */
const ipv6MinimumMtu = 1280;

/** Devices that are made by the node at `path`: /dev/net/tun, or another of its numbers. */
export function nativeTunsBy(path: string): TunFactory {
  return { ...kernel, try: () => tryNode(path), open: (options, sink) => new NativeTun(path, options, sink) };
}

const kernel: Omit<TunFactory, 'try' | 'open'> = {
  ...nativeHost,

  openDirect({ port, udp, workers, mark, dscp = 0 }, events) {
    const addon = listeningAddon();
    refuseDirect(() => addon.directOpen(port, udp, workers, mark, dscp === 'copy' ? copiedDscp : dscp));
    directEvents = events;
  },

  closeDirect() {
    if (directEvents === undefined) return;
    directEvents = undefined;
    loadAddon().directClose();
  },

  mark(value) {
    const addon = loadAddon();
    refuseDirect(() => addon.mark(value));
  },
};

const open = new Set<NativeTun>();
let listening = false;
let scheduled = false;
let directEvents: DirectEvents | undefined;

function listeningAddon(): NativeAddon {
  const addon = loadAddon();
  if (!listening) addon.listen(schedule);
  listening = true;
  return addon;
}

function tryNode(path: string): void {
  const addon = loadAddon();
  try {
    addon.try(path);
  } catch (thrown) {
    throw tunRefusal(path, '', thrown);
  }
}

function refuseDirect(open: () => void): void {
  try {
    open();
  } catch (cause) {
    throw new CryonetError('direct_refused', `${reasonOf(cause)}: ${errnoOf(cause)}`, { cause });
  }
}

function turn(): void {
  scheduled = false;
  let busy = true;
  try {
    if (directEvents !== undefined) emitDirectEvents(loadAddon(), directEvents);
    busy = takeFromEach();
  } finally {
    // Also where a sink threw: the addon wakes nobody before it was told to rest.
    if (busy || !loadAddon().rest()) schedule();
  }
}

function takeFromEach(): boolean {
  let busy = false;
  for (const tun of open) busy = tun.deliver() || busy;
  return busy;
}

/** Also the addon's call when a packet came: Node would swallow what a sink throws in a call from a native thread. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(turn);
}

class NativeTun implements Tun {
  readonly name: string;
  readonly ifindex: number;
  readonly #addon: NativeAddon;
  readonly #path: string;
  readonly #device: number;
  readonly #sink: RecordSink;
  readonly #direct: DirectLink;
  readonly #linkLocal: string;
  #mtu: number;
  #hasAddress = false;
  /** What the kernel had counted when carrier came; undefined without carrier, where it counts packets that have no way to
   *  go (noop_enqueue in net/sched/sch_generic.c). */
  #droppedBefore: number | undefined;
  /** While there was carrier before. */
  #droppedEarlier = 0;
  #paused = false;
  #closed = false;

  /** Everything is set before the interface is up, so that a routing daemon never sees half of it. */
  constructor(path: string, options: TunOptions, sink: RecordSink) {
    const addon = listeningAddon();
    this.#addon = addon;
    this.#path = path;
    this.#sink = sink;
    this.#linkLocal = options.linkLocal;
    this.#mtu = options.mtu;
    try {
      [this.#device, this.name, this.ifindex] = addon.open(path, options.name, options.packetInformation);
    } catch (thrown) {
      throw tunRefusal(path, options.name, thrown);
    }
    this.#direct = directLink(addon, this.#device);
    try {
      addon.configure(this.#device, options.mtu, queueLength, options.alias);
      this.#addAddress();
      this.#stopConfiguring();
      addon.setUp(this.#device);
      addon.resume(this.#device);
    } catch (thrown) {
      addon.close(this.#device);
      throw tunRefusal(this.#path, this.name, thrown);
    }
    open.add(this);
  }

  setCarrier(up: boolean): void {
    this.#change(() => {
      if (up) this.#droppedBefore ??= this.#addon.dropped(this.#device);
      else {
        this.#droppedEarlier = this.dropped();
        this.#droppedBefore = undefined;
      }
      this.#addon.setCarrier(this.#device, up);
    });
  }

  dropped(): number {
    if (this.#closed) return 0;
    if (this.#droppedBefore === undefined) return this.#droppedEarlier;
    try {
      return this.#droppedEarlier + this.#addon.dropped(this.#device) - this.#droppedBefore;
    } catch {
      return 0; // Deleted under us, which the next change of it shows.
    }
  }

  setMtu(bytes: number): void {
    this.#change(() => {
      this.#addon.setMtu(this.#device, bytes);
      const before = this.#mtu;
      this.#mtu = bytes;
      // Below the minimum the kernel took IPv6 off the interface, settings and all; now it has made it anew.
      if (before >= ipv6MinimumMtu || bytes < ipv6MinimumMtu) return;
      unlessWithoutIpv6(() => this.#addon.stopAddressGeneration(this.#device));
      this.#stopConfiguring();
      this.#putAddress((ipv6) => this.#addon.setAddress(this.#device, ipv6, 64));
    });
  }

  get hasAddress(): boolean {
    return this.#hasAddress;
  }

  putAddress(): void {
    if (this.#closed) return;
    try {
      // An MTU too small for IPv6 that somebody set and took back has the kernel begin anew with an address of its own.
      unlessWithoutIpv6(() => this.#addon.stopAddressGeneration(this.#device));
      this.#addAddress();
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENODEV') throw tunRefusal(this.#path, this.name, thrown);
      this.#hasAddress = false;
    }
  }

  giveAddress(address: string): Given {
    if (this.#closed) return { refused: 'closed' };
    try {
      this.#addon.giveAddress(this.#device, ...parts(address));
      return 'given';
    } catch (thrown) {
      const errno = errnoOf(thrown);
      if (errno === 'ENODEV') throw tunRefusal(this.#path, this.name, thrown);
      return errno === 'EEXIST' ? 'there' : { refused: errno ?? reasonOf(thrown) };
    }
  }

  takeAddress(address: string): void {
    if (this.#closed) return;
    try {
      this.#addon.takeAddress(this.#device, ...parts(address));
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENODEV') throw tunRefusal(this.#path, this.name, thrown);
      // Whoever looks at the interface sees what it has.
    }
  }

  stopRpFilter(): void {
    try {
      if (!this.#closed) this.#addon.setRpFilter(this.#device, 0);
    } catch {
      // Whoever looks at the interface sees what it has.
    }
  }

  /** What comes by it configures nothing of IPv6. Packets that would are dropped before, so that a machine whose settings
   *  this process may not write is no less safe. */
  #stopConfiguring(): void {
    try {
      for (const setting of ['accept_ra', 'autoconf', 'accept_redirects'])
        writeFileSync(`/proc/sys/net/ipv6/conf/${this.name}/${setting}`, '0');
    } catch {
      // Read-only, or without IPv6.
    }
  }

  pause(): void {
    this.#paused = true;
    if (!this.#closed) this.#addon.pause(this.#device);
  }

  resume(): void {
    this.#paused = false;
    this.#change(() => this.#addon.resume(this.#device));
    schedule();
  }

  direct(): DirectLink {
    if (this.#closed) throw new CryonetError('tun_failed', `${this.name} is closed`);
    return this.#direct;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    open.delete(this);
    this.#addon.close(this.#device);
  }

  /** Hands on one batch; false where there was none. */
  deliver(): boolean {
    if (this.#paused || this.#closed) return false;
    const records = this.#addon.take(this.#device, batchPackets);
    if (records === undefined) return false;
    this.#sink(cut(records));
    return true;
  }

  #addAddress(): void {
    this.#putAddress((ipv6) => this.#addon.addAddress(this.#device, ipv6, 64));
  }

  #putAddress(put: (ipv6: string) => void): void {
    this.#hasAddress = this.#mtu >= ipv6MinimumMtu && unlessWithoutIpv6(() => put(this.#linkLocal));
  }

  #change(change: () => void): void {
    if (this.#closed) return;
    try {
      change();
    } catch (thrown) {
      throw tunRefusal(this.#path, this.name, thrown);
    }
  }
}

function parts(address: string): [address: string, prefixLength: number] {
  const [text = '', length] = address.split('/');
  return [text, Number(length)];
}

/** The sealed packets of a batch, as views of it. */
function cut(records: ArrayBuffer): Uint8Array[] {
  const words = new Uint32Array(records);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < words.length; ) {
    const length = words[at]!;
    packets.push(new Uint8Array(records, at * 4 + 4, length));
    at += 1 + ((length + 3) >>> 2);
  }
  return packets;
}

/** A host whose administrator switched IPv6 off (the module: EAFNOSUPPORT, EOPNOTSUPP; disable_ipv6: EACCES) still
 *  has its links, for IPv4. False where that is so. */
function unlessWithoutIpv6(configure: () => void): boolean {
  try {
    configure();
    return true;
  } catch (thrown) {
    if (!withoutIpv6.has(errnoOf(thrown) ?? '')) throw thrown;
    return false;
  }
}

const withoutIpv6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EOPNOTSUPP', 'EACCES']);

function errnoOf(thrown: unknown): string | undefined {
  return (thrown as NodeJS.ErrnoException).code;
}
