/** A configuration file in TOML: the values by option, and what is wrong with it, by line and column. */
import { parse as parseToml, TomlError } from 'smol-toml';
import type { Mistake } from '../../protocol/problem.ts';
import { argument, type OptionRow, optionTable } from './options.ts';
import { controlProgram } from './program.ts';

export type Values = Readonly<Record<string, unknown>>;

/** Both from 1, of the first character of what is wrong. */
type Position = Pick<Mistake, 'line' | 'column'>;

/** Each option that may stand in a file, by name. */
export const rowsOfFile: ReadonlyMap<string, OptionRow> = new Map(
  [argument, ...optionTable].map((row) => [row.flag, row]),
);

/** `values`: of options alone. `mistakes`: of form, and names that are no option; one alone where the text is no TOML. */
export function readFileText(toml: string): { readonly values: Values; readonly mistakes: Mistake[] } {
  const all = parsed(toml);
  if (all instanceof TomlError) {
    const { line, column, message } = all;
    return { values: {}, mistakes: [{ line, column, reason: message.split('\n', 1)[0]! }] };
  }
  const values: Record<string, unknown> = {};
  const mistakes: Mistake[] = [];
  for (const [name, value] of Object.entries(all)) {
    const reason = !rowsOfFile.has(name) ? noOption(name) : isPlain(value) ? undefined : notPlain(name);
    if (reason === undefined) values[name] = value;
    else mistakes.push({ ...positionOf(toml, name), reason });
  }
  return { values, mistakes };
}

/** Where an option is given in a file that has it. */
export function positionOf(toml: string, name: string): Position {
  const lines = toml.split('\n');
  const quoted = name.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const given = new RegExp(`^([ \\t]*\\[{0,2}[ \\t]*)(?:${quoted}|"${quoted}"|'${quoted}')[ \\t]*[=.\\]]`);
  for (const [n, line] of lines.entries()) {
    const indent = given.exec(line)?.[1];
    // Inside of a string or a list of several lines it stands for something else.
    if (indent === undefined || parsed(`${lines.slice(0, n).join('\n')}\n`) instanceof TomlError) continue;
    return { line: n + 1, column: indent.length + 1 };
  }
  return { line: 1, column: 1 };
}

function parsed(toml: string): Values | TomlError {
  try {
    return parseToml(toml);
  } catch (error) {
    if (error instanceof TomlError) return error;
    throw error;
  }
}

function isPlain(value: unknown): boolean {
  return (Array.isArray(value) ? value : [value]).every((each) => typeof each !== 'object');
}

function notPlain(name: string): string {
  return `${name} takes a string, a number, true or false, or a list of them`;
}

/** With the options that may be meant, which commander knows. */
function noOption(name: string): string {
  const program = controlProgram()
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} });
  let meant = '';
  try {
    program.parse([`--${name}`], { from: 'user' });
  } catch (error) {
    meant = /\(Did you mean (?:one of )?(.*)\?\)/.exec((error as Error).message)?.[1] ?? '';
  }
  return `no option "${name}"${meant === '' ? '' : ` (${meant.replaceAll('--', '')}?)`}`;
}
