/** A cryonet node in a namespace: control, and the dataplane that it starts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PeerStatus, type StatusReport, statusReport } from '../../protocol/status.ts';
import { ask } from './ask.ts';
import type { Namespace } from './namespace.ts';
import type { Exit, Program } from './program.ts';
import { programs } from './programs.ts';
import { endpoint } from './topology.ts';
import { Hopeless, waitFor } from './wait.ts';

const port = 2333;

export interface NodeOptions {
  /** Default: the namespace's label. */
  readonly id?: string;
  readonly token?: string;
  /** Bootstrap nodes to connect to. */
  readonly bootstrap?: readonly CryonetNode[];
  /** Whether to serve bootstrap on the namespace's own address. A number is the port. */
  readonly listen?: boolean | number;
  /** Further options, as on the command line. */
  readonly options?: readonly string[];
  /** Folder of the program, if not that of all stories. */
  readonly programs?: string;
  /** A command that runs the program given to it as its last arguments. */
  readonly through?: readonly string[];
}

export class CryonetNode {
  readonly id: string;
  readonly namespace: Namespace;
  /** `host:port` that it serves bootstrap on, if not the loopback default. */
  readonly listen: string | undefined;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  readonly tokenFile: string;
  readonly #options: NodeOptions;
  #program: Program | undefined;

  /** Makes its files; starts nothing. */
  constructor(namespace: Namespace, options: NodeOptions = {}) {
    this.id = options.id ?? namespace.label;
    this.namespace = namespace;
    this.#options = options;
    const { listen = false } = options;
    const listenPort = typeof listen === 'number' ? listen : port;
    this.listen = listen === false ? undefined : endpoint(namespace.address, listenPort);
    const home = join(namespace.lab.directory, `${namespace.label}.${this.id}`);
    this.stateDirectory = join(home, 'state');
    this.runtimeDirectory = join(home, 'run');
    this.tokenFile = join(home, 'token');
    for (const directory of [this.stateDirectory, this.runtimeDirectory]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    }
    writeFileSync(this.tokenFile, `${options.token ?? 'token-of-the-laboratory-7'}\n`, { mode: 0o600 });
  }

  get url(): string {
    if (this.listen === undefined) throw new Error(`${this.id} does not listen`);
    return `ws://${this.listen}`;
  }

  get controlSocket(): string {
    return join(this.runtimeDirectory, 'control.sock');
  }

  get dataplaneSocket(): string {
    return join(this.runtimeDirectory, 'dataplane.sock');
  }

  get program(): Program {
    if (!this.#program) throw new Error(`${this.id} was not started`);
    return this.#program;
  }

  get commandLine(): string[] {
    const { bootstrap = [], options = [], through = [], programs: folder = programs } = this.#options;
    const servers = bootstrap.map(({ url }) => url).join(',');
    return [
      ...through,
      join(folder, 'cryonet'),
      ...(this.listen ? ['--listen', this.listen] : []),
      ...(servers ? ['--ws-servers', servers] : []),
      ...['--token-file', this.tokenFile],
      ...['--state-dir', this.stateDirectory, '--runtime-dir', this.runtimeDirectory],
      ...['--log-level', process.env.CRYONET_LAB_LOG_LEVEL ?? 'debug'],
      ...options,
      this.id,
    ];
  }

  /** Starts control, or starts it again after its end. Does not wait. */
  start(): this {
    this.#program = this.namespace.lab.start({
      label: `${this.namespace.label}.${this.id}`,
      namespace: this.namespace.name,
      command: this.commandLine,
    });
    return this;
  }

  /** `GET /status`, validated. Rejects while control does not answer, and as hopeless once it has ended. */
  async status(): Promise<StatusReport> {
    if (!this.program.running) {
      throw new Hopeless(`${this.id} has ended: ${this.program.output.trimEnd().split('\n').at(-1)}`);
    }
    const { body } = await ask(this.controlSocket, '/status');
    return statusReport.parse(JSON.parse(body));
  }

  /** What it says of one peer. */
  async peer(id: string): Promise<PeerStatus | undefined> {
    const { peers } = await this.status();
    return peers.find((peer) => peer.id === id);
  }

  /** Waits until control answers and has its dataplane. */
  async ready(bound = 30_000): Promise<StatusReport> {
    return waitFor(
      `${this.id} to be ready`,
      bound,
      () => this.status(),
      ({ dataplane }) => dataplane.connected,
    );
  }

  /** Waits for its log to match. */
  async says(pattern: RegExp, bound = 30_000): Promise<string> {
    return this.program.says(pattern, bound);
  }

  /** SIGKILL: control has no chance to say or close anything. */
  async killControl(): Promise<void> {
    await this.program.stop('SIGKILL');
  }

  /** SIGKILL to the dataplane; resolves with the pid it had. */
  async killDataplane(): Promise<number> {
    const { dataplane } = await this.status();
    process.kill(dataplane.pid!, 'SIGKILL');
    return dataplane.pid!;
  }

  /** The whole node at once, as on a power cut. */
  async kill(): Promise<void> {
    await this.killDataplane();
    await this.killControl();
  }

  async stop(bound = 15_000): Promise<Exit> {
    return this.program.stop('SIGTERM', bound);
  }
}
