/** A STUN and TURN server (coturn) on a public host. */
import { isIPv4, isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';
import type { FoundKind } from './stun.ts';
import { endpoint } from './topology.ts';

export interface TurnServer {
  readonly host: Namespace;
  readonly program: Program;
  /** The host's addresses, each serving STUN on `port` and `alternatePort`. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly alternatePort: number;
  /** As `--ice-servers` takes them. */
  readonly stun: string;
  readonly turn: string;
}

/** How a server knows its users, unless told otherwise. */
const oneUser = ['--lt-cred-mech', '--user=lab:secret'];

/** With two addresses on the host it also answers RFC 5780 discovery. It relays by the first of each family. */
export async function startTurnServer(
  host: Namespace,
  options: readonly string[] = oneUser,
): Promise<TurnServer> {
  const { addresses, lab } = host;
  const port = 3478;
  const program = host.start('turnserver', [
    'turnserver',
    ...['-n', '-v', '--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--realm=lab'],
    ...options,
    '--no-software-attribute',
    `--listening-port=${port}`,
    ...addresses.map((address) => `--listening-ip=${address}`),
    ...[addresses.find(isIPv4), addresses.find(isIPv6)].flatMap((address) =>
      address === undefined ? [] : `--relay-ip=${address}`,
    ),
    `--pidfile=${join(lab.directory, 'turnserver.pid')}`,
    `--userdb=${join(lab.directory, 'turnserver.db')}`,
  ]);
  await program.says(/IPv4\. UDP listener opened on: .*:3479/);
  return {
    host,
    program,
    addresses,
    port,
    alternatePort: port + 1,
    stun: `stun:${endpoint(addresses[0]!, port)}`,
    turn: `turn:${endpoint(addresses[0]!, port)}|lab|secret`,
  };
}

const client = join(import.meta.dirname, 'stun.ts');

/** What the host's NAT looks like from the server, which must have two addresses. */
export async function discoverNat(host: Namespace, server: TurnServer): Promise<FoundKind> {
  const { addresses, port, alternatePort } = server;
  const { stdout } = await host.$`${process.execPath} ${client} kind ${addresses} ${port} ${alternatePort}`;
  return JSON.parse(stdout);
}

/** Whether the NAT of a host keeps a mapping for so many seconds without a packet. */
export async function keepsMapping(host: Namespace, server: TurnServer, seconds: number): Promise<boolean> {
  const { addresses, port } = server;
  const { stdout } = await host.$`${process.execPath} ${client} lifetime ${addresses[0]!} ${port} ${seconds}`;
  return JSON.parse(stdout);
}
