/** What a measure is: figures, and how they are taken of one subject. */
import type { Contender } from './contender.ts';
import type { Results } from './results.ts';
import type { Scene } from './scene.ts';

/** Values by the keys of their figures. */
export type Readings = Readonly<Record<string, number>>;

export interface Measure {
  /** As given to --only. */
  readonly name: string;
  /** For --help. */
  readonly about: string;
  readonly figures: readonly Figure[];
  /** Whom it is of; by default every contender. */
  readonly of?: (contender: Contender) => boolean;
  /** What takes turns with the contenders and is none, by name. */
  readonly baselines?: Readonly<Record<string, (scene: Scene) => Promise<Readings>>>;
  take(scene: Scene, contender: Contender): Promise<Readings>;
  /** Adds what follows from values of several subjects. */
  derive?(results: Results): void;
}

/** One row of the table. */
export interface Figure extends Asked {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  /** After the decimal point. */
  readonly digits: number;
}

interface Asked {
  /** What cryonet must reach: by the value itself or, with `times`, by its ratio to that of each of these subjects in the
   *  same round. */
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly times?: readonly string[];
  /** What the ratio to the value of the checkout given to --old must be at least. */
  readonly old?: number;
  /** How it was measured, where the label does not say it. */
  readonly note?: string;
  /** What is different with a contender, or why it has no value. */
  readonly notes?: Readonly<Record<string, string>>;
}

export function figure(key: string, label: string, unit: string, digits: number, asked: Asked = {}): Figure {
  return { key, label, unit, digits, ...asked };
}

/** The contenders that are not of this project. */
export const comparable = ['wireguard-go', 'nebula', 'tinc'];

/** The same note for each of them. */
export function ofOthers(note: string): Readonly<Record<string, string>> {
  return Object.fromEntries(comparable.map((name) => [name, note]));
}

export function isOwn({ package: debian }: Contender): boolean {
  return debian === undefined;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
