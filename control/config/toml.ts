/** What a TOML text has, and where something is given in it. */
import { parse as parseToml, TomlError } from 'smol-toml';
import type { Mistake } from '../../protocol/problem.ts';

/** Both from 1, of the first character of what is wrong. */
type Position = Pick<Mistake, 'line' | 'column'>;

export type Values = Readonly<Record<string, unknown>>;

/** Or what is wrong with the text. */
export function parsed(toml: string): Values | TomlError {
  try {
    return parseToml(toml);
  } catch (error) {
    if (error instanceof TomlError) return error;
    throw error;
  }
}

export function isTable(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** As a command line would have it. */
export function asText(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** Why a value cannot be that of an option; undefined where it can. */
export function notPlain(name: string, value: unknown): string | undefined {
  const isPlain = [value].flat().every((each) => typeof each !== 'object');
  return isPlain ? undefined : `${name} takes a string, a number, true or false, or a list of them`;
}

const part = String.raw`(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')`;
const keys = String.raw`${part}(?:[ \t]*\.[ \t]*${part})*`;
/** A line that begins a table or gives a value: what stands before the keys, the keys, and what ends them. */
const given = new RegExp(String.raw`^([ \t]*(\[{0,2})[ \t]*)(${keys})[ \t]*(=|\])`);

/** Where the value is given that these keys lead to; else the nearest table on the way there. */
export function positionOf(toml: string, path: readonly string[]): Position {
  const lines = toml.split('\n');
  let best = { line: 1, column: 1, depth: 0 };
  let table: readonly string[] = [];
  let from = 0;
  for (const [n, line] of lines.entries()) {
    const [, before, brackets, names, end] = given.exec(line) ?? [];
    if (names === undefined || (brackets === '') !== (end === '=')) continue;
    const isTable = brackets !== '';
    const here = isTable ? keysIn(names) : [...table, ...keysIn(names)];
    const depth = sharedBy(here, path);
    if (!isTable && depth <= best.depth) continue;
    // Inside of a string or a list of several lines it stands for something else.
    if (!isWhole(lines.slice(from, n))) continue;
    if (isTable) {
      table = here;
      from = n;
    }
    if (depth > best.depth) best = { line: n + 1, column: before!.length + 1, depth };
  }
  const { line, column } = best;
  return { line, column };
}

/** How many keys both have, where one leads to the other; else none. */
function sharedBy(one: readonly string[], other: readonly string[]): number {
  const length = Math.min(one.length, other.length);
  return one.slice(0, length).every((key, at) => key === other[at]) ? length : 0;
}

function keysIn(names: string): string[] {
  const one = new RegExp(part, 'g');
  return (names.match(one) ?? []).map((name) => {
    if (name.startsWith('"')) return unescaped(name);
    return name.startsWith("'") ? name.slice(1, -1) : name;
  });
}

function unescaped(quoted: string): string {
  const table = parsed(`${quoted} = 1`);
  return table instanceof TomlError ? quoted : Object.keys(table)[0]!;
}

function isWhole(lines: readonly string[]): boolean {
  return !(parsed(`${lines.join('\n')}\n`) instanceof TomlError);
}
