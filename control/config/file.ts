/** A configuration file in TOML: the values by option, the sections of peers, and what is wrong with it, by line and
 *  column. */
import { TomlError } from 'smol-toml';
import type { Mistake } from '../../protocol/problem.ts';
import type { PeerSection } from '../core/peer-settings.ts';
import { meantBy } from './meant.ts';
import { argument, type OptionRow, optionTable } from './options.ts';
import { peersTable, readPeers } from './peer-sections.ts';
import { isTable, notPlain, parsed, positionOf, type Values } from './toml.ts';

/** Each option that may stand in a file, by name. */
export const rowsOfFile: ReadonlyMap<string, OptionRow> = new Map(
  [argument, ...optionTable].map((row) => [row.flag, row]),
);

export interface FileText {
  /** Of options alone. */
  readonly values: Values;
  /** In the order of the file, each pattern once. */
  readonly peers: readonly PeerSection[];
  /** Of form, names that mean nothing, and all that is wrong with a peer; one alone where the text is no TOML. */
  readonly mistakes: Mistake[];
}

export function readFileText(toml: string): FileText {
  const all = parsed(toml);
  if (all instanceof TomlError) {
    const { line, column, message } = all;
    return { values: {}, peers: [], mistakes: [{ line, column, reason: message.split('\n', 1)[0]! }] };
  }
  const { [peersTable]: table, ...rest } = all;
  const { peers, mistakes } = isTable(table) ? readPeers(toml, table) : { peers: [], mistakes: [] };
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(isTable(table) ? rest : all)) {
    const reason = rowsOfFile.has(name)
      ? notPlain(name, value)
      : `no option "${name}"${meantBy(name, rowsOfFile.keys())}`;
    if (reason === undefined) values[name] = value;
    else mistakes.push({ ...positionOf(toml, [name]), reason });
  }
  return { values, peers, mistakes };
}
