/** A dataplane without a control: driven over its socket, as control does it. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defaultWorkers } from '../control/config/options.ts';
import type { Namespace } from '../netns-tests/lab/namespace.ts';
import { programs } from '../netns-tests/lab/node.ts';
import type { Program } from '../netns-tests/lab/program.ts';
import { waitFor } from '../netns-tests/lab/wait.ts';
import {
  dataplaneVersion,
  type LinkReport,
  type Method,
  type NotificationParams,
  type Params,
  type Result,
} from '../protocol/dataplane.ts';
import { RpcConnection } from '../protocol/rpc.ts';

const startMilliseconds = 10_000;

export class Dataplane {
  readonly program: Program;
  /** The latest report on each link. */
  readonly reports = new Map<string, LinkReport>();
  /** As a public key would be: 32 bytes of its own. */
  readonly identity: Uint8Array;
  readonly #rpc: RpcConnection;
  #udpPort = 0;

  private constructor(program: Program, socket: Socket) {
    this.program = program;
    this.identity = createHash('sha256').update(program.label).digest();
    this.#rpc = new RpcConnection(socket, {
      request: () => Promise.reject(new Error('a dataplane asks nothing')),
      notification: (name, params) => {
        if (name !== 'link') return;
        const report = params as NotificationParams<'link'>;
        this.reports.set(report.peer, report);
      },
      closed: () => {},
    });
  }

  /** Starts it and its engine. */
  static async start(host: Namespace): Promise<Dataplane> {
    const path = join(host.lab.directory, `${host.label}.sock`);
    const command = [join(programs, 'cryonet-dataplane'), '--socket', path];
    const program = host.start('dataplane', command);
    const socket = await waitFor(
      `the dataplane of ${host.label} to serve its socket`,
      startMilliseconds,
      () => dial(path),
      () => true,
    );
    host.lab.defer(() => socket.destroy());
    const dataplane = new Dataplane(program, socket);
    const { udpPort } = await dataplane.call('hello', {
      version: dataplaneVersion,
      config: {
        node: host.label,
        interfacePrefix: 'cn',
        autoInterfaceName: false,
        packetInformation: false,
        identity: dataplane.identity,
        mtu: 1500,
        autoMtu: true,
        udpPort: null,
        fwmark: 0,
        direct: true,
        workers: defaultWorkers(availableParallelism()),
      },
    });
    dataplane.#udpPort = udpPort;
    return dataplane;
  }

  call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return this.#rpc.call(method, params);
  }

  /** Tells it where the peer is: at `address`, and on `port` as a host candidate. */
  point(peer: string, negotiation: string, address: string, port: number): void {
    const candidate = `candidate:1 1 UDP 2130706431 ${address} ${port} typ host`;
    this.#rpc.notify('candidate', { peer, negotiation, candidate });
  }

  get udpPort(): number {
    return this.#udpPort;
  }
}

async function dial(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}
