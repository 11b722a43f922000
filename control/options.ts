/**
 * The command line of `cryonet`: one table, from which parsing, `--help` and the tests of the documentation follow.
 * A flag wins over an environment variable, that over the configuration file, that over the default.
 */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parse as parseToml } from 'smol-toml';
import type { IceServer } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import { type LogFormat, type LogLevel, logFormats, logLevels } from '../protocol/log.ts';
import { defaultRuntimeDirectory, defaultStateDirectory } from '../protocol/paths.ts';
import { version } from '../protocol/version.ts';
import { type HostPort, parseHostPort, parseIceServer } from './core/address.ts';
import { parseDuration } from './core/duration.ts';

export interface ControlConfig {
  readonly id: string;
  readonly token: string;
  readonly listen: HostPort;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly wsServers: readonly string[];
  readonly iceServers: readonly IceServer[];
  /** Milliseconds. */
  readonly checkInterval: number;
  readonly checkTimeout: number;
  readonly sendAliveInterval: number;
  readonly interfacePrefix: string;
  readonly autoInterfaceName: boolean;
  readonly packetInformation: boolean;
  readonly bufSize: number;
  readonly mtu: number;
  /** Null: the default with its fallback. */
  readonly udpPort: number | null;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** Where a dataplane runs already; null: start one. */
  readonly dataplaneSocket: string | null;
  readonly webrtc: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

interface OptionRow {
  readonly flag: string;
  /** Placeholder of the value; none for a switch. */
  readonly value?: string;
  readonly fallback?: string;
  readonly help: string;
  /** What it takes, for the error message. */
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
    takes: 'stun:host[:port] or turn:host[:port]|user|credential, comma separated',
    help: 'STUN and TURN servers',
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
    takes: 'a number of bytes from 1280 to buf-size − 4',
    help: 'MTU of the interfaces (default: buf-size − 4)',
  },
  {
    flag: 'udp-port',
    value: 'PORT',
    takes: 'a port from 1 to 65535',
    help: 'UDP port of the node (default: 2333, or any where that is taken)',
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
  { flag: 'tls-cert', value: 'FILE', takes: 'a readable PEM file', help: 'certificate chain for --listen' },
  { flag: 'tls-key', value: 'FILE', takes: 'a readable PEM file', help: 'private key for --listen' },
  {
    flag: 'webrtc',
    value: 'ENGINE',
    fallback: 'node-datachannel',
    takes: 'node-datachannel or werift',
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

export function environmentName(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase();
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a value came from, as the error message names it. */
interface Given {
  readonly text: string;
  readonly source: string;
}

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
    if (row.list) option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
    program.addOption(option);
  }
  return program;
}

/** Throws `bad_config` with one line that names the option and what it takes. Reads the files that options name. */
export function readConfig(argv: readonly string[], env: Environment, uid: number): ControlConfig {
  const program = controlProgram();
  program.exitOverride().configureOutput({ writeErr: () => {} });
  try {
    program.parse([...argv], { from: 'user' });
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    if (
      code === 'commander.helpDisplayed' ||
      code === 'commander.version' ||
      cause instanceof InvalidArgumentError
    )
      throw cause;
    throw new CryonetError('bad_config', message.replace(/^error: /, ''), { cause });
  }
  const flags = program.opts<Record<string, string | string[] | boolean>>();
  const file = readConfigFile(flags.config ?? env.CONFIG);
  return resolve(sources(flags, env, file, program.args[0]), env, uid);
}

type Lookup = (flag: string) => Given | undefined;

function sources(
  flags: Record<string, string | string[] | boolean>,
  env: Environment,
  file: { path: string; values: Record<string, unknown> } | undefined,
  id: string | undefined,
): Lookup {
  return (flag) => {
    const fromFlag =
      flag === 'id' ? id : flags[flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (fromFlag !== undefined)
      return { text: asText(fromFlag), source: flag === 'id' ? '<ID>' : `--${flag}` };
    const variable = environmentName(flag);
    const fromEnv = env[variable];
    if (fromEnv !== undefined && fromEnv !== '') return { text: fromEnv, source: variable };
    const fromFile = file?.values[flag];
    if (fromFile !== undefined) return { text: asText(fromFile), source: `${flag} in ${file!.path}` };
    const fallback = optionTable.find((row) => row.flag === flag)?.fallback;
    return fallback === undefined ? undefined : { text: fallback, source: `--${flag}` };
  };
}

function asText(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value);
}

function resolve(given: Lookup, env: Environment, uid: number): ControlConfig {
  const read = <T>(flag: string, parse: (text: string) => T | undefined): T | undefined => {
    const value = given(flag);
    if (value === undefined) return undefined;
    const parsed = parse(value.text);
    if (parsed !== undefined) return parsed;
    const secret = flag === 'token' || flag === 'ice-servers' || flag === 'ws-servers';
    const shown = secret ? 'this value' : JSON.stringify(value.text);
    const takes =
      flag === 'id' ? '1 to 64 letters, digits, - or _' : optionTable.find((row) => row.flag === flag)!.takes;
    throw new CryonetError('bad_config', `${value.source} takes ${takes}, not ${shown}`);
  };
  const id = read('id', (text) => (/^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined));
  if (id === undefined) {
    throw new CryonetError('bad_config', 'the node needs an ID: cryonet --token <TOKEN> <ID>, or set ID');
  }
  const bufSize = read('buf-size', (text) => integer(text, 1284, 65_535))!;
  const certificate = read('tls-cert', readable);
  const key = read('tls-key', readable);
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CryonetError('bad_config', '--tls-cert and --tls-key go together');
  }
  const path = (text: string) => (text === '' ? undefined : text);
  return {
    id,
    token: readToken(read('token', path), given('token-file'), env),
    listen: read('listen', (text) => parseHostPort(text))!,
    tls: certificate === undefined ? null : { cert: certificate, key: key! },
    wsServers: read('ws-servers', (text) => list(text, webSocketUrl)) ?? [],
    iceServers: read('ice-servers', (text) => list(text, parseIceServer)) ?? [],
    checkInterval: read('check-interval', positiveDuration)!,
    checkTimeout: read('check-timeout', positiveDuration)!,
    sendAliveInterval: read('send-alive-interval', positiveDuration)!,
    interfacePrefix: read('interface-prefix', (text) =>
      /^[A-Za-z0-9_-]{1,8}$/.test(text) ? text : undefined,
    )!,
    autoInterfaceName: read('auto-interface-name', boolean) ?? false,
    packetInformation: read('enable-packet-information', boolean) ?? false,
    bufSize,
    mtu: read('mtu', (text) => integer(text, 1280, bufSize - 4)) ?? bufSize - 4,
    udpPort: read('udp-port', (text) => integer(text, 1, 65_535)) ?? null,
    allow: read('allow', (text) => list(text, glob)) ?? [],
    deny: read('deny', (text) => list(text, glob)) ?? [],
    stateDirectory: read('state-dir', path) ?? defaultStateDirectory(env, uid),
    runtimeDirectory: read('runtime-dir', path) ?? defaultRuntimeDirectory(env, uid),
    dataplaneSocket: read('dataplane-socket', path) ?? null,
    webrtc: read('webrtc', (text) => (text === 'node-datachannel' || text === 'werift' ? text : undefined))!,
    logLevel: read('log-level', (text) => logLevels.find((level) => level === text))!,
    logFormat: read('log-format', (text) => logFormats.find((format) => format === text))!,
  };
}

/** The token itself, else its file, else the systemd credential `token`. */
function readToken(token: string | undefined, file: Given | undefined, env: Environment): string {
  if (token !== undefined) return token;
  const directory = env.CREDENTIALS_DIRECTORY;
  const path = file?.text ?? (directory ? `${directory}/token` : undefined);
  if (path === undefined) {
    throw new CryonetError('bad_config', 'the mesh needs a token: give --token, --token-file or TOKEN');
  }
  let content: string;
  try {
    content = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new CryonetError(
      'bad_config',
      `${file?.source ?? 'credential token'} cannot be read: ${reasonOf(cause)}`,
      { cause },
    );
  }
  if (content === '')
    throw new CryonetError('bad_config', `${file?.source ?? 'credential token'}: ${path} is empty`);
  return content;
}

function readConfigFile(path: unknown): { path: string; values: Record<string, unknown> } | undefined {
  if (typeof path !== 'string' || path === '') return undefined;
  let values: Record<string, unknown>;
  try {
    values = parseToml(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new CryonetError('bad_config', `--config ${path} cannot be used: ${firstLine(cause)}`, { cause });
  }
  const known = new Set(['id', ...optionTable.map((row) => row.flag)]);
  for (const name of Object.keys(values)) {
    if (!known.has(name)) throw new CryonetError('bad_config', `${path}: no option is called "${name}"`);
  }
  return { path, values };
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
}

function list<T>(text: string, parse: (item: string) => T | undefined): T[] | undefined {
  const items: T[] = [];
  for (const part of text.split(',')) {
    const trimmed = part.trim();
    if (trimmed === '') continue;
    const item = parse(trimmed);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function webSocketUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'ws:' || url.protocol === 'wss:' ? url.href : undefined;
}

function glob(text: string): string | undefined {
  return /^[A-Za-z0-9_*?-]{1,64}$/.test(text) ? text : undefined;
}

function integer(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,9}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

function positiveDuration(text: string): number | undefined {
  const milliseconds = parseDuration(text);
  return milliseconds !== undefined && milliseconds >= 10 ? milliseconds : undefined;
}

function boolean(text: string): boolean | undefined {
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  return ['false', '0', 'no', 'off'].includes(text) ? false : undefined;
}

function readable(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
