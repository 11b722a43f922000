/** Values of one subject over those of another, taken within each round: what else the machine did falls on both. */
import { figures } from './figures.ts';

/** Results, while they are being taken. */
export type Table = Map<string, Map<string, (number | undefined)[]>>;

export function record(table: Table, key: string, subject: string, round: number, value: number): void {
  if (!table.has(key)) table.set(key, new Map());
  const bySubject = table.get(key)!;
  if (!bySubject.has(subject)) bySubject.set(subject, []);
  bySubject.get(subject)![round] = value;
}

/** Key of the values of figure `key` over those of `other`. */
export function ratioKey(key: string, other: string): string {
  return `${key} ÷ ${other}`;
}

/** The ratios that targets of `own` are set in. */
export function addTargetRatios(table: Table, own: string): void {
  for (const { key, target } of figures) {
    for (const other of target?.times ?? []) {
      const bySubject = table.get(key);
      divide(table, ratioKey(key, other), own, bySubject?.get(own), bySubject?.get(other));
    }
  }
}

/** Each subject's throughput, over datachannels where it has them, over that of `divisor`. */
export function addThroughputRatios(table: Table, key: string, divisor: string): void {
  const throughputs = table.get('tcp');
  for (const [subject, values] of throughputs ?? []) {
    const comparable = table.get('tcp-datachannel')?.get(subject) ?? values;
    divide(table, key, subject, comparable, throughputs?.get(divisor));
  }
}

type Values = readonly (number | undefined)[];

function divide(table: Table, key: string, subject: string, over: Values = [], under: Values = []): void {
  for (const [round, value] of over.entries()) {
    const unit = under[round];
    if (value !== undefined && unit) record(table, key, subject, round, value / unit);
  }
}
