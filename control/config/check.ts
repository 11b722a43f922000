/** Every mistake of a configuration file, for `cryonet --check-config` and a reload. */
import { readFileSync } from 'node:fs';
import { reasonOf } from '../../protocol/errors.ts';
import type { Environment } from '../../protocol/paths.ts';
import { ConfigError, type Mistake, mistakeAt } from '../../protocol/problem.ts';
import { type ControlConfig, contradiction, readConfig, refusal, valuesBy } from './config.ts';
import { positionOf, readFileText, rowsOfFile } from './file.ts';
import type { OptionRow } from './options.ts';
import { asText, configFile, fromTable, type Given } from './sources.ts';

/** Reads the configuration of a running node again. Throws `ConfigError`, with all that is wrong in the file. */
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
    return mistakesOf(readFileSync(file, 'utf8'), env, uid);
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
  return mistakesOf(toml, env, uid).map((mistake) => mistakeAt(path, mistake));
}

/** In the order of the file. */
function mistakesOf(toml: string, env: Environment, uid: number): Mistake[] {
  const { values, mistakes } = readFileText(toml);
  const given = (row: OptionRow): Given | undefined => {
    const value = values[row.flag];
    return value === undefined ? fromTable(row) : { text: asText(value), source: row.flag, rank: 3 };
  };
  const blame = (row: OptionRow, reason: string) =>
    void mistakes.push({ ...positionOf(toml, row.flag), reason });

  for (const row of rowsOfFile.values()) {
    const reason = whyNot(row, given(row));
    if (reason !== undefined) blame(row, reason);
  }
  if (mistakes.length === 0) {
    const contradicting = contradiction(valuesBy(given, env, uid));
    if (contradicting !== undefined)
      blame(contradicting.row, contradicting.reason(given(contradicting.row)!));
  }
  return mistakes.toSorted((one, other) => one.line - other.line);
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
