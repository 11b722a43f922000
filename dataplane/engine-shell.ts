/** The part of the dataplane's shell that has the WebRTC engine: how it is opened, its UDP port, the mark of its sockets. */
import type { DataplaneConfig } from '../protocol/dataplane.ts';
import { reasonOf } from '../protocol/errors.ts';
import type { Warnings } from '../protocol/warnings.ts';
import { leastMtu } from './core/agreed-mtu.ts';
import { type CandidateAddressOptions, candidateAddresses } from './io/candidate-addresses.ts';
import { recordOverhead } from './io/direct.ts';
import type { TunFactory } from './io/tun.ts';
import type { Engine } from './io/webrtc.ts';

export interface OpenEngine extends Engine {
  readonly udpPort: number;
}

/** What an engine asks about the machine. */
interface EngineHost {
  /** The addresses that peers are told, best first. */
  addresses(): readonly string[];
  /** The address that the kernel sends from towards another one; undefined where it does not say. */
  source(remote: string): string | undefined;
}

/** Throws `port_in_use` where a `fixed` port is taken. */
export type EngineFactory = (
  udpPort: number,
  fixed: boolean,
  longestRecord: number,
  host: EngineHost,
) => Promise<OpenEngine>;

export interface EngineShellOptions {
  readonly open: EngineFactory;
  readonly tuns: TunFactory;
  readonly host: CandidateAddressOptions['host'];
  readonly warnings: Warnings;
  /** Names of our own interfaces. */
  readonly own: () => ReadonlySet<string>;
}

const defaultUdpPort = 2333;

export class EngineShell {
  readonly #options: EngineShellOptions;
  #config: DataplaneConfig | undefined;
  #engine: OpenEngine | undefined;
  #portTaken = false;

  constructor(options: EngineShellOptions) {
    this.#options = options;
  }

  /** Undefined before `open`, and closed. */
  get engine(): OpenEngine | undefined {
    return this.#engine;
  }

  /** The port that is used where no other was asked for is another program's. */
  get portTaken(): boolean {
    return this.#portTaken;
  }

  /** Rejects with what the factory throws. */
  async open(config: DataplaneConfig): Promise<OpenEngine> {
    const { open, warnings } = this.#options;
    this.#config = config;
    const { udpPort: port } = config;
    const engine = await open(port ?? defaultUdpPort, port !== null, longestRecord(config), {
      addresses: () => this.hostAddresses(),
      source: (remote) => this.#source(remote),
    });
    this.#engine = engine;
    this.mark();
    const { udpPort } = engine;
    this.#portTaken = port === null && ![0, defaultUdpPort].includes(udpPort);
    if (this.#portTaken) {
      warnings.set(
        'udp-port',
        `UDP port ${defaultUdpPort} is taken, ${udpPort} is used instead; to choose one: --udp-port`,
      );
    } else warnings.clear('udp-port');
    return engine;
  }

  /** Those of this machine that peers are told, best first. */
  hostAddresses(): string[] {
    const { host, own } = this.#options;
    const config = this.#config!;
    return candidateAddresses({ host, own: own(), rules: config, mark: config.fwmark });
  }

  #source(remote: string): string | undefined {
    const route = this.#options.host.route(remote, this.#config!.fwmark);
    return route === undefined || 'forbids' in route ? undefined : route.source;
  }

  /** There is a new socket. */
  mark(): void {
    const { tuns, warnings } = this.#options;
    const { fwmark } = this.#config!;
    if (fwmark === 0) return;
    try {
      tuns.mark(fwmark);
      warnings.clear('fwmark');
    } catch (error) {
      warnings.set('fwmark', `packets are not marked: ${reasonOf(error)}`);
    }
  }

  /** Gives ports back that were taken beside the node's own, and that no connection has. */
  sweep(): void {
    this.#engine?.sweep();
  }

  /** Idempotent. */
  close(): void {
    this.#engine?.close();
    this.#engine = undefined;
  }
}

/** Bytes of the records that datachannels should carry whole. */
export function longestRecord({ autoMtu, mtu }: DataplaneConfig): number {
  return (autoMtu ? leastMtu : mtu) + recordOverhead;
}
