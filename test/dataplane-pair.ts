/** Dataplane shells on one fake network, and a control that plays both sides of every negotiation. */
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { OpenEngine } from '../dataplane/engine-shell.ts';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import { MemoryDirectNetwork } from '../dataplane/io/memory-direct.ts';
import { type MemoryTun, MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { DataplaneShell } from '../dataplane/shell.ts';
import type {
  DataplaneConfig,
  HelloReply,
  IceServer,
  LinkReport,
  Notification,
  NotificationParams,
  Params,
} from '../protocol/dataplane.ts';
import type { Route } from '../protocol/signaling.ts';
import { epochs } from './descriptions.ts';
import { type LogLine, newLogLines } from './log-lines.ts';
import { waitFor } from './native/wait.ts';

export interface Side {
  readonly id: string;
  readonly shell: DataplaneShell;
  readonly tuns: MemoryTunFactory;
  readonly lines: LogLine[];
  /** Reports and ends as control was told of them. */
  readonly reports: LinkReport[];
  readonly ended: NotificationParams<'ended'>[];
  /** Peers that said goodbye. */
  readonly byes: string[];
  readonly signals: NotificationParams<'signal'>[];
  /** Candidates that were told, by negotiation. */
  readonly candidates: NotificationParams<'candidate'>[];
  engines: number;
  /** The latest report on `peer`. */
  report(peer: string): LinkReport | undefined;
  /** The interface to `peer`. */
  tun(peer: string): MemoryTun | undefined;
  hello(changes?: Partial<DataplaneConfig>): Promise<HelloReply>;
}

export class Pairs {
  readonly network: FakeNetwork;
  /** Of direct paths. */
  readonly records = new MemoryDirectNetwork();
  /** IDs whose candidates do not reach their peers. */
  readonly mute = new Set<string>();
  /** Of every node. */
  iceServers: readonly IceServer[] = [];
  /** What is wrong with an ICE server. */
  iceServerTrouble: (server: IceServer) => string | undefined | Promise<string> = () => undefined;
  /** Peers whose first name control says that another has, at each side. */
  readonly displaced = new Set<string>();
  readonly #sides = new Map<string, Side>();
  #negotiations = 0;

  constructor(network = new FakeNetwork()) {
    this.network = network;
  }

  /** A dataplane, with control attached to it. */
  async add(id: string, changes: Partial<DataplaneConfig> = {}): Promise<Side> {
    const { log, lines } = newLogLines();
    const tuns = new MemoryTunFactory();
    const side: Side = {
      id,
      tuns,
      lines,
      reports: [],
      ended: [],
      byes: [],
      signals: [],
      candidates: [],
      engines: 0,
      shell: new DataplaneShell({
        log,
        tuns,
        child: false,
        checkIceServer: async (server) => this.iceServerTrouble(server),
        openEngine: async () => {
          side.engines++;
          await null;
          const engine = this.network.engine(id) as OpenEngine;
          tuns.join({ network: this.records, node: id, address: this.network.addressOf(id) });
          return engine;
        },
      }),
      report: (peer) => side.reports.findLast((report) => report.peer === peer),
      tun: (peer) => [...tuns.devices.values()].find(({ options }) => options.alias === peer),
      hello: (more = {}) =>
        side.shell.request('hello', { version: 1, config: configOf(id, { ...changes, ...more }) }),
    };
    this.#sides.set(id, side);
    await side.hello();
    this.attach(side);
    return side;
  }

  attach(side: Side): void {
    side.shell.attach({ notify: (name, params) => this.#told(side, name, params) });
  }

  /** Offer, answer, accept; resolves with the negotiation once both descriptions are exchanged. */
  async negotiate(a: Side, b: Side, route: Route = 'shared'): Promise<string> {
    const negotiation = `t-${++this.#negotiations}`;
    const iceServers = [...this.iceServers];
    const ours = { ...this.#attemptWith(b.id, negotiation, route), iceServers };
    const offer = await a.shell.request('offer', ours);
    const theirs = { ...this.#attemptWith(a.id, negotiation, route), iceServers };
    const answer = await b.shell.request('answer', { ...theirs, ...offer, epochs });
    await a.shell.request('accept', { peer: b.id, negotiation, ...answer, epochs });
    return negotiation;
  }

  #attemptWith(peer: string, negotiation: string, route: Route): Params<'offer'> {
    const displaced = this.displaced.has(peer) ? { displaced: true } : {};
    return { ...attemptWith(peer, negotiation, route), ...displaced };
  }

  /** The same, and waits until the link is up at both ends. */
  async link(a: Side, b: Side, route: Route = 'shared'): Promise<string> {
    const negotiation = await this.negotiate(a, b, route);
    const isUp = (side: Side, peer: string) =>
      side.report(peer)?.connections.some((each) => each.negotiation === negotiation && each.open);
    await waitFor(`the link ${a.id} ${b.id}`, () => isUp(a, b.id) && isUp(b, a.id));
    return negotiation;
  }

  #told<N extends Notification>(side: Side, name: N, params: NotificationParams<N>): void {
    const told = params as never;
    if (name === 'link') side.reports.push(told);
    if (name === 'ended') side.ended.push(told);
    if (name === 'bye') side.byes.push((params as NotificationParams<'bye'>).peer);
    if (name === 'signal') side.signals.push(told);
    if (name !== 'candidate') return;
    side.candidates.push(told);
    if (this.mute.has(side.id)) return;
    const { peer, negotiation, candidate } = params as NotificationParams<'candidate'>;
    this.#sides.get(peer)?.shell.notification('candidate', { peer: side.id, negotiation, candidate });
  }
}

export function configOf(node: string, changes: Partial<DataplaneConfig> = {}): DataplaneConfig {
  return {
    node,
    interfacePrefix: 'cn',
    autoInterfaceName: false,
    packetInformation: false,
    identity: identityOf(node),
    mtu: 1500,
    autoMtu: false,
    udpPort: null,
    fwmark: 0,
    direct: false,
    workers: 1,
    ...changes,
  };
}

/** What control asks for an attempt to connect to `peer`. */
export function attemptWith(peer: string, negotiation: string, route: Route = 'shared'): Params<'offer'> {
  return { peer, negotiation, identity: identityOf(peer), route, iceServers: [] };
}

/** A public key for each ID, of which nobody has the private one. */
function identityOf(id: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(id).digest());
}

/** An IPv4 packet, as far as an interface looks: the version, and a number to tell it by. */
export function packet(number: number, size = 100): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes[0] = 0x45;
  new DataView(bytes.buffer).setUint32(4, number);
  return bytes;
}

export function numbersOf(packets: readonly Uint8Array[]): number[] {
  return packets.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(4));
}

export async function twoOf(
  context: TestContext,
  network?: FakeNetwork,
): Promise<{ pairs: Pairs; a: Side; b: Side }> {
  const pairs = new Pairs(network);
  const [a, b] = [await pairs.add('a'), await pairs.add('b')];
  closeAfter(context, a, b);
  return { pairs, a, b };
}

export function closeAfter(context: TestContext, ...sides: readonly Side[]): void {
  context.after(() => {
    for (const { shell } of sides) shell.close();
  });
}

export async function packetsOf(side: Side, peer: string, count: number): Promise<number[]> {
  const tun = side.tun(peer)!;
  await waitFor(`${count} packets at ${side.id}`, () => tun.written.length >= count);
  return numbersOf(tun.written);
}

/** Two dataplanes in virtual time; `pass` lets seconds go by, two by two. */
export async function inVirtualTime(context: TestContext) {
  let now = 0;
  context.mock.timers.enable({ apis: ['setInterval'] });
  context.mock.method(performance, 'now', () => now);
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a'), await pairs.add('b')];
  closeAfter(context, a, b);
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i += 2) {
      now += 2000;
      context.mock.timers.tick(2000);
      for (let j = 0; j < 10; j++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { pairs, a, b, pass };
}
