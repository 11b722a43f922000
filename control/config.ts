/**
 * The configuration of a node, from where it is given: a flag wins over an environment variable, that over the
 * configuration file, that over the default.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, userInfo } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { parse as parseToml } from 'smol-toml';
import type { IceServer } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import { type LogFormat, type LogLevel, logFormats, logLevels } from '../protocol/log.ts';
import { defaultRuntimeDirectory, defaultStateDirectory, serviceTokenFile } from '../protocol/paths.ts';
import { type HostPort, parseHostPort, parseIceServer } from './core/address.ts';
import { parseDuration } from './core/duration.ts';
import { idOfHost } from './host-id.ts';
import { controlProgram, environmentName, optionTable } from './options.ts';
import { readToken } from './token.ts';

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
  /** Bytes; with `autoMtu` the upper limit. */
  readonly mtu: number;
  readonly autoMtu: boolean;
  /** Null: the default with its fallback. */
  readonly udpPort: number | null;
  /** 0: none. */
  readonly fwmark: number;
  readonly direct: boolean;
  /** Threads each way. */
  readonly workers: number;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** Where a dataplane runs already; null: start one. */
  readonly dataplaneSocket: string | null;
  readonly webrtc: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Run by a service manager, which `TokenAwaited` is for. */
  readonly service: boolean;
}

/** A service that has no token yet: nothing is wrong, it waits. */
export class TokenAwaited extends CryonetError {
  /** Everything else of the configuration, which is good. */
  readonly config: Omit<ControlConfig, 'token'>;

  /** Where it is looked for. */
  readonly file: string;

  constructor(config: Omit<ControlConfig, 'token'>, file: string) {
    super('bad_config', `the mesh needs a token: put it into ${file}`);
    this.config = config;
    this.file = file;
  }
}

/** Threads each way where nothing else is asked for: the other half of the processors is the other way's. */
export function defaultWorkers(processors: number): number {
  return Math.min(4, Math.max(1, Math.floor(processors / 2)));
}

type Environment = Readonly<Record<string, string | undefined>>;
type Flags = Readonly<Record<string, string | string[] | boolean>>;

/** Where a value came from, as the error message names it. */
interface Given {
  readonly text: string;
  readonly source: string;
  /** 0 a flag, 1 a variable, 2 the file, 3 the default: the least wins. */
  readonly rank: number;
}

/** Throws `bad_config` with one line that names the option and what it takes, and `TokenAwaited`. Reads the files that
 *  options name. */
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
    throw new CryonetError('bad_config', withoutValue(message), { cause });
  }
  const flags = program.opts<Flags>();
  refuseForgottenValues(flags);
  const file = readConfigFile(flags.config ?? env.CONFIG);
  return resolve(sources(flags, env, file, program.args[0]), env, uid);
}

/** An option whose value was forgotten takes the next one for it. */
function refuseForgottenValues(flags: Flags): void {
  for (const { flag, value } of optionTable) {
    const given = [flags[camelCase(flag)] ?? []].flat();
    const isOption = (text: string | boolean) =>
      flag === 'token' ? optionTable.some((row) => text === `--${row.flag}`) : /^--[a-z]/.test(String(text));
    if (given.some(isOption)) {
      throw new CryonetError('bad_config', `option '--${flag} <${value}>' argument missing`);
    }
  }
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** What commander says, on one line and without the value of a misspelt option: it may be the token. */
function withoutValue(message: string): string {
  return reasonOf(message.replace(/^error: /, '').replace(/'(--?[^'=]*)=.*'/s, "'$1'"));
}

type Lookup = (flag: string) => Given | undefined;

function sources(
  flags: Flags,
  env: Environment,
  file: { path: string; values: Record<string, unknown> } | undefined,
  id: string | undefined,
): Lookup {
  return (flag) => {
    const fromFlag = flag === 'id' ? id : flags[camelCase(flag)];
    if (fromFlag !== undefined)
      return { text: asText(fromFlag), source: flag === 'id' ? '<ID>' : `--${flag}`, rank: 0 };
    const variable = environmentName(flag);
    const fromEnv = env[variable];
    if (fromEnv !== undefined && fromEnv !== '') return { text: fromEnv, source: variable, rank: 1 };
    const fromFile = file?.values[flag];
    if (fromFile !== undefined)
      return { text: asText(fromFile), source: `${flag} in ${file!.path}`, rank: 2 };
    const fallback = optionTable.find((row) => row.flag === flag)?.fallback;
    return fallback === undefined ? undefined : { text: fallback, source: `--${flag}`, rank: 3 };
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
  const service = read('service', boolean) ?? false;
  const id =
    read('id', (text) => (/^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined)) ??
    (service ? idOfHost(hostname()) : undefined);
  if (id === undefined) {
    const hint = service ? 'the host has no name to take: set ID' : 'cryonet --token <TOKEN> <ID>, or set ID';
    throw new CryonetError('bad_config', `the node needs an ID: ${hint}`);
  }
  const bufSize = read('buf-size', (text) => integer(text, 1284, 65_535))!;
  const mtu = read<number | 'auto'>('mtu', (text) =>
    text === 'auto' ? text : integer(text, 1280, bufSize - 4),
  )!;
  const certificate = read('tls-cert', readable);
  const key = read('tls-key', readable);
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CryonetError('bad_config', '--tls-cert and --tls-key go together');
  }
  const path = (text: string) => (text === '' ? undefined : text);
  const config: Omit<ControlConfig, 'token'> = {
    id,
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
    mtu: mtu === 'auto' ? bufSize - 4 : mtu,
    autoMtu: mtu === 'auto',
    udpPort: read('udp-port', (text) => integer(text, 1, 65_535)) ?? null,
    fwmark: read('fwmark', mark)!,
    direct: !(read('no-direct', boolean) ?? false),
    workers: read('workers', (text) =>
      text === 'auto' ? defaultWorkers(availableParallelism()) : integer(text, 1, 16),
    )!,
    allow: read('allow', (text) => list(text, glob)) ?? [],
    deny: read('deny', (text) => list(text, glob)) ?? [],
    stateDirectory: read('state-dir', path) ?? defaultStateDirectory(env, uid),
    runtimeDirectory: read('runtime-dir', path) ?? defaultRuntimeDirectory(env, uid),
    dataplaneSocket: read('dataplane-socket', path) ?? null,
    webrtc: read('webrtc', (text) => (text === 'node-datachannel' || text === 'werift' ? text : undefined))!,
    logLevel: read('log-level', (text) => logLevels.find((level) => level === text))!,
    logFormat: read('log-format', (text) => logFormats.find((format) => format === text))!,
    service,
  };
  const tokenWins = (given('token')?.rank ?? 9) <= (given('token-file')?.rank ?? 9);
  const file = given('token-file');
  const own = service ? serviceTokenFile(env) : undefined;
  const token =
    (tokenWins ? read('token', path) : undefined) ??
    readToken(file && { path: file.text, source: file.source }, env.CREDENTIALS_DIRECTORY, own);
  if (token !== undefined) return { ...config, token };
  if (own !== undefined) throw new TokenAwaited(config, own);
  throw new CryonetError('bad_config', 'the mesh needs a token: give --token, --token-file or TOKEN');
}

function readConfigFile(path: unknown): { path: string; values: Record<string, unknown> } | undefined {
  if (typeof path !== 'string' || path === '') return undefined;
  let values: Record<string, unknown>;
  try {
    values = parseToml(readFileSync(path, 'utf8'));
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
    const hint = denied ? `: ${userName()} must be able to read it` : '';
    throw new CryonetError('bad_config', `--config ${path} cannot be used: ${firstLine(cause)}${hint}`, {
      cause,
    });
  }
  const known = new Set(['id', ...optionTable.map((row) => row.flag)]);
  for (const name of Object.keys(values)) {
    if (!known.has(name)) throw new CryonetError('bad_config', `${path}: no option is called "${name}"`);
    const value = values[name];
    if (!(Array.isArray(value) ? value : [value]).every((each) => typeof each !== 'object')) {
      throw new CryonetError(
        'bad_config',
        `${path}: ${name} takes a string, a number, true or false, or a list of them`,
      );
    }
  }
  return { path, values };
}

function userName(): string {
  try {
    return `user ${userInfo().username}`;
  } catch {
    return `user ${process.getuid?.()}`;
  }
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
  return /^wss?:$/.test(url.protocol) && url.hash === '' ? url.href : undefined;
}

function glob(text: string): string | undefined {
  return /^[A-Za-z0-9_*?-]{1,64}$/.test(text) ? text : undefined;
}

function integer(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,9}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

function mark(text: string): number | undefined {
  if (!/^(\d{1,10}|0x[\da-f]{1,8})$/i.test(text)) return undefined;
  const value = Number(text);
  return value <= 0xffff_ffff ? value : undefined;
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
