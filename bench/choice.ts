/** The command line of bench. */
import { parseArgs } from 'node:util';
import type { Measure } from './measure.ts';
import { old, own } from './report.ts';

export interface Choice {
  readonly runs: number;
  readonly quick: boolean;
  /** Names of measures, and of subjects. */
  readonly only: readonly string[];
  readonly with: readonly string[];
  /** Folder of another checkout. */
  readonly old: string | undefined;
  readonly json: string | undefined;
  readonly help: boolean;
}

const defaultRuns = 5;

/** Throws an error that says what is wrong. */
export function choose(
  line: readonly string[],
  measures: readonly Measure[],
  subjects: readonly string[],
): Choice {
  const { values } = parseArgs({
    args: [...line],
    options: {
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      with: { type: 'string', multiple: true, default: [] },
      old: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const runs = Number(values.runs ?? (values.quick ? 1 : defaultRuns));
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs takes a number from 1');
  const names = measures.map(({ name }) => name);
  const all = values.old === undefined ? subjects.filter((name) => name !== old) : [own, old];
  const chosen = {
    only: listed('--only', values.only, names, names),
    with: listed('--with', values.with, subjects, all),
  };
  if (chosen.with.includes(old) && values.old === undefined)
    throw new Error(`--with ${old} needs --old, the folder of the other checkout`);
  return { ...values, ...chosen, runs, old: values.old, json: values.json };
}

/** Those that were given, else the usual ones. */
function listed(
  option: string,
  given: readonly string[],
  names: readonly string[],
  usual: readonly string[],
): readonly string[] {
  const unknown = given.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`${option} takes one of ${names.join(', ')}: not ${unknown}`);
  return given.length > 0 ? given : usual;
}

export function help(measures: readonly Measure[], subjects: readonly string[]): string {
  const width = Math.max(...measures.map(({ name }) => name.length));
  return `./dev bench [OPTION...]   figures, next to those of comparable programs, as a
                          Markdown table with what must be reached

  --only MEASURE   one measure; repeatable. all of them take hours
  --with SUBJECT   one subject; repeatable
  --old DIR        compare with another checkout, where ./dev build has run: its
                   column is "old", and ratios are to it. Without --with nothing
                   else is measured
  --runs N         takes of each subject, in turns: ${defaultRuns}. Medians are shown
  --quick          one take, with shorter windows: for trying things out
  --json FILE      every value, for other programs
  -h, --help       this

Measures:
${measures.map(({ name, about }) => `  ${name.padEnd(width)}   ${about}`).join('\n')}

Subjects:
${subjects.map((name) => `  ${name}`).join('\n')}

How long a mesh of 30 takes to form, five times:
  ./dev bench --only mesh-30 --with cryonet
Throughput of this checkout and of ten commits ago, five pairs in turns:
  git worktree add ../before HEAD~10
  ../before/dev build
  ./dev bench --only throughput --old ../before

Exit code 1 where a take broke, not where a figure is missed. What else the
machine does spoils figures: the load is in the first line.
`;
}
