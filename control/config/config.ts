/** The configuration of a node: the value of each option, and what follows from several of them. */
import { hostname } from 'node:os';
import { CryonetError } from '../../protocol/errors.ts';
import { packetInformationBytes } from '../../protocol/mtu.ts';
import { type Environment, serviceTokenFile } from '../../protocol/paths.ts';
import { sectionName } from '../../protocol/policy.ts';
import type { PeerSection } from '../core/peer-settings.ts';
import { idOfHost } from './host-id.ts';
import { argument, type OptionRow, type OptionValues, options } from './options.ts';
import { contradictingPeer } from './peer-sections.ts';
import { type Given, readSources, type Sources } from './sources.ts';
import { type FoundTokens, readToken, type Tokens } from './token.ts';

export interface ControlConfig
  extends Omit<OptionValues, 'token' | 'tokenFile' | 'mtu' | 'tlsCert' | 'tlsKey' | 'config'> {
  readonly id: string;
  readonly tokens: Tokens;
  /** Where the token is from, for the message that it is the wrong one. */
  readonly tokenSource: string;
  /** Where an operator changes it; null where that is no file. */
  readonly tokenPath: string | null;
  /** Its file has another content by now, which only a start can read. */
  readonly tokenStale: boolean;
  /** Where `listen` is given, for error messages. */
  readonly listenSource: string;
  /** MTU of the interfaces in bytes; with `autoMtu` the upper limit. */
  readonly mtu: number;
  readonly autoMtu: boolean;
  /** Later ones win over equally long ones. */
  readonly peerSections: readonly PeerSection[];
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** The environment variables that name proxies, for connections to bootstrap servers. */
  readonly proxies: Environment;
}

/** Milliseconds of the longest pause between two tries of something that this machine refuses. */
export function longestPause({ checkInterval }: ControlConfig): number {
  return Math.min(checkInterval, 60_000);
}

type Tokenless = Omit<ControlConfig, 'tokens' | 'tokenSource' | 'tokenPath' | 'tokenStale'>;

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

/** Words that people type as commands. An ID that is one of these has to stand behind `--`. */
const commandWords: ReadonlySet<string> = new Set([
  ...['status', 'show', 'list', 'peers', 'help', 'version'],
  ...['up', 'down', 'start', 'stop', 'restart', 'reload'],
]);

/** Reads the configuration and the files that its options name. Throws `TokenAwaited`, or `bad_config` with one line that
 *  names the source of a bad value and what is expected there. */
export function readConfig(argv: readonly string[], env: Environment, uid: number): ControlConfig {
  const sources = readSources(argv, env);
  const { given } = sources;
  const read = reader(given, env, uid);
  const id = nodeId(sources, read);
  const all = valuesBy(given, env, uid);
  const contradicting = contradiction(all);
  if (contradicting !== undefined) {
    const { row, reason } = contradicting;
    throw new CryonetError('bad_config', reason(given(row)!));
  }
  const peer = contradictingPeer(sources.peers, all);
  if (peer !== undefined)
    throw new CryonetError('bad_config', `${sectionName(peer.pattern)}: ${peer.reason}`);
  const { token: _token, tokenFile: _file, config: _config, mtu, tlsCert, tlsKey, ...values } = all;
  const config: Tokenless = {
    ...values,
    id,
    peerSections: sources.peers,
    listenSource: given(options.listen)!.source,
    mtu: mtu === 'auto' ? mostMtu(all) : mtu,
    autoMtu: mtu === 'auto',
    tls: tlsCert === null ? null : { cert: tlsCert, key: tlsKey! },
    proxies: Object.fromEntries(
      Object.entries(env).filter(([name]) => /^(https?|all|no)_proxy$/i.test(name)),
    ),
  };
  const own = values.service ? serviceTokenFile(env) : undefined;
  const found = tokenFrom(sources, env, own);
  if (found !== undefined) {
    const { tokens, source, file, stale = false } = found;
    return { ...config, tokens, tokenSource: source, tokenPath: file, tokenStale: stale };
  }
  if (own !== undefined) throw new TokenAwaited(config, own);
  throw new CryonetError('bad_config', 'the mesh needs a token: give --token, --token-file or TOKEN');
}

type Read = <T>(row: OptionRow<T>) => T;

function reader(given: Sources['given'], env: Environment, uid: number): Read {
  return (row) => {
    const value = given(row);
    if (value === undefined) return row.byDefault?.(env, uid) ?? row.absent!;
    return row.parse(value.text, { source: value.source }) ?? refuse(row, value);
  };
}

/** The value of each option, given or not. Throws `bad_config` for one that it does not take. */
export function valuesBy(given: Sources['given'], env: Environment, uid: number): OptionValues {
  const read = reader(given, env, uid);
  const values = Object.entries(options).map(([field, row]) => [field, read<unknown>(row)]);
  return Object.fromEntries(values);
}

interface Contradiction {
  /** An option that is given. */
  readonly row: OptionRow;
  readonly reason: (given: Given) => string;
}

/** Values that are good each and not together. */
export function contradiction(values: OptionValues): Contradiction | undefined {
  const { mtu, tlsCert, tlsKey } = values;
  if (mtu !== 'auto' && mtu > mostMtu(values))
    return { row: options.mtu, reason: (given) => refusal(options.mtu, given) };
  if ((tlsCert === null) === (tlsKey === null)) return undefined;
  return {
    row: tlsCert === null ? options.tlsKey : options.tlsCert,
    reason: ({ source }) => `--tls-cert and --tls-key go together, and there is only ${source}`,
  };
}

function mostMtu({ bufSize }: OptionValues): number {
  return bufSize - packetInformationBytes;
}

/** The ID that is given, else for a service that of the host. */
function nodeId({ given, meant }: Sources, read: Read): string {
  const service = read(options.service);
  const typed = given(argument);
  if (typed?.rank === 0 && !meant && !service && commandWords.has(typed.text)) {
    throw new CryonetError(
      'bad_config',
      `cryonet takes no command "${typed.text}": cryoc status asks a running node; a node of that ID: cryonet … -- ${typed.text}`,
    );
  }
  const id = read(argument) ?? (service ? idOfHost(hostname()) : undefined);
  if (id !== undefined) return id;
  const hint = service ? 'the host has no name to take: set ID' : 'cryonet --token <TOKEN> <ID>, or set ID';
  throw new CryonetError('bad_config', `the node needs an ID: ${hint}`);
}

/** The token itself wins over its file where both are given in the same way. */
function tokenFrom({ given }: Sources, env: Environment, own: string | undefined): FoundTokens | undefined {
  const [token, file] = [given(options.token), given(options.tokenFile)];
  if (token === undefined || (file !== undefined && file.rank < token.rank))
    return readToken(file, env.CREDENTIALS_DIRECTORY, own);
  if (token.text === '') refuse(options.token, token);
  return { tokens: [token.text], source: token.source, file: null };
}

function refuse(row: OptionRow, given: Given): never {
  throw new CryonetError('bad_config', refusal(row, given));
}

/** Why an option does not take a value. */
export function refusal({ takes, secret }: OptionRow, { source, text }: Given): string {
  return `${source} takes ${takes}, not ${secret ? 'this value' : JSON.stringify(text)}`;
}
