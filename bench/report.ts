/** The results as a Markdown table with footnotes. */
import { type Figure, figures, reaches } from './figures.ts';
import { ratioKey } from './ratios.ts';
import { type Summary, summarize } from './statistics.ts';

/** Values by figure, then by subject; one per round, undefined where a take failed. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, readonly (number | undefined)[]>>;

export interface Column {
  readonly name: string;
  /** Of its Debian package; empty for this project. */
  readonly version: string;
}

/** `own` is the column that the targets are for. */
export function markdown(results: Results, columns: readonly Column[], own: string): string {
  const footnotes: string[] = [];
  const mark = (text: string): string => {
    if (!footnotes.includes(text)) footnotes.push(text);
    return ` [${footnotes.indexOf(text) + 1}]`;
  };
  const heads = columns.map(({ name, version }) => (version ? `${name} ${version}` : name));
  const rows = figures
    .filter(({ key }) => results.has(key))
    .map((figure) => {
      const label = `${figure.label}${figure.unit ? `, ${figure.unit}` : ''}${figure.note ? mark(figure.note) : ''}`;
      const cells = columns.map(({ name }) => {
        const summary = summaryOf(results, figure, name);
        const note = figure.notes?.[name];
        return `${summary ? shown(summary, figure) : '–'}${note ? mark(note) : ''}`;
      });
      return [label, wanted(figure), ...cells, cell(verdict(results, figure, own))];
    });
  const table = [
    ['', 'must reach', ...heads, ''],
    ['---', '---:', ...heads.map(() => '---:'), '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
  return [table, ...footnotes.map((text, index) => `${index + 1}. ${text}`)].join('\n\n');
}

/** One line for each figure that something is asked of. */
export function verdicts(results: Results, own: string): string[] {
  return figures
    .filter((figure) => figure.target && results.has(figure.key))
    .map((figure) => {
      const summary = summaryOf(results, figure, own);
      const got = summary ? `${shown(summary, figure)} ${figure.unit}`.trim() : '–';
      const { word, ratios } = verdict(results, figure, own);
      const all = [got, ...ratios].join('; ');
      return `${word.padEnd(8)} ${figure.label}: ${all} (must be ${wanted(figure)})`;
    });
}

/** `median (min–max)`, or the one value. */
export function shown({ median, min, max, takes }: Summary, { digits }: Pick<Figure, 'digits'>): string {
  const number = (value: number): string => value.toFixed(digits);
  return takes === 1 ? number(median) : `${number(median)} (${number(min)}–${number(max)})`;
}

export function summaryOf(
  results: Results,
  { key }: Pick<Figure, 'key'>,
  subject: string,
): Summary | undefined {
  const values =
    results
      .get(key)
      ?.get(subject)
      ?.filter((value) => value !== undefined) ?? [];
  return values.length > 0 ? summarize(values) : undefined;
}

function wanted({ target, unit }: Figure): string {
  if (!target) return '';
  const bound = 'atMost' in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
  return target.times ? `${bound} × ${target.times.join(', ')}` : `${bound} ${unit}`.trim();
}

interface Verdict {
  readonly word: 'reached' | 'missed' | 'no value' | '';
  /** Where these are what is asked for. */
  readonly ratios: readonly string[];
}

function verdict(results: Results, figure: Figure, own: string): Verdict {
  const { key, target } = figure;
  if (!target) return { word: '', ratios: [] };
  const keys = target.times ? target.times.map((other) => ratioKey(key, other)) : [key];
  const medians = keys.map((each) => summaryOf(results, { key: each }, own)?.median);
  const reached = medians.map((median) => median !== undefined && reaches(figure, median));
  const isMissed = medians.some((median, index) => median !== undefined && !reached[index]);
  const word = isMissed ? 'missed' : reached.every(Boolean) ? 'reached' : 'no value';
  const ratios = (target.times ?? []).map(
    (other, index) => `${medians[index]?.toFixed(2) ?? '–'} × ${other}`,
  );
  return { word, ratios };
}

function cell({ word, ratios }: Verdict): string {
  return ratios.length > 0 ? `${word}: ${ratios.join(', ')}` : word;
}
