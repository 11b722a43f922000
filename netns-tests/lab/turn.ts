/** A STUN and TURN server (coturn) on a public host. */
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { NatKind } from './nat.ts';
import type { Program } from './program.ts';

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

/** With two addresses on the host it also answers RFC 5780 discovery. */
export async function startTurnServer(host: Namespace): Promise<TurnServer> {
  const { addresses, lab } = host;
  const port = 3478;
  const program = host.start('turnserver', [
    'turnserver',
    ...['-n', '-v', '--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--realm=lab'],
    ...['--lt-cred-mech', '--user=lab:secret', '--no-software-attribute'],
    `--listening-port=${port}`,
    ...addresses.map((address) => `--listening-ip=${address}`),
    `--relay-ip=${addresses[0]}`,
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
    stun: `stun:${addresses[0]}:${port}`,
    turn: `turn:${addresses[0]}:${port}|lab|secret`,
  };
}

/** What the host's NAT looks like from the server, which must have two addresses. */
export async function discoverNat(host: Namespace, server: TurnServer): Promise<NatKind> {
  const client = join(import.meta.dirname, 'stun.ts');
  const { stdout } =
    await host.$`${process.execPath} ${client} ${server.addresses} ${server.port} ${server.alternatePort}`;
  return JSON.parse(stdout);
}
