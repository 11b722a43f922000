/** The addon that both processes share: its functions, typed, and its loader. */
import { openAddon } from './addon.ts';

/** What `addon.c` in `service/native/` exports. A function the kernel refuses throws an Error whose `code` is the
 *  errno's name and whose message is the step that failed. */
export interface ServiceAddon {
  /** Sends `text`, 1023 bytes at most, to the datagram socket at `address`; '@' begins an abstract name. */
  notify(address: string, text: string): void;
  /** Descriptor of a TCP socket with SO_MARK that is not connected yet; EPERM without CAP_NET_ADMIN. */
  markedSocket(family: number, mark: number): number;
  /** flock(2), exclusive, for as long as the descriptor is open; EAGAIN where another process has it. */
  lock(descriptor: number): void;
}

let loaded: ServiceAddon | undefined;

/** Throws `addon_missing`. */
export function loadServiceAddon(): ServiceAddon {
  loaded ??= openAddon('service', 'service') as ServiceAddon;
  return loaded;
}
