/** The addon that both processes share: the types of its functions, and its loader. */
import { openAddon } from './addon.ts';

/** The exports of `service/native/addon.c`. A function that the kernel refuses throws an Error: its `code` is the name of
 *  the errno, its message the step that failed. */
export interface ServiceAddon {
  /** Sends `text`, at most 8191 bytes, to the datagram socket at `address`. '@' begins an abstract name. */
  notify(address: string, text: string): void;
  /** Descriptor of a new TCP socket with SO_MARK, not connected. `family` is 4 or 6. EPERM without CAP_NET_ADMIN. */
  markedSocket(family: number, mark: number): number;
  /** Bytes of the longest segment, both ways, of connections that this listening TCP socket accepts (TCP_MAXSEG, tcp(7)). */
  limitSegments(descriptor: number, bytes: number): void;
  /** Locks exclusively by flock(2) for as long as the descriptor is open. EAGAIN if another process has the lock. */
  lock(descriptor: number): void;
  /** From here on this process leaves no core file, and no other process of its user may look into it. Never throws. */
  conceal(): void;
  /** The answer to one request of `native/broker.h`; `pid` and `descriptor` are 0 if it has none. EPIPE and ECONNRESET:
   *  the broker has ended. EAGAIN: it did not answer in ten seconds. */
  askBroker(channel: number, request: Buffer): { readonly pid: number; readonly descriptor: number };
}

let loaded: ServiceAddon | undefined;

/** Throws `addon_missing`. */
export function loadServiceAddon(): ServiceAddon {
  loaded ??= openAddon('service', 'service') as ServiceAddon;
  return loaded;
}
