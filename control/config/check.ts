/** Every mistake of the configuration files, for `cryonet --check-config` and a reload. */
import { readFileSync } from 'node:fs';
import { reasonOf } from '../../protocol/errors.ts';
import type { Environment } from '../../protocol/paths.ts';
import { ConfigError, type Mistake, mistakeAt } from '../../protocol/problem.ts';
import { type ControlConfig, contradiction, readConfig, refusal, valuesBy } from './config.ts';
import { type FileText, readFileText, rowsOfFile } from './file.ts';
import { filesBeside } from './folder.ts';
import type { OptionRow } from './options.ts';
import { contradictingPeer, mergePeers, peersTable } from './peer-sections.ts';
import { configFile, fromTable, type Given, wholly } from './sources.ts';
import { asText, positionOf } from './toml.ts';

/** Reads the configuration of a running node again. Throws `ConfigError`, with all that is wrong in the files. */
export function readAgain(argv: readonly string[], env: Environment, uid: number): ControlConfig {
  try {
    return readConfig(argv, env, uid);
  } catch (error) {
    const file = configFile(argv, env);
    throw new ConfigError(
      reasonOf(error),
      file,
      file === undefined ? [] : knownMistakes(file, env, uid),
      error,
    );
  }
}

function knownMistakes(file: string, env: Environment, uid: number): Mistake[] {
  try {
    return mistakesOf(readFileSync(file, 'utf8'), file, env, uid);
  } catch {
    // It cannot be read, which is what the error says.
    return [];
  }
}

/** One line each, as compilers write them: `config.toml:12:1: no option "alow" (allow?)`. */
export function mistakesIn(path: string, env: Environment, uid: number): string[] {
  let toml: string;
  try {
    toml = readFileSync(path, 'utf8');
  } catch (error) {
    return [`${path}: ${reasonOf(error)}`];
  }
  return mistakesOf(toml, path, env, uid).map((mistake) => mistakeAt(path, mistake));
}

/** The file and those beside it. */
export function filesOf(path: string): string[] {
  return [path, ...filesBeside(path).map((file) => file.path)];
}

interface Read extends FileText {
  /** Undefined for the file that is named. */
  readonly file: string | undefined;
  readonly toml: string;
}

/** By file as they count, and in each in the order of its lines. */
function mistakesOf(toml: string, path: string, env: Environment, uid: number): Mistake[] {
  const files = [read(toml), ...filesBeside(path).map((each) => read(each.toml, each.path, each.trouble))];
  for (const file of files) {
    for (const row of rowsOfFile.values()) {
      const reason = whyNot(row, givenIn(file, row));
      if (reason !== undefined) blame(file, [row.flag], reason);
    }
  }
  if (files.every(({ mistakes }) => mistakes.length === 0)) judgeTogether(files, env, uid);
  return files.flatMap(({ file, mistakes }) =>
    mistakes
      .toSorted((one, other) => one.line - other.line)
      .map((mistake) => (file === undefined ? mistake : { file, ...mistake })),
  );
}

function read(toml: string, file?: string, trouble?: string): Read {
  if (trouble !== undefined) return { file, toml, values: {}, peers: [], mistakes: [wholly(trouble)] };
  return { file, toml, ...readFileText(toml) };
}

/** Values that are good each. Whoever gives the last of them is blamed. */
function judgeTogether(files: readonly Read[], env: Environment, uid: number): void {
  const lastOf = (row: OptionRow) => files.findLast((file) => givenIn(file, row) !== undefined);
  const given = (row: OptionRow) => {
    const file = lastOf(row);
    return file === undefined ? fromTable(row) : givenIn(file, row);
  };
  const values = valuesBy(given, env, uid);
  const contradicting = contradiction(values);
  if (contradicting !== undefined) {
    const { row, reason } = contradicting;
    blame(lastOf(row)!, [row.flag], reason(given(row)!));
  }
  const peer = contradictingPeer(mergePeers(files.map(({ peers }) => peers)), values);
  if (peer === undefined) return;
  const { pattern, name, reason } = peer;
  const file = files.findLast(({ peers }) =>
    peers.some((section) => section.pattern === pattern && section.settings[name] !== undefined),
  );
  blame(file!, [peersTable, pattern, name], reason);
}

function givenIn({ values }: Read, { flag }: OptionRow): Given | undefined {
  const value = values[flag];
  return value === undefined ? undefined : { text: asText(value), source: flag, rank: 3 };
}

function blame({ toml, mistakes }: Read, path: readonly string[], reason: string): void {
  mistakes.push({ ...positionOf(toml, path), reason });
}

function whyNot(row: OptionRow, given: Given | undefined): string | undefined {
  if (given === undefined) return undefined;
  try {
    const value = row.parse(given.text, { source: given.source });
    return value === undefined ? refusal(row, given) : undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
