/**
 * How many lines there are about one thing, so that nothing that lasts or repeats fills what they are written to, whoever
 * causes it.
 *
 * Each subject has a store of lines, and so has each kind. A store refills slowly. A line that finds its store empty is left
 * out and counted. The last of these lines is said as soon as there is room, with the number of those before it, so the lines
 * end with how things are.
 *
 *     line ── of its subject none left ──► left out, of the subject ── filled up ──► the last one is said
 *       │                                                  │ of the kind none left
 *       ├──── of its kind none left ─────► left out, of the kind ◄──┘ ── filled up ──► the last one is said
 *       └──── said
 */
import { type Bucket, fill, newBucket, take } from './bucket.ts';

/** Subjects that are remembered. The one that was silent for longest is dropped first. */
const maxSubjects = 1024;

interface Room {
  /** Lines at once. */
  readonly burst: number;
  /** Milliseconds until there is room for one more line. */
  readonly pause: number;
}

/** What the lines are, and how many there may be. */
export interface LineMeasure<Line> {
  subject(line: Line): string;
  /** There must be a bounded number of kinds. */
  kind(line: Line): string;
  /** Of the subject of a line, and of its kind. Depends on the kind alone. */
  room(line: Line): Readonly<Record<'subject' | 'kind', Room>>;
  /** The line, which says that so many others were left out; more than 0. */
  counting(line: Line, leftOut: number): Line;
}

interface Store<Line> {
  readonly lines: Bucket;
  /** Lines left out since one was said, and the last of them. */
  left: number;
  last: Line | undefined;
}

export class LineQuota<Line> {
  readonly #measure: LineMeasure<Line>;
  readonly #subjects = new Map<string, Store<Line>>();
  readonly #kinds = new Map<string, Store<Line>>();

  constructor(measure: LineMeasure<Line>) {
    this.#measure = measure;
  }

  /** Whether lines were left out that `due` will return one day. */
  get waits(): boolean {
    return [...this.#subjects.values(), ...this.#kinds.values()].some(({ left }) => left > 0);
  }

  /** Returns the line if it may be said now, else nothing. `now` in milliseconds, steady. */
  offer(line: Line, now: number): Line[] {
    const subject = this.#subject(line);
    const kind = this.#kind(line);
    if (fill(subject.lines, now) < 1) return leaveOut(subject, line, 1);
    if (!take(kind.lines, 1, now)) return leaveOut(kind, line, 1);
    take(subject.lines, 1, now);
    return [this.#said(line, settle(subject) + settle(kind))];
  }

  /** Returns the left-out lines that may be said by now. Call it every few seconds while `waits`. */
  due(now: number): Line[] {
    const lines: Line[] = [];
    for (const subject of this.#subjects.values()) {
      const { last } = subject;
      if (last === undefined || fill(subject.lines, now) < 1) continue;
      const kind = this.#kind(last);
      const left = settle(subject);
      if (!take(kind.lines, 1, now)) {
        leaveOut(kind, last, left);
        continue;
      }
      take(subject.lines, 1, now);
      lines.push(this.#said(last, left - 1));
    }
    for (const kind of this.#kinds.values()) {
      const { last } = kind;
      if (last === undefined || !take(kind.lines, 1, now)) continue;
      lines.push(this.#said(last, settle(kind) - 1));
    }
    return lines;
  }

  #subject(line: Line): Store<Line> {
    const { subject, room } = this.#measure;
    const name = subject(line);
    const store = this.#subjects.get(name) ?? newStore(room(line).subject);
    this.#subjects.delete(name);
    this.#subjects.set(name, store);
    for (const [oldest, { last, left }] of this.#subjects) {
      if (this.#subjects.size <= maxSubjects) break;
      this.#subjects.delete(oldest);
      if (last !== undefined) leaveOut(this.#kind(last), last, left);
    }
    return store;
  }

  #kind(line: Line): Store<Line> {
    const { kind, room } = this.#measure;
    const name = kind(line);
    const store = this.#kinds.get(name) ?? newStore<Line>(room(line).kind);
    this.#kinds.set(name, store);
    return store;
  }

  #said(line: Line, leftOut: number): Line {
    return leftOut > 0 ? this.#measure.counting(line, leftOut) : line;
  }
}

function newStore<Line>({ burst, pause }: Room): Store<Line> {
  return { lines: newBucket(burst, 1000 / pause), left: 0, last: undefined };
}

function leaveOut<Line>(store: Store<Line>, last: Line, count: number): [] {
  store.left += count;
  store.last = last;
  return [];
}

/** Returns how many lines were left out, and begins to count anew. */
function settle<Line>(store: Store<Line>): number {
  const { left } = store;
  store.left = 0;
  store.last = undefined;
  return left;
}
