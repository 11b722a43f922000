/**
 * Direct paths in memory, for tests of what uses `DirectLink`: the network, and the nodes in it. A record travels as an
 * object, in a task of its own, and opens under the key that it was sealed with and no other.
 */
import type { DirectEvents, DirectOptions } from './direct.ts';
import type { MemoryDirectLink } from './memory-direct-link.ts';
import type { RecordKey } from './record.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface MemoryRecord {
  readonly index: number;
  readonly counter: number;
  readonly key: RecordKey;
  readonly content:
    | { readonly kind: 'packet'; readonly bytes: Uint8Array }
    | { readonly kind: 'probe'; readonly number: number; readonly sentAt: number; readonly asks?: symbol }
    | MemoryReply;
}

export interface MemoryReply {
  readonly kind: 'reply';
  readonly number: number;
  readonly sentAt: number;
  /** What nobody can guess, of a probe that asked for the peer at another address. */
  readonly asks?: symbol;
  /** Records of its link that the sender had opened. */
  readonly opened: number;
}

export interface MemoryKeypair {
  readonly link: MemoryDirectLink;
  readonly index: number;
  readonly peerIndex: number;
  readonly sealKey: RecordKey;
  readonly openKey: RecordKey;
  readonly udp: MemoryLane;
  readonly data: MemoryLane;
  heard: boolean;
}

/** What each carrier of a keypair has for itself. */
export interface MemoryLane {
  counter: number;
  /** One more than the greatest counter that was opened. */
  next: number;
  /** Counters that were opened, no further behind than the window. */
  readonly opened: Set<number>;
}

export interface MemoryDirectNetworkOptions {
  /** Runs one task later, never at once. By default `setImmediate`. */
  readonly schedule?: (task: () => void) => void;
  /** Whether this record is lost, by the names of the nodes. By default none is. */
  readonly loses?: (from: string, to: string) => boolean;
  /** Whether this record arrives twice. By default none does. */
  readonly repeats?: (from: string, to: string) => boolean;
}

export class MemoryDirectNetwork {
  /** Bytes of the longest IP packet that arrives; longer ones vanish. */
  mtu = 1500;
  /** Bytes of the longest IP packet that a node's own interface takes. */
  interfaceMtu = 1500;
  /** Whether sockets have IPv6 as well. */
  ipv6 = true;
  /** Records that came to a node and are of none of its keypairs. */
  strays = 0;
  readonly schedule: (task: () => void) => void;
  readonly #loses: (from: string, to: string) => boolean;
  readonly #repeats: (from: string, to: string) => boolean;
  readonly #cuts = new Set<string>();
  readonly #nodes = new Set<MemoryDirect>();

  constructor(options: MemoryDirectNetworkOptions = {}) {
    this.schedule = options.schedule ?? ((task) => void setImmediate(task));
    this.#loses = options.loses ?? (() => false);
    this.#repeats = options.repeats ?? (() => false);
  }

  /** The node of that name sends from `address` and hears what is sent there, until it is closed. */
  open(node: string, address: string, { port, udp }: DirectOptions, events?: DirectEvents): MemoryDirect {
    const end = { address, port };
    const direct = new MemoryDirect(this, node, end, udp, events, () => this.#nodes.delete(direct));
    if (udp) this.#nodes.add(direct);
    return direct;
  }

  /** From now on no record passes from `from` to `to`. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  /** Undoes every cut. */
  heal(): void {
    this.#cuts.clear();
  }

  /** `size` in bytes of the IP packet. */
  carry(from: MemoryDirect, to: Endpoint, record: MemoryRecord, size: number): void {
    const source = from.end;
    this.schedule(() => {
      const other = [...this.#nodes].find(({ end }) => end.address === to.address && end.port === to.port);
      if (other === undefined || size > this.mtu || this.#cuts.has(`${from.node} ${other.node}`)) return;
      if (this.#loses(from.node, other.node)) return;
      other.take(record, source);
      if (this.#repeats(from.node, other.node)) other.take(record, source);
    });
  }
}

/** The engine of one node, and its sockets while it has UDP. */
export class MemoryDirect {
  readonly network: MemoryDirectNetwork;
  readonly node: string;
  /** Where it is in the network: another one where it moved. */
  end: Endpoint;
  /** By our receiver index. */
  readonly keypairs = new Map<number, MemoryKeypair>();
  udp: boolean;
  readonly #events: DirectEvents | undefined;
  readonly #onClose: () => void;

  constructor(
    network: MemoryDirectNetwork,
    node: string,
    end: Endpoint,
    udp: boolean,
    events: DirectEvents | undefined,
    onClose: () => void,
  ) {
    this.network = network;
    this.node = node;
    this.end = end;
    this.udp = udp;
    this.#events = events;
    this.#onClose = onClose;
  }

  take(record: MemoryRecord, source: Endpoint): void {
    const keypair = this.keypairs.get(record.index);
    if (keypair === undefined) this.network.strays++;
    else keypair.link.take(keypair, record, source);
  }

  /** Events come in a turn of their own, never from inside a method of a link. */
  tell(event: (events: DirectEvents) => void): void {
    this.network.schedule(() => {
      if (this.#events !== undefined) event(this.#events);
    });
  }

  /** Its links lose their direct paths. */
  close(): void {
    this.udp = false;
    this.#onClose();
  }
}
