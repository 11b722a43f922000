/** `cryonet --check-config`: every mistake of a configuration file, without starting a node. */
import { readFileSync } from 'node:fs';
import { reasonOf } from '../../protocol/errors.ts';
import type { Environment } from '../../protocol/paths.ts';
import { contradiction, refusal, valuesBy } from './config.ts';
import { positionOf, readFileText, rowsOfFile, shownAt } from './file.ts';
import type { OptionRow } from './options.ts';
import { asText, fromTable, type Given } from './sources.ts';

/** One line each, as compilers write them: `config.toml:12:1: no option "alow" (allow?)`. */
export function mistakesIn(path: string, env: Environment, uid: number): string[] {
  let toml: string;
  try {
    toml = readFileSync(path, 'utf8');
  } catch (error) {
    return [`${path}: ${reasonOf(error)}`];
  }
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
  return mistakes
    .toSorted((one, other) => one.line - other.line)
    .map((mistake) => `${shownAt(path, mistake)}: ${mistake.reason}`);
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
