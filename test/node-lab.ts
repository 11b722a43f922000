/** Whole nodes in this process: control and dataplane with their real sockets, a fake network between the dataplanes. */
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { call } from '../cli/control-client.ts';
import { type ControlConfig, readConfig } from '../control/config/config.ts';
import { tokenKeys } from '../control/io/crypto.ts';
import { ControlShell } from '../control/shell.ts';
import type { OpenEngine } from '../dataplane/engine-shell.ts';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import { type MemoryTun, MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { DataplaneShell } from '../dataplane/shell.ts';
import type { Parameters, Reply, RouteName } from '../protocol/api.ts';
import type { Method } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import { listenUnix } from '../protocol/listen.ts';
import type { LogLevel } from '../protocol/log-level.ts';
import { RpcConnection } from '../protocol/rpc.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { type LogLine, newLogLines } from './log-lines.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

/** A dataplane behind its socket: whoever says hello drives it. */
class DataplaneHost {
  /** What control asked of it. */
  readonly asked: { readonly method: Method; readonly params: unknown }[] = [];
  readonly tuns = new MemoryTunFactory();
  readonly lines: LogLine[];
  /** From which it logs, oldest first; null: that of its start. */
  readonly levels: (LogLevel | null)[] = [];
  /** What no engine opens for. */
  refusal: CryonetError | undefined;
  readonly #shell: DataplaneShell;
  readonly #server: Server;
  readonly #connections = new Set<RpcConnection>();
  #current: RpcConnection | undefined;

  constructor(network: FakeNetwork, id: string) {
    const { log, lines } = newLogLines();
    this.lines = lines;
    this.#shell = new DataplaneShell({
      log,
      tuns: this.tuns,
      child: false,
      logAt: (level) => this.levels.push(level),
      openEngine: async () => {
        if (this.refusal !== undefined) throw this.refusal;
        return network.engine(id) as OpenEngine;
      },
    });
    this.#server = createServer((socket) => {
      const connection: RpcConnection = new RpcConnection(socket, {
        request: async (method, params) => {
          this.asked.push({ method, params });
          if (method === 'hello') {
            if (this.#current !== connection) this.#current?.close();
            this.#current = connection;
          } else if (this.#current !== connection) {
            throw new CryonetError('bad_message', 'hello comes first');
          }
          const result = await this.#shell.request(method, params);
          if (method === 'hello') this.#shell.attach(connection);
          return result;
        },
        notification: (name, params) => {
          if (this.#current === connection) this.#shell.notification(name, params);
        },
        closed: () => {
          this.#connections.delete(connection);
          if (this.#current !== connection) return;
          this.#current = undefined;
          this.#shell.attach(undefined);
        },
      });
      this.#connections.add(connection);
    });
  }

  listen(path: string): Promise<void> {
    return listenUnix(this.#server, path);
  }

  /** As when the process dies. */
  close(): void {
    this.#shell.close();
    for (const connection of this.#connections) connection.close();
    this.#server.close();
  }
}

export class LabNode {
  readonly id: string;
  readonly folder: string;
  lines: LogLine[] = [];
  dataplane: DataplaneHost;
  control: ControlShell | undefined;
  port = 0;
  readonly #network: FakeNetwork;
  #argv: readonly string[] = [];
  /** The port that control was started with; 0 asks for any. */
  #asked = 0;

  constructor(network: FakeNetwork, id: string, folder: string) {
    this.#network = network;
    this.id = id;
    this.folder = folder;
    this.dataplane = new DataplaneHost(network, id);
  }

  get controlSocket(): string {
    return join(this.folder, 'control.sock');
  }

  get dataplaneSocket(): string {
    return join(this.folder, 'dataplane.sock');
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  #config(argv: readonly string[]): ControlConfig {
    const { folder } = this;
    return readConfig(
      [
        ...['--token', 'the secret of the lab', '--listen', `127.0.0.1:${this.#asked}`],
        ...[
          '--state-dir',
          join(folder, 'state'),
          '--runtime-dir',
          folder,
          '--dataplane-socket',
          this.dataplaneSocket,
        ],
        ...['--check-interval', '500ms', ...argv, this.id],
      ],
      {},
      0,
    );
  }

  /** Has control read the file of keys again, and this command line. */
  reload(argv = this.#argv): void {
    this.#argv = argv;
    this.control!.reloadOnSignal();
  }

  /** What control's socket answers; its configuration is this command line from now on. */
  asked<Name extends RouteName>(
    route: Name,
    argv = this.#argv,
    parameters?: Parameters<Name>,
  ): Promise<Reply<Name>> {
    this.#argv = argv;
    return call(this.controlSocket, route, undefined, parameters);
  }

  /** Starts control, on the port that it had before. */
  async startControl(argv: readonly string[]): Promise<void> {
    this.#argv = argv;
    this.#asked = this.port;
    const config = this.#config(argv);
    const { log, lines } = newLogLines();
    this.lines = lines;
    this.control = new ControlShell({
      ...{ config, keys: await tokenKeys(config.tokens), log },
      again: () => this.#config(this.#argv),
    });
    await this.control.start();
    this.port = Number(/:(\d+)$/.exec((await this.control.status()).node.listen)![1]);
  }

  async stopControl(): Promise<void> {
    await this.control?.stop();
    this.control = undefined;
  }

  /** The dataplane dies, and another serves its socket. */
  async replaceDataplane(): Promise<void> {
    this.dataplane.close();
    this.dataplane = new DataplaneHost(this.#network, this.id);
    await this.dataplane.listen(this.dataplaneSocket);
  }

  status(): Promise<StatusReport> {
    return call(this.controlSocket, 'GET /v1/status');
  }

  async peer(id: string): Promise<PeerStatus | undefined> {
    return (await this.control!.status()).peers.find((peer) => peer.id === id);
  }

  tun(peer: string): MemoryTun | undefined {
    return [...this.dataplane.tuns.devices.values()].find(({ options }) => options.alias === peer);
  }

  logged(message: string): LogLine[] {
    return this.lines.filter((line) => line.message === message);
  }
}

export class Lab {
  readonly network = new FakeNetwork();
  readonly nodes: LabNode[] = [];
  readonly #context: TestContext;

  constructor(context: TestContext) {
    this.#context = context;
    context.after(async () => {
      await Promise.all(this.nodes.map((node) => node.stopControl()));
      for (const { dataplane } of this.nodes) dataplane.close();
    });
  }

  /** A node whose bootstrap servers are those of `through`. */
  async add(id: string, through: readonly LabNode[] = [], argv: readonly string[] = []): Promise<LabNode> {
    const node = new LabNode(this.network, id, temporaryFolder(this.#context));
    this.nodes.push(node);
    await node.dataplane.listen(node.dataplaneSocket);
    const servers = through.flatMap(({ url }) => ['--ws-servers', url]);
    await node.startControl([...servers, ...argv]);
    return node;
  }

  async fullMesh(among: readonly LabNode[] = this.nodes): Promise<void> {
    await waitFor(
      'a full mesh',
      async () => {
        for (const node of among) {
          const { peers } = await node.control!.status();
          const up = peers.filter(({ state }) => state === 'up').map(({ id }) => id);
          if (!among.every(({ id }) => id === node.id || up.includes(id))) return false;
        }
        return true;
      },
      10_000,
    );
  }
}
