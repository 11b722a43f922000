/**
 * The native addon: its functions, typed, and its loader. The addon holds no policy: every rule about TUN devices
 * is in `native-tun.ts`.
 */
import { openAddon } from '../../service/addon.ts';

/** What the `*_binding.c` in `dataplane/native/src/` export. A device is a small number that closing gives back. A function
 *  the kernel refuses throws an Error whose `code` is the errno's name and whose message is the step that failed. */
export interface NativeAddon {
  /** Once, before the first `open`: `wake` is called when packets wait, and not again before `rest`. */
  listen(wake: () => void): void;
  /** Throws what keeps every device from being opened by the node at `path`; makes none. */
  try(path: string): void;
  /** A device that is down, without carrier and not read; '' lets the kernel choose the name. `path`: the node it is
   *  made by, `/dev/net/tun` or another of its numbers. */
  open(
    path: string,
    name: string,
    packetInformation: boolean,
  ): [device: number, name: string, ifindex: number];
  close(device: number): void;
  setCarrier(device: number, up: boolean): void;
  /** All that it needs before it is up but its address: `netlink_configure` in `netlink.h`. */
  configure(device: number, mtu: number, queueLength: number, alias: string): void;
  setMtu(device: number, bytes: number): void;
  /** Packets that the kernel's queue had no room for, since the device was opened. */
  dropped(device: number): number;
  setUp(device: number): void;
  stopAddressGeneration(device: number): void;
  /** Makes `ipv6` the interface's only IPv6 address. */
  setAddress(device: number, ipv6: string, prefixLength: number): void;
  /** The same, and leaves the others there. */
  addAddress(device: number, ipv6: string, prefixLength: number): void;
  /** Of either family. Throws EEXIST where it is there. */
  giveAddress(device: number, address: string, prefixLength: number): void;
  /** Also one that is not there. */
  takeAddress(device: number, address: string, prefixLength: number): void;
  /** Reverse path filter of IPv4: 0 none. */
  setRpFilter(device: number, mode: number): void;
  /** At most so many sealed packets, each a u32 of length in host order, the record, and padding to 4 bytes. */
  take(device: number, packets: number): ArrayBuffer | undefined;
  pause(device: number): void;
  resume(device: number): void;
  /** True: `wake` will be called for the next packet. False: an unpaused device has packets to take. */
  rest(): boolean;
  /** Every interface and address of the machine; `HostLink` and `HostAddress` say what is what. */
  hostLinks(): [index: number, name: string, flags: number, kind: string, rpFilter: number][];
  hostAddresses(): [index: number, address: string, flags: number, prefixLength: number, scope: number][];
  /** RTM_GETROUTE, for a packet with that mark; a string is the errno's name of why there is no way. */
  route(address: string, mark: number): [name: string, source?: string] | string;
  /** From now on the loaded addon of this file name takes literal addresses of either family, whatever addresses this
   *  machine has; the resolver refuses it those of a family without any. False where it never asks the resolver. */
  admitLiterals(library: string): boolean;
  /** After `listen`, whose `wake` is also called for events, and while no device is open: our tunnels have this UDP port;
   *  where `udp`, opens sockets on it, and `receivers` threads. `mark` 0: none. `dscp` 64: that of the packet. */
  directOpen(port: number, udp: boolean, receivers: number, mark: number, dscp: number): void;
  /** Closes the sockets: every link loses its direct path. */
  directClose(): void;
  /** Fills one number for each of `enum link_counter` in `keypair.h`. */
  directCounters(device: number, numbers: Float64Array): void;
  /** Records of no keypair, and datagrams that are no record. */
  directStrays(): [unknown: number, malformed: number];
  /** Four numbers for each event, float64: `enum event_type` in `event.h`, index, probe, round trip in milliseconds.
   *  Undefined: none, `wake` will be called for the next. */
  directEvents(): ArrayBuffer | undefined;
  /** SO_MARK on every UDP socket of this process. */
  mark(value: number): void;
  /** False where that address cannot be asked now, or there is no such keypair. */
  ask(index: number, address: string, port: number): boolean;
  /** False for an address that our sockets cannot reach. */
  setEndpoint(device: number, address: string, port: number): boolean;
  /** `overhead`: bytes of IP and UDP header in front of a record. */
  endpoint(device: number): [address: string, port: number, overhead: number];
  /** The address that records leave from. */
  source(device: number): string | undefined;
  /** The kernel chooses it, until a record of the peer's has arrived. */
  forgetOwn(device: number): void;
  /** Packets for the device are joined again, whatever it has refused. */
  join(device: number): void;
  /** Bytes of the longest packet that goes by the direct path, packet information included. */
  setLimit(device: number, bytes: number): void;
  setSegmentation(device: number, on: boolean): void;
  /** `cipher`: `enum record_cipher` in `record.h`. EEXIST where the index is taken. */
  addKeypair(
    device: number,
    index: number,
    peerIndex: number,
    cipher: number,
    seal: Uint8Array,
    open: Uint8Array,
    ecn: boolean,
  ): void;
  /** 0: none, packets are dropped. */
  useKeypair(device: number, index: number): void;
  /** Whether records go by UDP, where they fit; all others come by `take`. */
  carry(device: number, byUdp: boolean): void;
  /** Records that came by a datachannel. What they hold is overwritten. */
  openRecords(device: number, records: readonly Uint8Array[]): void;
  /** A record without a packet, for a datachannel. Undefined: there is no such keypair. */
  sign(index: number): ArrayBuffer | undefined;
  /** One that is not in use. */
  removeKeypair(index: number): void;
  /** An IP packet of `size` bytes. False where the kernel refuses it, or there is no such keypair. */
  probe(index: number, number: number, size: number): boolean;
  /** From now on `beat` has to be called more often than that, or the process aborts. Once. */
  watch(seconds: number): void;
  beat(): void;
}

let loaded: NativeAddon | undefined;

/** Throws `addon_missing`. */
export function loadAddon(): NativeAddon {
  loaded ??= openAddon('cryonet', 'dataplane') as NativeAddon;
  return loaded;
}
