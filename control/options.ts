/** The command line of `cryonet`, as a table from which parsing, `--help` and the tests of the documentation follow. */
import { Command, Option } from 'commander';
import { environmentName } from '../protocol/command-line.ts';
import { logFormats, logLevels } from '../protocol/log.ts';
import { version } from '../protocol/version.ts';
import { takenEngine } from '../protocol/webrtc-engine.ts';

interface OptionRow {
  readonly flag: string;
  /** Placeholder of the value; missing for a switch. */
  readonly value?: string;
  readonly fallback?: string;
  readonly help: string;
  /** The values it takes, for error messages. */
  readonly takes: string;
  readonly list?: true;
}

const duration = 'a duration such as 10s, 1m30s or 500ms';

export const optionTable: readonly OptionRow[] = [
  {
    flag: 'listen',
    value: 'ADDRESS',
    fallback: '127.0.0.1:2333',
    takes: 'host:port',
    help: 'bootstrap WebSocket; put TLS in front of it, or give --tls-cert and --tls-key',
  },
  {
    flag: 'ws-servers',
    value: 'URLS',
    list: true,
    takes: 'ws:// or wss:// URLs, comma separated',
    help: 'bootstrap nodes to join through',
  },
  {
    flag: 'token',
    value: 'TOKEN',
    takes: 'the secret of the mesh',
    help: 'mesh secret, the same on all nodes',
  },
  { flag: 'token-file', value: 'FILE', takes: 'a readable file', help: 'file that holds the token' },
  {
    flag: 'ice-servers',
    value: 'SERVERS',
    list: true,
    takes:
      'stun:host[:port], turn:host[:port]|user|credential or turn:host[:port]|user|secret:SECRET[|TIME], over UDP, comma separated',
    help: 'STUN and TURN servers, spoken to over UDP: stun:host[:port], turn:host[:port]|user|credential, or with |user|secret:SECRET credentials made of a secret',
  },
  {
    flag: 'check-interval',
    value: 'TIME',
    fallback: '10s',
    takes: duration,
    help: 'longest pause between two tries of a link',
  },
  {
    flag: 'check-timeout',
    value: 'TIME',
    fallback: '1m',
    takes: duration,
    help: 'forget a peer not heard of for this long',
  },
  {
    flag: 'send-alive-interval',
    value: 'TIME',
    fallback: '20s',
    takes: duration,
    help: 'pause between membership announcements',
  },
  {
    flag: 'interface-prefix',
    value: 'PREFIX',
    fallback: 'cn',
    takes: '1 to 8 letters, digits, - or _',
    help: 'an interface is called <PREFIX><ID of the peer>',
  },
  {
    flag: 'auto-interface-name',
    takes: 'true or false',
    help: 'let the kernel name interfaces (tun0, tun1, …)',
  },
  {
    flag: 'enable-packet-information',
    takes: 'true or false',
    help: 'carry the 4-byte packet information header end to end (for MPLS)',
  },
  {
    flag: 'buf-size',
    value: 'BYTES',
    fallback: '1504',
    takes: 'a number of bytes from 1284 to 65535',
    help: 'largest packet, packet information included',
  },
  {
    flag: 'mtu',
    value: 'BYTES',
    fallback: 'auto',
    takes: 'auto or a number of bytes from 1280 to buf-size − 4',
    help: 'MTU of the interfaces; auto starts at 1280 and follows what the path carries, up to buf-size − 4: for jumbo paths give a larger --buf-size',
  },
  {
    flag: 'udp-port',
    value: 'PORT',
    takes: 'a port from 1 to 65535',
    help: 'UDP port of the node (default: 2333, or any where that is taken)',
  },
  {
    flag: 'fwmark',
    value: 'MARK',
    fallback: '0',
    takes: 'a number from 0 to 4294967295, decimal or hexadecimal after 0x',
    help: 'mark (SO_MARK) on the packets of the node, for policy routing: UDP, and the bootstrap connections that it makes; 0 is none',
  },
  {
    flag: 'dscp',
    value: 'DSCP',
    fallback: '0',
    takes: 'copy or a number from 0 to 63',
    help: 'DSCP of the packets of the direct path: a number, or copy for that of each packet inside',
  },
  {
    flag: 'interfaces',
    value: 'GLOBS',
    list: true,
    takes: 'at most 64 names of interfaces with * and ?, comma separated',
    help: 'network interfaces by which peers may reach this node (default: all; tunnels and bridges last)',
  },
  {
    flag: 'exclude-interfaces',
    value: 'GLOBS',
    list: true,
    takes: 'at most 64 names of interfaces with * and ?, comma separated',
    help: 'network interfaces that links never use; wins over --interfaces',
  },
  {
    flag: 'no-direct',
    takes: 'true or false',
    help: 'carry packets by datachannels alone, without the direct path',
  },
  {
    flag: 'workers',
    value: 'N',
    fallback: 'auto',
    takes: 'auto or a number from 1 to 16',
    help: 'threads each way for the direct path; auto is half of the processors, from 1 to 4',
  },
  {
    flag: 'segmentation',
    value: 'WHEN',
    fallback: 'auto',
    takes: 'auto or off',
    help: 'send packets of the direct path together (UDP_SEGMENT); auto: but where they do not arrive',
  },
  {
    flag: 'allow',
    value: 'GLOB',
    list: true,
    takes: 'node IDs with * and ?',
    help: 'link only with peers whose ID matches; repeatable',
  },
  {
    flag: 'deny',
    value: 'GLOB',
    list: true,
    takes: 'node IDs with * and ?',
    help: 'never link with peers whose ID matches; repeatable, wins over --allow',
  },
  {
    flag: 'peer',
    value: 'ID=KEY',
    list: true,
    takes: 'IDs, each with = and the key that cryoc status shows of that node',
    help: 'identity key of a peer, known ahead: no other one counts for its ID; repeatable',
  },
  {
    flag: 'tls-ca',
    value: 'FILE',
    takes: 'a file of CA certificates in PEM',
    help: 'CAs, instead of the system’s, that vouch for wss:// servers',
  },
  { flag: 'tls-cert', value: 'FILE', takes: 'a readable PEM file', help: 'certificate chain for --listen' },
  { flag: 'tls-key', value: 'FILE', takes: 'a readable PEM file', help: 'private key for --listen' },
  {
    flag: 'webrtc',
    value: 'ENGINE',
    fallback: 'node-datachannel',
    takes: takenEngine,
    help: 'WebRTC engine of the dataplane',
  },
  {
    flag: 'dataplane-socket',
    value: 'SOCKET',
    takes: 'a path',
    help: 'use the dataplane that serves this socket instead of starting one',
  },
  {
    flag: 'state-dir',
    value: 'DIR',
    takes: 'a folder',
    help: 'identity key and known identities (default: /var/lib/cryonet for root)',
  },
  {
    flag: 'runtime-dir',
    value: 'DIR',
    takes: 'a folder',
    help: 'control.sock and dataplane.sock (default: /run/cryonet for root)',
  },
  {
    flag: 'service',
    takes: 'true or false',
    help: 'run under a service manager: without an ID take the host name, without a token wait for /etc/cryonet/token',
  },
  {
    flag: 'config',
    value: 'FILE',
    takes: 'a readable TOML file',
    help: 'file of options, named as here without the dashes',
  },
  {
    flag: 'log-level',
    value: 'LEVEL',
    fallback: 'info',
    takes: logLevels.join(', '),
    help: 'least level that is logged',
  },
  {
    flag: 'log-format',
    value: 'FORMAT',
    fallback: 'auto',
    takes: logFormats.join(', '),
    help: 'auto is json under systemd, text elsewhere',
  },
];

export function controlProgram(): Command {
  const program = new Command('cryonet')
    .description('Full-mesh tunnels: one point-to-point interface per peer, found and kept by WebRTC.')
    .usage('[OPTIONS] --token <TOKEN> <ID>')
    .version(version, '-V, --version')
    .argument('[ID]', 'ID of this node: letters, digits, - and _ (env: ID)')
    .helpOption('-h, --help')
    .allowExcessArguments(false)
    .showHelpAfterError(false)
    .addHelpText(
      'after',
      `
Every option can be given by the environment variable shown, or in the --config file (TOML, names as here).
CRYONET_ before a variable's name (CRYONET_TOKEN) wins over the bare one, which may be another program's.
cryonet is the node itself and takes no commands: cryoc status asks a running one.

Example, two machines:
  a$ cryonet --token-file /etc/cryonet/token --listen 0.0.0.0:2333 a
  b$ cryonet --token-file /etc/cryonet/token --ws-servers ws://a.example:2333 b
  b$ ping fe80::…%cna        # cryoc status shows the address

See cryonet(1), cryoc(1).`,
    );
  for (const row of optionTable) {
    const name = row.value === undefined ? `--${row.flag}` : `--${row.flag} <${row.value}>`;
    const note = row.fallback === undefined ? '' : `; default ${row.fallback}`;
    const option = new Option(name, `${row.help} (env: ${environmentName(row.flag)}${note})`);
    // Commander would treat `--no-direct` as the negation of a switch `--direct`, which does not exist.
    option.negate = false;
    if (row.list) option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
    program.addOption(option);
  }
  return program;
}
