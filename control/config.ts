/** The configuration of a node: the value of each option, checked and parsed. `sources.ts` finds where each is given. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import type { IceServer } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import { type LogFormat, type LogLevel, logFormats, logLevels } from '../protocol/log.ts';
import { defaultRuntimeDirectory, defaultStateDirectory, serviceTokenFile } from '../protocol/paths.ts';
import { readWebrtcEngine, type WebrtcEngine } from '../protocol/webrtc-engine.ts';
import { readCertificates } from './certificates.ts';
import { type HostPort, parseHostPort } from './core/address.ts';
import { parseDuration } from './core/duration.ts';
import { parseIceServer, unservedIceServer } from './core/ice-server.ts';
import { idOfHost } from './host-id.ts';
import { optionTable } from './options.ts';
import { type Environment, readSources, type Sources } from './sources.ts';
import { readToken } from './token.ts';

export interface ControlConfig {
  readonly id: string;
  readonly token: string;
  /** Where the token is from, for the message that it is the wrong one. */
  readonly tokenSource: string;
  readonly listen: HostPort;
  /** Where `listen` is given, for error messages. */
  readonly listenSource: string;
  /** CA certificates in PEM for `wss://` servers; null for the system's. */
  readonly tlsCa: readonly string[] | null;
  /** The environment variables that name proxies, for connections to bootstrap servers. */
  readonly proxies: Environment;
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
  /** MTU of the interfaces in bytes; with `autoMtu` the upper limit. */
  readonly mtu: number;
  readonly autoMtu: boolean;
  /** Null: 2333 if it is free, else any port. */
  readonly udpPort: number | null;
  /** SO_MARK; 0 is none. */
  readonly fwmark: number;
  /** DSCP of the packets of the direct path; 'copy' is that of each packet inside. */
  readonly dscp: number | 'copy';
  /** Globs over names of the interfaces that links may use; empty for all. */
  readonly interfaces: readonly string[];
  readonly excludeInterfaces: readonly string[];
  readonly direct: boolean;
  /** Native threads of the direct path for each direction. */
  readonly workers: number;
  /** Whether records of the direct path may be sent together by UDP_SEGMENT. */
  readonly segmentation: boolean;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Identity keys that the operator named, in hexadecimal by ID. */
  readonly peers: ReadonlyMap<string, string>;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** The socket of a dataplane that runs already; null to start one. */
  readonly dataplaneSocket: string | null;
  readonly webrtc: WebrtcEngine;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** A service manager runs this node. Without a token it then waits for one (`TokenAwaited`). */
  readonly service: boolean;
}

/** Milliseconds of the longest pause between two tries of something that this machine refuses. */
export function longestPause({ checkInterval }: ControlConfig): number {
  return Math.min(checkInterval, 60_000);
}

type Tokenless = Omit<ControlConfig, 'token' | 'tokenSource'>;

/** A service has no token yet, but the rest of its configuration is good. It waits for the token. */
export class TokenAwaited extends CryonetError {
  readonly config: Tokenless;

  /** The file that the token is expected in. */
  readonly file: string;

  constructor(config: Tokenless, file: string) {
    super('bad_config', `the mesh needs a token: put it into ${file}`);
    this.config = config;
    this.file = file;
  }
}

/** The default of `workers`: half of the processors for each direction, from 1 to 4. */
export function defaultWorkers(processors: number): number {
  return Math.min(4, Math.max(1, Math.floor(processors / 2)));
}

/** Words that people type as commands. An ID that is one of these has to stand behind `--`. */
const commandWords: ReadonlySet<string> = new Set([
  ...['status', 'show', 'list', 'peers', 'help', 'version'],
  ...['up', 'down', 'start', 'stop', 'restart', 'reload'],
]);

/** Reads the configuration and the files that its options name. Throws `TokenAwaited`, or `bad_config` with one line that
 *  names the source of a bad value and what is expected there. */
export function readConfig(argv: readonly string[], env: Environment, uid: number): ControlConfig {
  return resolve(readSources(argv, env), env, uid);
}

function resolve({ given, meant }: Sources, env: Environment, uid: number): ControlConfig {
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
  const typed = given('id');
  if (typed?.rank === 0 && !meant && !service && commandWords.has(typed.text)) {
    throw new CryonetError(
      'bad_config',
      `cryonet takes no command "${typed.text}": cryoc status asks a running node; a node of that ID: cryonet … -- ${typed.text}`,
    );
  }
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
    const alone = given('tls-cert') ?? given('tls-key');
    throw new CryonetError(
      'bad_config',
      `--tls-cert and --tls-key go together, and there is only ${alone!.source}`,
    );
  }
  const path = (text: string) => (text === '' ? undefined : text);
  const config: Tokenless = {
    id,
    listen: read('listen', (text) => parseHostPort(text))!,
    listenSource: given('listen')!.source,
    tls: certificate === undefined ? null : { cert: certificate, key: key! },
    tlsCa: read('tls-ca', (text) => readCertificates(text, given('tls-ca')!.source)) ?? null,
    proxies: Object.fromEntries(
      Object.entries(env).filter(([name]) => /^(https?|all|no)_proxy$/i.test(name)),
    ),
    wsServers: read('ws-servers', (text) => list(text, webSocketUrl)) ?? [],
    iceServers: read('ice-servers', (text) => list(text, iceServer(given('ice-servers')!.source))) ?? [],
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
    dscp: read<number | 'copy'>('dscp', (text) => (text === 'copy' ? text : integer(text, 0, 63)))!,
    interfaces: read('interfaces', interfaceGlobs) ?? [],
    excludeInterfaces: read('exclude-interfaces', interfaceGlobs) ?? [],
    direct: !(read('no-direct', boolean) ?? false),
    workers: read('workers', (text) =>
      text === 'auto' ? defaultWorkers(availableParallelism()) : integer(text, 1, 16),
    )!,
    segmentation: read('segmentation', (text) =>
      text === 'auto' ? true : text === 'off' ? false : undefined,
    )!,
    allow: read('allow', (text) => list(text, glob)) ?? [],
    deny: read('deny', (text) => list(text, glob)) ?? [],
    peers: read('peer', namedPeers) ?? new Map(),
    stateDirectory: read('state-dir', path) ?? defaultStateDirectory(env, uid),
    runtimeDirectory: read('runtime-dir', path) ?? defaultRuntimeDirectory(env, uid),
    dataplaneSocket: read('dataplane-socket', path) ?? null,
    webrtc: read('webrtc', (name) => readWebrtcEngine(name, env))!,
    logLevel: read('log-level', (text) => logLevels.find((level) => level === text))!,
    logFormat: read('log-format', (text) => logFormats.find((format) => format === text))!,
    service,
  };
  const tokenWins = (given('token')?.rank ?? 9) <= (given('token-file')?.rank ?? 9);
  const own = service ? serviceTokenFile(env) : undefined;
  const spelled = tokenWins ? read('token', path) : undefined;
  const found =
    spelled === undefined
      ? readToken(given('token-file'), env.CREDENTIALS_DIRECTORY, own)
      : { token: spelled, source: given('token')!.source };
  if (found !== undefined) return { ...config, token: found.token, tokenSource: found.source };
  if (own !== undefined) throw new TokenAwaited(config, own);
  throw new CryonetError('bad_config', 'the mesh needs a token: give --token, --token-file or TOKEN');
}

/** A parser of ICE servers. It throws `bad_config` for a kind that cryonet cannot use, without showing the credentials. */
function iceServer(source: string): (text: string) => IceServer | undefined {
  return (text) => {
    const reason = unservedIceServer(text);
    if (reason !== undefined) throw new CryonetError('bad_config', `${source} ${reason}`);
    return parseIceServer(text);
  };
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

/** Keys in hexadecimal by ID. Undefined if an ID has two keys or a key two IDs. */
function namedPeers(text: string): Map<string, string> | undefined {
  const pairs = list(text, (item) => /^([A-Za-z0-9_-]{1,64})=([\w-]{43})=?$/.exec(item) ?? undefined);
  if (pairs === undefined) return undefined;
  const peers = new Map(pairs.map(([, id, key]) => [id!, Buffer.from(key!, 'base64url').toString('hex')]));
  const distinct = new Set(pairs.map(([, id, key]) => `${id} ${key}`)).size;
  return peers.size === distinct && new Set(peers.values()).size === distinct ? peers : undefined;
}

function glob(text: string): string | undefined {
  return /^[A-Za-z0-9_*?-]{1,64}$/.test(text) ? text : undefined;
}

/** Globs over interface names. IFNAMSIZ leaves 15 bytes; a name has neither `/` nor spaces (dev_valid_name in Linux). */
function interfaceGlobs(text: string): string[] | undefined {
  const globs = list(text, (item) => (/^[!-.0-~]{1,15}$/.test(item) ? item : undefined));
  return globs !== undefined && globs.length <= 64 ? globs : undefined;
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
