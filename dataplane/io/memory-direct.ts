/**
 * Direct paths in memory, for tests of what uses `DirectLink`. A record travels as an object, in a task of its own, and
 * opens under the key that it was sealed with and no other. Counters, events and their order are those of the native
 * engine, without its threads: one record is one write.
 */
import { isIP, isIPv6 } from 'node:net';
import {
  type DirectCounters,
  type DirectEvents,
  type DirectLink,
  type DirectOptions,
  type DirectSession,
  recordOverhead,
} from './direct.ts';

/** Bytes, `PROBE_LENGTH` in `probe.h`. */
const probeLength = 12;
/** Bytes of IP and UDP header. */
const overheadOf = (address: string) => (isIPv6(address) ? 48 : 28);

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

interface MemoryRecord {
  readonly index: number;
  readonly counter: number;
  /** The cipher and key that it was sealed with. */
  readonly key: string;
  readonly content:
    | { readonly kind: 'packet'; readonly bytes: Uint8Array }
    | { readonly kind: 'probe' | 'reply'; readonly number: number; readonly sentAt: number };
}

interface MemorySession {
  readonly link: MemoryDirectLink;
  readonly index: number;
  readonly peerIndex: number;
  readonly sealKey: string;
  readonly openKey: string;
  counter: number;
  /** One more than the greatest counter that was opened. */
  next: number;
  heard: boolean;
}

export interface MemoryDirectNetworkOptions {
  /** Runs one task later, never at once. By default `setImmediate`. */
  readonly schedule?: (task: () => void) => void;
  /** Whether this record is lost, by the names of the nodes. By default none is. */
  readonly loses?: (from: string, to: string) => boolean;
}

export class MemoryDirectNetwork {
  /** Bytes of the longest IP packet that arrives; longer ones vanish. */
  mtu = 1500;
  /** Bytes of the longest IP packet that a node's own interface takes. */
  interfaceMtu = 1500;
  readonly schedule: (task: () => void) => void;
  readonly #loses: (from: string, to: string) => boolean;
  readonly #cuts = new Set<string>();
  readonly #nodes = new Set<MemoryDirect>();

  constructor(options: MemoryDirectNetworkOptions = {}) {
    this.schedule = options.schedule ?? ((task) => void setImmediate(task));
    this.#loses = options.loses ?? (() => false);
  }

  /** The node of that name sends from `address` and hears what is sent there, until it is closed. */
  open(node: string, address: string, { port }: DirectOptions, events: DirectEvents): MemoryDirect {
    const direct = new MemoryDirect(this, node, { address, port }, events, () => this.#nodes.delete(direct));
    this.#nodes.add(direct);
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
      if (!this.#loses(from.node, other.node)) other.take(record, source);
    });
  }
}

/** The sockets and the engine of one node. */
export class MemoryDirect {
  readonly network: MemoryDirectNetwork;
  readonly node: string;
  /** Where it is in the network: another one where it moved. */
  end: Endpoint;
  /** By our receiver index. */
  readonly sessions = new Map<number, MemorySession>();
  readonly #events: DirectEvents;
  readonly #onClose: () => void;
  #closed = false;

  constructor(
    network: MemoryDirectNetwork,
    node: string,
    end: Endpoint,
    events: DirectEvents,
    onClose: () => void,
  ) {
    this.network = network;
    this.node = node;
    this.end = end;
    this.#events = events;
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closed;
  }

  take(record: MemoryRecord, source: Endpoint): void {
    const session = this.sessions.get(record.index);
    session?.link.take(session, record, source);
  }

  /** Events come in a turn of their own, never from inside a method of a link. */
  tell(event: (events: DirectEvents) => void): void {
    this.network.schedule(() => {
      if (!this.#closed) event(this.#events);
    });
  }

  close(): void {
    this.#closed = true;
    this.sessions.clear();
    this.#onClose();
  }
}

export class MemoryDirectLink implements DirectLink {
  readonly #direct: MemoryDirect;
  /** False where the device does not take the packet. */
  readonly #write: (packet: Uint8Array) => boolean;
  readonly #counters: { -readonly [Name in keyof DirectCounters]: number } = {
    ...{ txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0, txRecords: 0, rxRecords: 0 },
    ...{ txRefused: 0, txTooLong: 0, txAside: 0, txOverflow: 0, rxRefused: 0, rxForged: 0, rxReplayed: 0 },
    ...{ rxMalformed: 0, txWrites: 0, rxWrites: 0 },
  };
  #endpoint: Endpoint = { address: '', port: 0 };
  /** A record came from there. */
  #followed = false;
  #limit = 0;
  #used: MemorySession | undefined;
  #closed = false;

  constructor(direct: MemoryDirect, write: (packet: Uint8Array) => boolean) {
    this.#direct = direct;
    this.#write = write;
  }

  get closed(): boolean {
    return this.#closed || this.#direct.closed;
  }

  setEndpoint(address: string, port: number): boolean {
    this.#expectOpen();
    if (isIP(address) === 0) return false;
    this.#endpoint = { address, port };
    this.#followed = false;
    return true;
  }

  endpoint() {
    this.#expectOpen();
    return { ...this.#endpoint, overhead: overheadOf(this.#endpoint.address) };
  }

  setLimit(bytes: number): void {
    this.#expectOpen();
    this.#limit = bytes;
  }

  add({ index, peerIndex, cipher, sendKey, receiveKey }: DirectSession): boolean {
    this.#expectOpen();
    if (index === 0) throw new RangeError('index 0');
    if (sendKey.length !== 32 || receiveKey.length !== 32) throw new TypeError('not a key');
    if (this.#direct.sessions.has(index)) return false;
    const nameOf = (key: Uint8Array) => `${cipher} ${Buffer.from(key).toString('hex')}`;
    this.#direct.sessions.set(index, {
      link: this,
      index,
      peerIndex,
      sealKey: nameOf(sendKey),
      openKey: nameOf(receiveKey),
      counter: 0,
      next: 0,
      heard: false,
    });
    return true;
  }

  use(index: number | null): void {
    this.#expectOpen();
    const session = index === null ? undefined : this.#direct.sessions.get(index);
    if (index !== null && session?.link !== this) throw new Error('using a session: ENOENT');
    this.#used = session;
  }

  remove(index: number): void {
    if (this.#used?.index === index) throw new Error('this session is in use');
    this.#direct.sessions.delete(index);
  }

  probe(index: number, number: number, size: number): boolean {
    const session = this.#direct.sessions.get(index);
    if (session === undefined) return false;
    const least = overheadOf(this.#endpoint.address) + recordOverhead + probeLength;
    const bytes = Math.max(size, least);
    if (bytes > this.#direct.network.interfaceMtu) return false;
    const content = { kind: 'probe', number, sentAt: performance.now() } as const;
    this.#send(session, content, this.#endpoint, bytes);
    return true;
  }

  counters(): DirectCounters {
    this.#expectOpen();
    return { ...this.#counters };
  }

  /** False for a packet that is not to go by the direct path. */
  offer(packet: Uint8Array): boolean {
    const session = this.#used;
    if (session === undefined || this.closed) return false;
    if (packet.length > this.#limit) {
      this.#counters.txAside++;
      return false;
    }
    const size = packet.length + recordOverhead + overheadOf(this.#endpoint.address);
    this.#counters.txWrites++;
    if (size > this.#direct.network.interfaceMtu) {
      this.#counters.txTooLong++;
      return true;
    }
    this.#counters.txPackets++;
    this.#counters.txBytes += packet.length;
    this.#send(session, { kind: 'packet', bytes: packet }, this.#endpoint, size);
    return true;
  }

  take(session: MemorySession, { key, counter, content }: MemoryRecord, source: Endpoint): void {
    const counters = this.#counters;
    if (key !== session.openKey) {
      counters.rxForged++;
      return;
    }
    counters.rxRecords++;
    const { index } = session;
    if (!session.heard) this.#direct.tell((events) => events.heard(index));
    session.heard = true;
    if (content.kind === 'packet') this.#receive(content.bytes);
    else if (content.kind === 'reply') this.#answered(index, content);
    else {
      const size = overheadOf(source.address) + recordOverhead + probeLength;
      this.#send(session, { ...content, kind: 'reply' }, source, size);
    }
    if (counter < session.next) return;
    session.next = counter + 1;
    this.#follow(index, source);
  }

  close(): void {
    this.#closed = true;
    this.#used = undefined;
    for (const [index, { link }] of this.#direct.sessions)
      if (link === this) this.#direct.sessions.delete(index);
  }

  #receive(packet: Uint8Array): void {
    if (packet.length === 0) return;
    this.#counters.rxWrites++;
    if (this.#write(packet)) {
      this.#counters.rxPackets++;
      this.#counters.rxBytes += packet.length;
    } else {
      this.#counters.rxRefused++;
    }
  }

  #answered(index: number, { number, sentAt }: { readonly number: number; readonly sentAt: number }): void {
    const rtt = performance.now() - sentAt;
    this.#direct.tell((events) => events.answered(index, number, rtt));
  }

  #follow(index: number, source: Endpoint): void {
    const moved = source.address !== this.#endpoint.address || source.port !== this.#endpoint.port;
    if (moved && this.#followed) this.#direct.tell((events) => events.roamed(index));
    this.#endpoint = source;
    this.#followed = true;
  }

  #send(session: MemorySession, content: MemoryRecord['content'], to: Endpoint, size: number): void {
    this.#counters.txRecords++;
    const record = { index: session.peerIndex, counter: session.counter++, key: session.sealKey, content };
    this.#direct.network.carry(this.#direct, to, record, size);
  }

  #expectOpen(): void {
    if (this.closed) throw new Error('direct paths: ENOTCONN');
  }
}
