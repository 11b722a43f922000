/** The edge to the packets of links: records over UDP, without this process's JavaScript, or for a datachannel, where it sees
 *  nothing but records. */
import type { LinkCipher } from '../../protocol/keys.ts';
import type { Unsent } from './device.ts';

export interface DirectOptions {
  /** ICE's UDP port, which the records share; 0: it has none. Packets of our own tunnels come from there. */
  readonly port: number;
  /** Records may go and come by UDP; else all go to datachannels. */
  readonly udp: boolean;
  readonly workers: number;
  /** SO_MARK; 0: none. */
  readonly mark: number;
  /** Differentiated services code point of records (RFC 2474), 0 to 63, or that of each packet; by default 0. */
  readonly dscp?: number | 'copy';
}

/** One pair of keys under one receiver index. */
export interface Keypair {
  /** Ours, not 0. */
  readonly index: number;
  readonly peerIndex: number;
  readonly cipher: LinkCipher;
  /** 32 bytes each; copied. */
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The peer brings the marks of routers in, so that packets show their ECN outside; by default not. */
  readonly ecn?: boolean;
}

export interface DirectEvents {
  /** The first record under a keypair was opened, whatever carried it. */
  heard(index: number): void;
  /** A probe was answered; `rtt` in milliseconds, `opened`: the peer's `rxRecords` then, null where it does not count. */
  answered(index: number, number: number, rtt: number, opened: number | null): void;
  /** The peer is at another address, as it has answered from there: the path follows. */
  roamed(index: number): void;
}

/** Since the device was opened. Bytes are those of packets. */
export interface DirectCounters {
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
  /** By UDP, probes included. */
  readonly txRecords: number;
  readonly rxRecords: number;
  /** Packets that the kernel had no room or no way for. */
  readonly txRefused: number;
  /** Packets longer than the outgoing interface takes. */
  readonly txTooLong: number;
  /** What the kernel handed over at once and did not fit the path: it went by the datachannel. */
  readonly txAside: number;
  /** Packets that should have gone by the datachannel, and came faster than they were fetched. */
  readonly txOverflow: number;
  /** Packets that the interface did not take. */
  readonly rxRefused: number;
  /** Records that are not from the peer, or were changed. */
  readonly rxForged: number;
  readonly rxReplayed: number;
  readonly rxMalformed: number;
  /** Packets that a router on the way marked, and that cannot say so inside: to whoever sent them, lost (RFC 6040). */
  readonly rxCongested: number;
  /** Records, joined ones counted once, that came faster than they were opened. The kernel counts them for all links
   *  together; they are those of the link whose record came next. */
  readonly rxOverflow: number;
  /** System calls. */
  readonly txWrites: number;
  readonly rxWrites: number;
  /** Super-packets that the interface refused for what they are: their packets were written one by one. */
  readonly rxUnjoined: number;
  /** Records that left in one call with others (UDP_SEGMENT). */
  readonly txSegmented: number;
  /** Packets that would configure this node, and those of a protocol that links do not carry: `admission.h`. */
  readonly rxConfiguring: number;
  readonly rxProtocol: number;
  /** Of `txPackets` those that were sealed for a datachannel, and of `rxPackets` those that came by one. */
  readonly txData: number;
  readonly rxData: number;
  /** Packets for which there was no keypair. */
  readonly txKeyless: number;
  /** Packets of our own tunnels, which a route would lead into another. */
  readonly txLooped: number;
}

/** The packets of one device. Nothing here throws for what a peer or the network does. */
export interface DirectLink {
  /** False for an address that our sockets cannot reach. */
  setEndpoint(address: string, port: number): boolean;
  /** Where records go now; `overhead` in bytes of IP and UDP header. */
  endpoint(): { readonly address: string; readonly port: number; readonly overhead: number };
  /** Our address that records leave from, of the endpoint's family: where the peer's come to, else the kernel's choice;
   *  undefined where there is no way to it. */
  source(): string | undefined;
  /** For two seconds the kernel chooses it, wherever the peer's records come to. */
  forgetOwn(): void;
  /** Bytes of the longest packet that goes by the direct path, packet information included; records of longer ones come to
   *  the sink. */
  setLimit(bytes: number): void;
  /** Whether records leave together, to be cut on their way, as they do at first. */
  setSegmentation(on: boolean): void;
  /** Records to its index are opened from now on. False where that is taken. */
  add(keypair: Keypair): boolean;
  /** Packets are sealed with this keypair from now on; null: they are dropped. */
  use(index: number | null): void;
  /** Whether records go by the direct path, where they fit, or all to the sink, as at first. Throws where there is no UDP. */
  carry(on: boolean): void;
  /** Takes records that came by a datachannel; what they hold is overwritten. */
  open(records: readonly Uint8Array[]): void;
  /** A record without a packet, for a datachannel; undefined where there is no such keypair. */
  sign(index: number): Uint8Array | undefined;
  /** A keypair that is not in use; its keys are wiped. */
  remove(index: number): void;
  /** In an IP packet of `size` bytes, or the smallest. False where the kernel refuses its length. */
  probe(index: number, number: number, size: number): boolean;
  /** Asks the peer at another address, by a probe that nobody but it can answer: then the path moves there. As is every
   *  address that records come from. False where too many are asked already, or our sockets cannot reach it. */
  ask(index: number, address: string, port: number): boolean;
  counters(): DirectCounters;
  /** Packets for the interface are joined again, whatever it has refused. */
  join(): void;
}

interface Counters {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxDropped: number;
  readonly txDropped: number;
}

/** Bytes of a record around a packet: `dataplane/native/src/record.h`. */
export const recordOverhead = 32;

/** Packets of both ways of a link, and those dropped by cause. `queue`: those that found the interface's own full. */
export function sumCounters(
  link: DirectCounters,
  { unsent, unsentBytes, unread }: Unsent,
  queue: number,
): { readonly counters: Counters; readonly dropped: Record<string, number> } {
  const dropped: Record<string, number> = {};
  const note = (cause: string, packets: number) => {
    if (packets > 0) dropped[cause] = packets;
  };
  note('datachannel', unsent + link.txOverflow);
  note('interface', unread + link.rxRefused);
  note('queue', queue);
  note('configuration', link.rxConfiguring);
  note('protocol', link.rxProtocol);
  note('keys', link.txKeyless);
  note('loop', link.txLooped);
  note('socket', link.txRefused);
  note('tooLong', link.txTooLong);
  note('forged', link.rxForged);
  note('replayed', link.rxReplayed);
  note('malformed', link.rxMalformed);
  note('congested', link.rxCongested);
  note('buffer', link.rxOverflow);
  const counters = {
    rxPackets: link.rxPackets,
    rxBytes: link.rxBytes,
    txPackets: link.txPackets - unsent,
    txBytes: link.txBytes - unsentBytes,
    rxDropped: unread + link.rxRefused + link.rxCongested + link.rxOverflow,
    txDropped:
      queue + unsent + link.txRefused + link.txTooLong + link.txOverflow + link.txKeyless + link.txLooped,
  };
  return { counters, dropped };
}
