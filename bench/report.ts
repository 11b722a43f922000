/** The results as a Markdown table with footnotes, and what was reached and missed. */
import type { Figure } from './measure.ts';
import type { Results, Summary } from './results.ts';

export interface Column {
  readonly name: string;
  readonly version: string;
}

/** Names of the columns that the targets are for, and of the checkout that it is compared with. */
export const own = 'cryonet';
export const old = 'old';

/** Adds the ratios of our own values that targets are set in, and those to the old checkout's. */
export function addRatios(results: Results, figures: readonly Figure[]): void {
  for (const { key, times = [] } of figures)
    for (const other of [...times, old]) results.divide(ratioKey(key, other), own, [key, own], [key, other]);
}

export function markdown(results: Results, figures: readonly Figure[], columns: readonly Column[]): string {
  const footnotes: string[] = [];
  const mark = (text: string | undefined): string => {
    if (text === undefined) return '';
    if (!footnotes.includes(text)) footnotes.push(text);
    return ` [${footnotes.indexOf(text) + 1}]`;
  };
  const rows = figures
    .filter(({ key }) => results.has(key))
    .map((figure) => {
      const label = [figure.label, ...(figure.unit ? [figure.unit] : [])].join(', ');
      const cells = columns.map(({ name }) => {
        const summary = results.summary(figure.key, name);
        return `${summary ? shown(summary, figure.digits) : '–'}${mark(figure.notes?.[name])}`;
      });
      const { word, ratios } = verdict(results, figure, columns);
      const reached = [...(word ? [word] : []), ...(ratios.length > 0 ? [ratios.join(', ')] : [])].join(': ');
      return [`${label}${mark(figure.note)}`, wanted(figure), ...cells, reached];
    });
  const heads = columns.map(({ name, version }) => `${name} ${version}`.trim());
  const lines = [
    ['', 'must reach', ...heads, ''],
    ['---', '---:', ...heads.map(() => '---:'), '---'],
    ...rows,
  ];
  const table = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return [table, ...footnotes.map((text, index) => `${index + 1}. ${text}`)].join('\n\n');
}

/** One line for each figure that something is asked of. */
export function verdicts(results: Results, figures: readonly Figure[], columns: readonly Column[]): string[] {
  return figures
    .filter(({ key }) => results.has(key))
    .map((figure) => ({ figure, ...verdict(results, figure, columns) }))
    .filter(({ word }) => word !== '')
    .map(({ figure, word, ratios }) => {
      const summary = results.summary(figure.key, own);
      const got = summary ? `${shown(summary, figure.digits)} ${figure.unit}`.trim() : '–';
      return `${word.padEnd(8)} ${figure.label}: ${[got, ...ratios].join('; ')} (must be ${wanted(figure)})`;
    });
}

/** `median (min–max)`, or the one value. */
export function shown({ median, min, max, takes }: Summary, digits: number): string {
  const number = (value: number): string => value.toFixed(digits);
  return takes === 1 ? number(median) : `${number(median)} (${number(min)}–${number(max)})`;
}

function wanted({ atMost, atLeast, times, old: least, unit }: Figure): string {
  const bound = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`;
  const suffix = times ? `× ${times.join(', ')}` : unit;
  return [
    ...(bound === '≥ undefined' ? [] : [`${bound} ${suffix}`.trim()]),
    ...(least === undefined ? [] : [`≥ ${least} × ${old}`]),
  ].join('; ');
}

interface Verdict {
  readonly word: 'reached' | 'missed' | 'no value' | '';
  readonly ratios: readonly string[];
}

/** Of what is asked in terms of subjects that were measured. */
function verdict(results: Results, figure: Figure, columns: readonly Column[]): Verdict {
  const { key, atMost = Infinity, atLeast = -Infinity, times, old: least } = figure;
  const present = (name: string): boolean => columns.some((column) => column.name === name);
  const others = (times ?? []).filter(present);
  if (!present(own)) return { word: '', ratios: [] };
  const isBounded = figure.atMost !== undefined || figure.atLeast !== undefined;
  const asked = isBounded ? (times ? others.map((other) => ratioKey(key, other)) : [key]) : [];
  const met = asked.map((each) => {
    const median = results.summary(each, own)?.median;
    return median === undefined ? undefined : median <= atMost && median >= atLeast;
  });
  const toOld = results.summary(ratioKey(key, old), own);
  if (least !== undefined && present(old)) met.push(toOld && toOld.median >= least);
  const word = met.includes(false) ? 'missed' : met.includes(undefined) ? 'no value' : 'reached';
  const ratios = others.map((other) => {
    const median = results.summary(ratioKey(key, other), own)?.median;
    return `${median?.toFixed(2) ?? '–'} × ${other}`;
  });
  if (toOld) ratios.push(`${shown(toOld, 2)} × ${old}`);
  return { word: met.length > 0 ? word : '', ratios };
}

function ratioKey(key: string, other: string): string {
  return `${key} ÷ ${other}`;
}
