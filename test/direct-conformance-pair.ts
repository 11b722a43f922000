/** Two devices with direct paths to each other, and what a conformance suite needs to know of the ground they stand on. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { DirectCounters, DirectEvents, DirectLink, Keypair } from '../dataplane/io/direct.ts';
import { openRecord, parseRecord } from '../dataplane/io/record.ts';
import type { Tun, TunFactory, TunOptions } from '../dataplane/io/tun.ts';
import type { LinkCipher } from '../protocol/keys.ts';
import { ethertype, numberOf } from './native/packets.ts';
import type { TunLab } from './native/tun-conformance.ts';
import { waitFor } from './native/wait.ts';

export type Side = 'a' | 'b';

export type Told =
  | { readonly event: 'heard' | 'roamed'; readonly index: number }
  | { readonly event: 'answered'; readonly index: number; readonly number: number; readonly rtt: number };

/** Two nodes, by one factory or two, whose direct paths are open, and the network between them: each way's interface
 *  takes IP packets of 1500 bytes. */
export interface DirectLab extends Pick<TunLab, 'ready' | 'send' | 'received'> {
  readonly factories: Readonly<Record<Side, TunFactory>>;
  /** The UDP port of the tunnels, at both. */
  readonly port: number;
  /** What the engines of both told, oldest first. */
  readonly told: readonly Told[];
  /** Where records for this side go now. */
  addressOf(side: Side): { readonly address: string; readonly port: number };
  /** This side sends from another address now, of the other family, and hears nothing at the old one. IPv4 comes first. */
  move(side: Side): Promise<void>;
  /** Bytes of the longest IP packet that the network carries. */
  limitPath(bytes: number): void;
  /** Whether each record that is sent from now on arrives twice. */
  repeat(repeats: boolean): void;
  /** Keeps back what is sent from now on; `pass` lets later records pass them, `release` lets them arrive. */
  hold(): void;
  held(): number;
  pass(): void;
  release(): void;
  /** Records of no keypair, since direct paths were opened. */
  strays(): number;
  openDirect(): void;
  closeDirect(): void;
  /** After the devices. */
  close(): Promise<void> | void;
}

/** Defines a test of one behaviour, on ground of its own. */
export type Spec = (
  behaviour: string,
  body: (pair: DirectPair, lab: DirectLab) => Promise<void>,
  options?: LabOptions,
) => void;

export interface LabOptions {
  /** Whether sockets have IPv6 as well as IPv4. */
  readonly ipv6: boolean;
}

/** Bytes of the longest packet whose record fits an IP packet of 1500, over IPv4. */
export const longest = 1440;

/** A new device's. */
export const noneCounted: DirectCounters = {
  ...{ txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0, txRecords: 0, rxRecords: 0, txRefused: 0 },
  ...{
    txTooLong: 0,
    txAside: 0,
    txOverflow: 0,
    rxRefused: 0,
    rxForged: 0,
    rxReplayed: 0,
    rxMalformed: 0,
    rxCongested: 0,
    rxOverflow: 0,
  },
  ...{ txWrites: 0, rxWrites: 0, rxUnjoined: 0, txSegmented: 0, rxConfiguring: 0, rxProtocol: 0 },
  ...{ txData: 0, rxData: 0, txKeyless: 0, txLooped: 0 },
};

/** Listens for `told`. */
export function tellTo(told: Told[]): DirectEvents {
  return {
    heard: (index) => told.push({ event: 'heard', index }),
    answered: (index, number, rtt) => told.push({ event: 'answered', index, number, rtt }),
    roamed: (index) => told.push({ event: 'roamed', index }),
  };
}

/** The low byte of a side's receiver indices. */
const lanes = { a: 1, b: 2 } as const;
const other = { a: 'b', b: 'a' } as const;

/** The keypair of a side that fits the other side's of the same generation. */
export function keypairOf(side: Side, generation = 0, cipher: LinkCipher = 'aes-256-gcm'): Keypair {
  const index = (of: Side) => 0x100 * (generation + 1) + lanes[of];
  const key = (from: Side) => new Uint8Array(32).fill(0x10 * (generation + 1) + lanes[from]);
  const peer = other[side];
  return { index: index(side), peerIndex: index(peer), cipher, sendKey: key(side), receiveKey: key(peer) };
}

export interface PairOptions {
  readonly packetInformation?: boolean;
  readonly mtu?: number;
  readonly cipher?: LinkCipher;
  /** Keypairs of each end. */
  readonly generations?: number;
  /** Whether the first keypair is in use. */
  readonly use?: boolean;
  /** Undefined: none is set. */
  readonly limit?: number | undefined;
  /** Whether each end knows where the other one is. */
  readonly endpoint?: boolean;
}

export const deviceOptions: TunOptions = {
  name: '',
  alias: '',
  mtu: 1500,
  packetInformation: false,
  linkLocal: 'fe80::d1:1ec7',
};

export class DirectPair {
  readonly #lab: DirectLab;
  readonly #tuns: Tun[] = [];

  constructor(lab: DirectLab) {
    this.#lab = lab;
  }

  /** Both ends, by default with a keypair each, in use, and room for the longest packets. `theirs` is that of b,
   *  where it is not the same. */
  async connect(
    ours: PairOptions = {},
    theirs: PairOptions = ours,
  ): Promise<readonly [DirectEnd, DirectEnd]> {
    return [await this.#connect('a', ours), await this.#connect('b', theirs)];
  }

  async #connect(side: Side, options: PairOptions): Promise<DirectEnd> {
    const { cipher, generations = 1, use = true, endpoint = true } = options;
    const end = await this.open(side, options);
    if (endpoint) this.reach(end);
    if (!('limit' in options)) end.link.setLimit(longest);
    else if (options.limit !== undefined) end.link.setLimit(options.limit);
    for (let generation = 0; generation < generations; generation++)
      assert.equal(end.link.add(keypairOf(side, generation, cipher)), true);
    if (use) end.link.use(keypairOf(side).index);
    end.link.carry(true);
    return end;
  }

  /** A device with carrier, and its direct path as it is before anything is set. */
  async open(side: Side, { packetInformation = false, mtu = 1500 }: PairOptions = {}): Promise<DirectEnd> {
    const aside: Uint8Array[] = [];
    const options = { ...deviceOptions, packetInformation, mtu };
    const tun = this.#lab.factories[side].open(options, (batch) => aside.push(...batch));
    this.#tuns.push(tun);
    tun.setCarrier(true);
    await this.#lab.ready(tun);
    return new DirectEnd(this.#lab, side, tun, tun.direct(), aside, packetInformation ? 4 : 0);
  }

  /** This end sends to where the other one is now. */
  reach({ link, side }: DirectEnd): void {
    const { address, port } = this.#lab.addressOf(other[side]);
    assert.equal(link.setEndpoint(address, port), true);
  }

  close(): void {
    for (const tun of this.#tuns) tun.close();
  }
}

/** One device and its direct path. */
export class DirectEnd {
  readonly side: Side;
  readonly tun: Tun;
  readonly link: DirectLink;
  /** Records that came to the sink. */
  readonly aside: readonly Uint8Array[];
  readonly #lab: DirectLab;
  readonly #header: number;

  constructor(
    lab: DirectLab,
    side: Side,
    tun: Tun,
    link: DirectLink,
    aside: readonly Uint8Array[],
    header: number,
  ) {
    this.#lab = lab;
    this.side = side;
    this.tun = tun;
    this.link = link;
    this.aside = aside;
    this.#header = header;
  }

  /** The kernel sends `packet`, without header, out of the device. */
  async send(packet: Uint8Array, type: number = ethertype.ipv4): Promise<void> {
    await this.#lab.send(this.tun, packet, type);
  }

  /** The same, and waits until it has left the device, whichever way. */
  async pass(packet: Uint8Array, type: number = ethertype.ipv4): Promise<void> {
    const left = () => {
      const { txPackets, txRefused, txTooLong, txKeyless, txLooped } = this.link.counters();
      return txPackets + txRefused + txTooLong + txKeyless + txLooped;
    };
    const before = left();
    await this.send(packet, type);
    await waitFor('the packet to leave', () => left() > before);
    await waitFor('its record', () => this.aside.length >= this.link.counters().txData);
  }

  received(): ReturnType<TunLab['received']> {
    return this.#lab.received(this.tun);
  }

  /** Those of the packets of `numbered` that the kernel received. */
  numbers(): number[] {
    return this.received().flatMap(({ bytes }) => numberOf(bytes) ?? []);
  }

  /** Resolves when the kernel has received exactly these, in this order. */
  async gets(...numbers: readonly number[]): Promise<void> {
    await waitFor(`${numbers.length} packets`, () => this.numbers().length >= numbers.length);
    assert.deepEqual(this.numbers(), numbers);
  }

  /** The packets in the records that came to the sink, by the keys that the record names. A checksum may be left out. */
  asidePackets(): Uint8Array[] {
    return this.aside.map((record) => {
      const { index } = parseRecord(record)!;
      const { cipher, sendKey: key } = keypairOf(this.side, (index >> 8) - 1);
      return openRecord({ cipher, key }, record)!;
    });
  }

  asideNumbers(): number[] {
    return this.asidePackets().flatMap((packet) => numberOf(packet, this.#header) ?? []);
  }

  probe(number: number, size = 0): boolean {
    return this.link.probe(keypairOf(this.side).index, number, size);
  }

  /** Sends a probe; when it is answered, whatever was told or counted before is. */
  async probed(number: number, size = 0): Promise<void> {
    assert.equal(this.probe(number, size), true);
    await waitFor(`the answer to probe ${number}`, () => this.told('answered').includes(number));
  }

  /** Of this side's keypairs: the numbers of probes that were answered, or the indices that were heard or roamed. */
  told(what: Told['event']): number[] {
    return this.#lab.told
      .filter(({ event, index }) => event === what && (index & 0xff) === lanes[this.side])
      .map((each) => (each.event === 'answered' ? each.number : each.index));
  }

  /** A packet is counted just after it is sent, or received: waits for these numbers. */
  async counted(expected: Partial<DirectCounters>): Promise<void> {
    const names = Object.keys(expected) as (keyof DirectCounters)[];
    const actual = () => {
      const counters = this.link.counters();
      return Object.fromEntries(names.map((name) => [name, counters[name]]));
    };
    const isSo = () => isDeepStrictEqual(actual(), expected);
    await waitFor('the counters', isSo).catch(() => assert.deepEqual(actual(), expected));
  }
}
