/**
 * Where the values of options come from. A flag wins over an environment variable, that over the configuration files, of
 * which a later one wins, and they over the default. Each value keeps its source for error messages.
 */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { environmentName, givenVariable, scanCommandLine } from '../../protocol/command-line.ts';
import { denialOf } from '../../protocol/denial.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { type Environment, serviceConfigFile } from '../../protocol/paths.ts';
import { type Mistake, mistakeAt } from '../../protocol/problem.ts';
import type { PeerSection } from '../core/peer-settings.ts';
import { type FileText, readFileText } from './file.ts';
import { filesBeside } from './folder.ts';
import { argument, type OptionRow, options } from './options.ts';
import { mergePeers } from './peer-sections.ts';
import { checkFlag, controlProgram } from './program.ts';
import { asText } from './toml.ts';

export interface Given {
  readonly text: string;
  /** For error messages: `--listen`, `the environment variable LISTEN`, `listen in FILE`. */
  readonly source: string;
  /** 0 is a flag, 1 a CRYONET_ variable, 2 a bare variable, 3 a file, 4 the default. The lowest wins. */
  readonly rank: number;
}

export interface Sources {
  /** The text that is given for an option, or its default. */
  given(row: OptionRow): Given | undefined;
  /** Sections of peers, in the order of the files. */
  readonly peers: readonly PeerSection[];
  /** Whether the ID stands behind `--`, so that it is no mistaken command. */
  readonly meant: boolean;
}

type Flags = Readonly<Record<string, string | string[] | boolean>>;

interface File extends Pick<FileText, 'values' | 'peers'> {
  /** The path, with the variable that named it, for error messages. */
  readonly shown: string;
}

/** The file that only is to be checked; undefined if a node is to run. Throws like `readSources`. */
export function fileToCheck(argv: readonly string[], env: Environment): string | undefined {
  const { flags } = readCommandLine(argv);
  const asked = flags[camelCase(checkFlag)];
  if (asked === undefined) return undefined;
  if (typeof asked === 'string') return asked;
  return configIn(flags, env)?.text || serviceConfigFile(env);
}

/** The configuration file of a node; undefined if it has none. Throws like `readSources`. */
export function configFile(argv: readonly string[], env: Environment): string | undefined {
  return configIn(readCommandLine(argv).flags, env)?.text || undefined;
}

function configIn(flags: Flags, env: Environment): Given | undefined {
  return fromFlags(flags, 'config') ?? fromVariables(env, 'config');
}

/** Throws `bad_config`, or commander's own error for --help and --version. */
export function readSources(argv: readonly string[], env: Environment): Sources {
  const { flags, id, meant } = readCommandLine(argv);
  const typed = ({ flag }: OptionRow) =>
    flag === argument.flag && id !== undefined
      ? { text: id, source: '<ID>', rank: 0 }
      : (fromFlags(flags, flag) ?? fromVariables(env, flag));
  const files = readConfigFiles(typed(options.config));
  const peers = mergePeers(files.map((file) => file.peers));
  return { meant, peers, given: (row) => typed(row) ?? fromFiles(files, row) ?? fromTable(row) };
}

function readCommandLine(argv: readonly string[]) {
  const program = controlProgram();
  program.exitOverride().configureOutput({ writeErr: () => {} });
  const { missing, meant } = scanCommandLine(argv, program, '--token');
  if (missing !== undefined) throw new CryonetError('bad_config', missing);
  try {
    program.parse([...argv], { from: 'user' });
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    const asked = code === 'commander.helpDisplayed' || code === 'commander.version';
    if (asked || cause instanceof InvalidArgumentError) throw cause;
    throw new CryonetError('bad_config', withoutValue(message), { cause });
  }
  return { flags: program.opts<Flags>(), id: program.args[0], meant };
}

function fromFlags(flags: Flags, flag: string): Given | undefined {
  const value = flags[camelCase(flag)];
  return value === undefined ? undefined : { text: asText(value), source: `--${flag}`, rank: 0 };
}

function fromVariables(env: Environment, flag: string): Given | undefined {
  const name = givenVariable(flag, env);
  if (name === undefined) return undefined;
  const rank = name === environmentName(flag) ? 2 : 1;
  return { text: env[name]!, source: `the environment variable ${name}`, rank };
}

function fromFiles(files: readonly File[], { flag }: OptionRow): Given | undefined {
  const file = files.findLast(({ values }) => values[flag] !== undefined);
  return file && { text: asText(file.values[flag]), source: `${flag} in ${file.shown}`, rank: 3 };
}

/** The text that stands for an option that is not given. */
export function fromTable({ flag, fallback }: OptionRow): Given | undefined {
  return fallback === undefined ? undefined : { text: fallback, source: `--${flag}`, rank: 4 };
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Commander's message on one line, without the value of a misspelt option, which may be the token. */
function withoutValue(message: string): string {
  return reasonOf(message.replace(/^error: /, '').replace(/'(--?[^'=]*)=.*'/s, "'$1'"));
}

/** That which is named, and those beside it. */
function readConfigFiles(given: Given | undefined): File[] {
  if (given === undefined || given.text === '') return [];
  return [
    readConfigFile(given),
    ...filesBeside(given.text).map(({ path, toml, trouble }) => {
      if (trouble !== undefined) throw new CryonetError('bad_config', mistakeAt(path, wholly(trouble)));
      return { shown: path, ...contentOf(toml, path) };
    }),
  ];
}

/** A mistake that is about a whole file. */
export function wholly(reason: string): Mistake {
  return { line: 0, column: 0, reason };
}

function readConfigFile({ text: path, source, rank }: Given): File {
  const from = rank === 0 ? '' : ` (from ${source})`;
  try {
    return { shown: `${path}${from}`, ...contentOf(readFileSync(path, 'utf8'), path, from) };
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    const named = rank === 0 ? `${source} ${path}` : `${path}, from ${source},`;
    throw new CryonetError('bad_config', `${named} cannot be used: ${firstLine(cause)}${hint(cause, rank)}`, {
      cause,
    });
  }
}

/** What is in a configuration file. Throws `bad_config` for the first mistake; `from` stands behind its place. */
export function contentOf(toml: string, path: string, from = ''): Pick<File, 'values' | 'peers'> {
  const { values, peers, mistakes } = readFileText(toml);
  const [first] = mistakes;
  if (first === undefined) return { values, peers };
  throw new CryonetError('bad_config', mistakeAt(path, first, from));
}

function hint(cause: unknown, rank: number): string {
  const ours = rank === 2 ? ' (where that variable is another program’s, unset it for cryonet)' : '';
  return denialOf(cause, 'read it') || ours;
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
}
