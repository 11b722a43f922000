/**
 * The edge to the machine's network: its interfaces, addresses and routes. `native-host.ts` asks the kernel,
 * `memory-tun.ts` is the twin in memory.
 */
import type { HostAddress, HostLink } from '../core/host-addresses.ts';

export type { HostAddress, HostLink };

export interface Route {
  /** Name of the interface that a packet leaves by. */
  readonly interface: string;
  /** The address that the kernel sends from, where it names one. */
  readonly source: string | undefined;
}

/** A route that is there so that packets are not sent: its type, in the words of ip-route(8). A routing daemon sets such
 *  ones for what it has lost its route to. */
export interface Forbidden {
  readonly forbids: 'unreachable' | 'prohibit' | 'blackhole';
}

export interface Host {
  /** Empty where the kernel does not say. */
  links(): readonly HostLink[];
  addresses(): readonly HostAddress[];
  /** How a packet with `mark` (0: none) goes to `address` (IPv4 or IPv6): RTM_GETROUTE. Undefined where there is no
   *  route. */
  route(address: string, mark: number): Route | Forbidden | undefined;
  /** `net.ipv4.conf.all.rp_filter`, which counts for an interface where it is more than the interface's own. */
  rpFilterOfAll(): number;
}
