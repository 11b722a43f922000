/**
 * The packets of one device in memory. Counters, events and their order are those of the native engine, without its
 * threads: one record is one write.
 */
import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { type DirectCounters, type DirectLink, type Keypair, recordOverhead } from './direct.ts';
import { refusalOf } from './memory-admission.ts';
import type {
  Endpoint,
  MemoryDirect,
  MemoryKeypair,
  MemoryLane,
  MemoryRecord,
  MemoryReply,
} from './memory-direct.ts';
import { openRecord, parseRecord, type RecordKey, recordKind, sealRecord } from './record.ts';

/** Bytes, `PROBE_LENGTH` and `REPLY_LENGTH` in `probe.h`. */
const probeLength = 12;
const replyLength = 20;
/** Counters that a window remembers, a multiple of the word that it moves by: `REPLAY_BITS` in `record.h`. */
const replayBits = 8192;
const wordBits = 64;
/** The protocol number of UDP. */
const udp = 17;
/** Bytes of IP and UDP header. */
const overheadOf = (address: string) => (isIPv6(address) ? 48 : 28);

/** Milliseconds, and addresses at a time: those of `roaming.c`. */
const askAgain = 200;
const answersWithin = 3000;
const questions = 4;

/** Where nothing was set yet. */
const nowhere: Endpoint = { address: '::', port: 0 };

/** The device that a direct path belongs to. */
export interface MemoryDevice {
  /** Bytes in front of each packet. */
  readonly header: number;
  /** False where the kernel does not take the packet. */
  receive(packet: Uint8Array): boolean;
}

export class MemoryDirectLink implements DirectLink {
  /** Set it to have the kernel refuse what was joined, so many times so far. */
  unjoined = 0;
  /** How often packets were to be joined again. */
  joins = 0;
  /** How often the kernel was to choose our address. */
  forgets = 0;
  readonly #direct: MemoryDirect;
  readonly #device: MemoryDevice;
  readonly #counters: { -readonly [Name in keyof DirectCounters]: number } = {
    ...{ txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0, txRecords: 0, rxRecords: 0 },
    ...{ txRefused: 0, txTooLong: 0, txAside: 0, txOverflow: 0, rxRefused: 0, rxForged: 0, rxReplayed: 0 },
    ...{ rxMalformed: 0, rxCongested: 0, rxOverflow: 0, txWrites: 0, rxWrites: 0, rxUnjoined: 0 },
    ...{ txSegmented: 0, rxConfiguring: 0, rxProtocol: 0, txData: 0, rxData: 0, txKeyless: 0, txLooped: 0 },
  };
  #endpoint = nowhere;
  /** A record came from there. */
  #followed = false;
  /** Whether the peer is at an address. */
  #questions: { to: Endpoint; asks: symbol; since: number; at: number; open: boolean }[] = [];
  #limit = 0;
  #used: MemoryKeypair | undefined;
  #byUdp = false;
  #closed = false;

  constructor(direct: MemoryDirect, device: MemoryDevice) {
    this.#direct = direct;
    this.#device = device;
  }

  get #carries(): boolean {
    return this.#byUdp && this.#direct.udp;
  }

  setEndpoint(address: string, port: number): boolean {
    this.#expectOpen();
    if (!this.#direct.udp || isIP(address) === 0) return false;
    if (isIPv6(address) && !this.#direct.network.ipv6) return false;
    this.#endpoint = { address: shortest(address), port };
    this.#followed = false;
    this.#questions = [];
    return true;
  }

  endpoint() {
    this.#expectOpen();
    return { ...this.#endpoint, overhead: overheadOf(this.#endpoint.address) };
  }

  source(): string | undefined {
    this.#expectOpen();
    const { address } = this.#direct.end;
    if (!this.#direct.udp) return undefined;
    return this.#endpoint !== nowhere && isIP(address) === isIP(this.#endpoint.address) ? address : undefined;
  }

  forgetOwn(): void {
    this.#expectOpen();
    this.forgets++;
  }

  /** Nothing leaves together here. */
  setSegmentation(_on: boolean): void {
    this.#expectOpen();
  }

  setLimit(bytes: number): void {
    this.#expectOpen();
    this.#limit = bytes;
  }

  add({ index, peerIndex, cipher, sendKey, receiveKey }: Keypair): boolean {
    this.#expectOpen();
    if (index === 0) throw new RangeError('index 0');
    if (sendKey.length !== 32 || receiveKey.length !== 32) throw new TypeError('not a key');
    if (this.#direct.keypairs.has(index)) return false;
    const lane = (): MemoryLane => ({ counter: 0, next: 0, opened: new Set() });
    this.#direct.keypairs.set(index, {
      link: this,
      index,
      peerIndex,
      sealKey: { cipher, key: new Uint8Array(sendKey) },
      openKey: { cipher, key: new Uint8Array(receiveKey) },
      udp: lane(),
      data: lane(),
      heard: false,
    });
    return true;
  }

  use(index: number | null): void {
    this.#expectOpen();
    const keypair = index === null ? undefined : this.#direct.keypairs.get(index);
    if (index !== null && keypair?.link !== this) throw refusal('using a keypair', 'ENOENT');
    this.#used = keypair;
  }

  carry(on: boolean): void {
    this.#expectOpen();
    if (on && !this.#direct.udp) throw refusal('direct paths', 'ENOTCONN');
    this.#byUdp = on;
  }

  open(records: readonly Uint8Array[]): void {
    this.#expectOpen();
    for (const record of records) this.#openRecord(record);
  }

  sign(index: number): Uint8Array | undefined {
    const keypair = this.#direct.keypairs.get(index);
    return keypair && sealPacket(keypair, new Uint8Array());
  }

  remove(index: number): void {
    if (!this.#closed && this.#used?.index === index) throw new Error('this keypair is in use');
    this.#direct.keypairs.delete(index);
  }

  probe(index: number, number: number, size: number): boolean {
    const keypair = this.#direct.keypairs.get(index);
    if (keypair === undefined) return false;
    const least = overheadOf(this.#endpoint.address) + recordOverhead + probeLength;
    const bytes = Math.max(size, least);
    if (bytes > this.#direct.network.interfaceMtu) return false;
    const content = { kind: 'probe', number, sentAt: performance.now() } as const;
    this.#send(keypair, content, this.#endpoint, bytes);
    return true;
  }

  ask(index: number, address: string, port: number): boolean {
    const keypair = this.#direct.keypairs.get(index);
    if (keypair === undefined || !this.#direct.udp || isIP(address) === 0) return false;
    if (isIPv6(address) && !this.#direct.network.ipv6) return false;
    return this.#ask(keypair, { address: shortest(address), port }, 0);
  }

  counters(): DirectCounters {
    this.#expectOpen();
    return { ...this.#counters, rxUnjoined: this.unjoined };
  }

  join(): void {
    this.#expectOpen();
    this.joins++;
  }

  /** The kernel sends a packet. The record of one that goes by a datachannel. */
  offer(packet: Uint8Array): Uint8Array | undefined {
    const keypair = this.#used;
    const fits = packet.length <= this.#limit;
    if (keypair === undefined) this.#counters.txKeyless++;
    else if (isOuter(packet, this.#device.header, this.#direct.end)) this.#counters.txLooped++;
    else if (this.#carries && fits) this.#sendPacket(keypair, packet);
    else {
      if (this.#carries) this.#counters.txAside++;
      this.#counters.txPackets++;
      this.#counters.txData++;
      this.#counters.txBytes += packet.length;
      return sealPacket(keypair, packet);
    }
    return undefined;
  }

  #sendPacket(keypair: MemoryKeypair, packet: Uint8Array): void {
    const size = packet.length + recordOverhead + overheadOf(this.#endpoint.address);
    this.#counters.txWrites++;
    if (this.#endpoint === nowhere) {
      this.#counters.txRefused++;
      return;
    }
    if (size > this.#direct.network.interfaceMtu) {
      this.#counters.txTooLong++;
      return;
    }
    this.#counters.txPackets++;
    this.#counters.txBytes += packet.length;
    this.#send(keypair, { kind: 'packet', bytes: packet }, this.#endpoint, size);
  }

  /** A record that came by UDP. */
  take(keypair: MemoryKeypair, { key, counter, content }: MemoryRecord, source: Endpoint): void {
    const counters = this.#counters;
    const lane = keypair.udp;
    const { next } = lane;
    if (!this.#accept(keypair, lane, counter, () => isSameKey(key, keypair.openKey))) return;
    counters.rxRecords++;
    if (content.kind === 'packet') this.#receive(content.bytes, 'udp');
    else if (content.kind === 'reply') this.#answered(keypair, content);
    else {
      const size = overheadOf(source.address) + recordOverhead + replyLength;
      const { rxRecords: opened } = counters;
      this.#send(keypair, { ...content, kind: 'reply', opened }, source, size);
    }
    if (counter < next) return;
    if (isSame(source, this.#endpoint)) this.#followed = true;
    else if (this.#endpoint !== nowhere) this.#ask(keypair, source, askAgain);
  }

  close(): void {
    this.#closed = true;
    this.#used = undefined;
    for (const [index, { link }] of this.#direct.keypairs)
      if (link === this) this.#direct.keypairs.delete(index);
  }

  #openRecord(record: Uint8Array): void {
    const header = parseRecord(record);
    const keypair = header && this.#direct.keypairs.get(header.index);
    if (keypair?.link !== this || header!.kind !== recordKind.packet) return;
    let packet: Uint8Array | undefined;
    const opens = () => {
      packet = openRecord(keypair.openKey, record);
      return packet !== undefined;
    };
    if (this.#accept(keypair, keypair.data, header!.counter, opens)) this.#receive(packet!, 'data');
  }

  /** Whether the record is new and opens; if so it is marked, and the first one told of. */
  #accept(keypair: MemoryKeypair, lane: MemoryLane, counter: number, opens: () => boolean): boolean {
    if (!isNew(lane, counter)) this.#counters.rxReplayed++;
    else if (!opens()) this.#counters.rxForged++;
    else {
      lane.opened.add(counter).delete(counter - replayBits);
      lane.next = Math.max(lane.next, counter + 1);
      const { index } = keypair;
      if (!keypair.heard) this.#direct.tell((events) => events.heard(index));
      keypair.heard = true;
      return true;
    }
    return false;
  }

  #receive(packet: Uint8Array, lane: 'udp' | 'data'): void {
    if (packet.length === 0) return;
    if (packet.length <= this.#device.header) {
      this.#counters.rxMalformed++;
      return;
    }
    const refusal = refusalOf(packet, this.#device.header > 0);
    if (refusal !== undefined) {
      this.#counters[refusal === 'protocol' ? 'rxProtocol' : 'rxConfiguring']++;
      return;
    }
    this.#counters.rxWrites++;
    if (this.#device.receive(packet)) {
      this.#counters.rxPackets++;
      if (lane === 'data') this.#counters.rxData++;
      this.#counters.rxBytes += packet.length;
    } else {
      this.#counters.rxRefused++;
    }
  }

  #answered({ index }: MemoryKeypair, { number, sentAt, opened, asks }: MemoryReply): void {
    if (asks !== undefined) {
      const question = this.#questions.find((each) => each.asks === asks);
      if (question?.open === true && performance.now() - question.since < answersWithin)
        this.#move(index, question);
      return;
    }
    const rtt = performance.now() - sentAt;
    this.#direct.tell((events) => events.answered(index, number, rtt, opened));
  }

  #move(index: number, question: { to: Endpoint; open: boolean }): void {
    question.open = false;
    const moved = !isSame(question.to, this.#endpoint);
    if (moved && this.#followed) this.#direct.tell((events) => events.roamed(index));
    this.#endpoint = question.to;
    this.#followed = true;
  }

  #ask(keypair: MemoryKeypair, to: Endpoint, wait: number): boolean {
    const now = performance.now();
    const open = this.#questions.filter((each) => each.open && now - each.since < answersWithin);
    let question = open.find((each) => isSame(each.to, to));
    if (question !== undefined && now - question.at < wait) return false;
    if (question === undefined) {
      if (open.length >= questions) return false;
      question = { to, asks: Symbol('question'), since: now, at: now, open: true };
      this.#questions = [...open, question];
    }
    question.at = now;
    const content = { kind: 'probe', number: 0, sentAt: now, asks: question.asks } as const;
    const size = overheadOf(to.address) + recordOverhead + probeLength;
    this.#send(keypair, content, to, size);
    return true;
  }

  #send(keypair: MemoryKeypair, content: MemoryRecord['content'], to: Endpoint, size: number): void {
    const { peerIndex: index, sealKey: key } = keypair;
    const record = { index, counter: keypair.udp.counter++, key, content };
    if (to === nowhere || !this.#direct.udp) return;
    this.#counters.txRecords++;
    this.#direct.network.carry(this.#direct, to, record, size);
  }

  #expectOpen(): void {
    if (this.#closed) throw refusal('direct paths', 'ENOTCONN');
  }
}

function sealPacket({ sealKey, peerIndex: index, data }: MemoryKeypair, packet: Uint8Array): Uint8Array {
  return sealRecord(sealKey, { kind: recordKind.packet, index, counter: data.counter++ }, packet);
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

function isSameKey(a: RecordKey, b: RecordKey): boolean {
  return a.cipher === b.cipher && Buffer.compare(a.key, b.key) === 0;
}

/** Whether a record may still be opened: the window of `record.c`. */
function isNew({ next, opened }: MemoryLane, counter: number): boolean {
  const word = (count: number) => Math.floor(count / wordBits);
  if (counter >= next) return true;
  return word(next - 1) - word(counter) < replayBits / wordBits && !opened.has(counter);
}

/** Whether it is a packet of the tunnels that end at `end`: that of `sender.c`. */
function isOuter(packet: Uint8Array, start: number, { address, port }: Endpoint): boolean {
  const isIpv4 = packet[start]! >> 4 === 4;
  const ports = start + (isIpv4 ? (packet[start]! & 15) * 4 : 40);
  if (ports + 2 > packet.length || packet[start + (isIpv4 ? 9 : 6)] !== udp) return false;
  if (packet[ports]! * 256 + packet[ports + 1]! !== port) return false;
  if (isIpv4) return packet.subarray(start + 12, start + 16).join('.') === address;
  const hex = Buffer.from(packet.subarray(start + 8, start + 24)).toString('hex');
  return shortest(hex.match(/..../g)!.join(':')) === address;
}

/** As the kernel's own text has it (RFC 5952), and an IPv4 address that is mapped into IPv6 as such. */
function shortest(address: string): string {
  if (isIPv4(address)) return address;
  const [bare, ...zone] = address.split('%');
  const text = new SocketAddress({ address: bare!, family: 'ipv6' }).address;
  const mapped = text.replace(/^::ffff:/, '');
  return isIPv4(mapped) ? mapped : [text, ...zone].join('%');
}

function refusal(step: string, code: string): Error {
  return Object.assign(new Error(`${step}: ${code}`), { code });
}
