/** What is measured: an overlay network that can be set up between hosts of a laboratory. */
import type { Namespace } from '../netns-tests/lab/namespace.ts';

export interface Contender {
  /** Head of its column. */
  readonly name: string;
  /** Debian package that its program comes from; undefined where it is part of this project. */
  readonly package?: string;
  /** Its hosts find each other; otherwise each is configured with all others' keys and addresses. */
  readonly discovers: boolean;
  /** Writes keys and configuration for an overlay of these hosts, of which the first is known to all others from the
   *  start. Starts nothing. */
  prepare(hosts: readonly Namespace[], options?: OverlayOptions): Promise<Overlay>;
}

export interface OverlayOptions {
  /** Of cryonet's command line; the others take none. */
  readonly options?: readonly string[];
  /** More of them, for all but the first. */
  readonly policy?: readonly string[];
  /** An empty cache for what the program compiles; only cryonet has one. */
  readonly cold?: boolean;
}

export interface Overlay {
  readonly hosts: readonly Namespace[];
  /** Starts the host's part, or starts it again after its end, and resolves with CLOCK_MONOTONIC in nanoseconds
   *  of the moment before. Does not wait for anything that happens by itself. */
  start(host: number): Promise<bigint>;
  /** The process whose end is a restart; of cryonet that is control, of the others all there is. */
  kill(host: number): Promise<void>;
  /** Where the host's part listens once it serves others. */
  readonly listening: Listening;
  /** Lines for the pinger, so that `from` tries to reach these hosts through the overlay. */
  targets(from: number, to: readonly number[]): string[];
  /** Resolves once `host` says that it is connected to the first, with the time of the last look that said it
   *  was not (CLOCK_MONOTONIC, nanoseconds); undefined where there is no such moment. */
  joined?(host: number): Promise<bigint>;
  /** An IPv4 address at which `to` is reached from `from`; the overlay must be up between the two. */
  address(from: number, to: number): Promise<string>;
}

export interface Listening {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** The address of a host inside the overlays that have addresses of their own. */
export function innerAddress(host: number): string {
  return `10.99.0.${host + 1}`;
}

/** CLOCK_MONOTONIC in nanoseconds: the pinger's clock too. */
export function monotonic(): bigint {
  return process.hrtime.bigint();
}
