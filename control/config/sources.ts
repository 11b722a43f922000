/**
 * Where the values of options come from. A flag wins over an environment variable, that over the configuration file, and
 * that over the default. Each value keeps its source for error messages.
 */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { parse as parseToml } from 'smol-toml';
import { environmentName, givenVariable, scanCommandLine } from '../../protocol/command-line.ts';
import { denialOf } from '../../protocol/denial.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { Environment } from '../../protocol/paths.ts';
import { argument, type OptionRow, options, optionTable } from './options.ts';
import { controlProgram } from './program.ts';

export interface Given {
  readonly text: string;
  /** For error messages: `--listen`, `the environment variable LISTEN`, `listen in FILE`. */
  readonly source: string;
  /** 0 is a flag, 1 a CRYONET_ variable, 2 a bare variable, 3 the file, 4 the default. The lowest wins. */
  readonly rank: number;
}

export interface Sources {
  /** The text that is given for an option, or its default. */
  given(row: OptionRow): Given | undefined;
  /** Whether the ID stands behind `--`, so that it is no mistaken command. */
  readonly meant: boolean;
}

type Flags = Readonly<Record<string, string | string[] | boolean>>;

interface File {
  /** The path, with the variable that named it, for error messages. */
  readonly shown: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Throws `bad_config`, or commander's own error for --help and --version. */
export function readSources(argv: readonly string[], env: Environment): Sources {
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
  const flags = program.opts<Flags>();
  const id = program.args[0];
  const typed = ({ flag }: OptionRow) =>
    flag === argument.flag && id !== undefined
      ? { text: id, source: '<ID>', rank: 0 }
      : (fromFlags(flags, flag) ?? fromVariables(env, flag));
  const file = readConfigFile(typed(options.config));
  return { meant, given: (row) => typed(row) ?? fromFile(file, row) ?? fromTable(row) };
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

function fromFile(file: File | undefined, { flag }: OptionRow): Given | undefined {
  const value = file?.values[flag];
  return value === undefined
    ? undefined
    : { text: asText(value), source: `${flag} in ${file!.shown}`, rank: 3 };
}

function fromTable({ flag, fallback }: OptionRow): Given | undefined {
  return fallback === undefined ? undefined : { text: fallback, source: `--${flag}`, rank: 4 };
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function asText(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** Commander's message on one line, without the value of a misspelt option, which may be the token. */
function withoutValue(message: string): string {
  return reasonOf(message.replace(/^error: /, '').replace(/'(--?[^'=]*)=.*'/s, "'$1'"));
}

function readConfigFile(given: Given | undefined): File | undefined {
  if (given === undefined || given.text === '') return undefined;
  const { text: path, source, rank } = given;
  const shown = rank === 0 ? path : `${path} (from ${source})`;
  try {
    return { shown, values: valuesOf(readFileSync(path, 'utf8'), shown) };
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    const named = rank === 0 ? `${source} ${path}` : `${path}, from ${source},`;
    throw new CryonetError('bad_config', `${named} cannot be used: ${firstLine(cause)}${hint(cause, rank)}`, {
      cause,
    });
  }
}

/** The values in a configuration file, by option. Throws `bad_config` that names the file, and a TomlError. */
export function valuesOf(toml: string, shown: string): File['values'] {
  const values = parseToml(toml);
  const known = new Set([argument, ...optionTable].map(({ flag }) => flag));
  for (const name of Object.keys(values)) {
    if (!known.has(name)) throw new CryonetError('bad_config', `${shown}: no option is called "${name}"`);
    const value = values[name];
    if (!(Array.isArray(value) ? value : [value]).every((each) => typeof each !== 'object')) {
      throw new CryonetError(
        'bad_config',
        `${shown}: ${name} takes a string, a number, true or false, or a list of them`,
      );
    }
  }
  return values;
}

function hint(cause: unknown, rank: number): string {
  const ours = rank === 2 ? ' (where that variable is another program’s, unset it for cryonet)' : '';
  return denialOf(cause, 'read it') || ours;
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
}
