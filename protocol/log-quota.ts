/**
 * How many lines a log has about one thing, so that nothing that lasts or repeats fills it, whoever causes it.
 *
 * The subject of a line is its peer or, without one, its server, `about` or address; without any, its message. Each
 * subject has a store of lines for each level, and so has each kind: all peers together, or all other subjects with one
 * message. A store refills slowly. A line that finds its store empty is left out and counted. The last of these lines is
 * logged as soon as there is room, with the number of those before it, so the log ends with how things are.
 *
 *     line ── of its subject none left ──► left out, of the subject ── filled up ──► the last one is said
 *       │                                                  │ of the kind none left
 *       ├──── of its kind none left ─────► left out, of the kind ◄──┘ ── filled up ──► the last one is said
 *       └──── said
 */
import { type Bucket, fill, newBucket, take } from './bucket.ts';
import type { Fields } from './log.ts';
import type { LogLevel } from './log-level.ts';

/** Lines at once, of a subject and of a kind. A start, a restart or an outage makes fewer than 10 about one peer, and
 *  nobody reads lines about more than 64 peers. */
const burst = { subject: 10, kind: 64 };
/** Milliseconds until there is room for one more line. A lasting fault is logged at two levels in each of two processes,
 *  which makes two lines a minute. */
const pause = 120_000;
/** Subjects that are remembered. The one that was silent for longest is dropped first. */
const maxSubjects = 1024;

export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Fields;
  /** When it was logged. */
  readonly time: Date;
}

interface Store {
  readonly lines: Bucket;
  /** Lines left out since one was logged, and the last of them. */
  left: number;
  last: Line | undefined;
}

export class LogQuota {
  readonly #subjects = new Map<string, Store>();
  readonly #kinds = new Map<string, Store>();

  /** Whether lines were left out that `due` will return one day. */
  get waits(): boolean {
    return [...this.#subjects.values(), ...this.#kinds.values()].some(({ left }) => left > 0);
  }

  /** Returns the line if it may be logged now, else nothing. `now` in milliseconds, steady. */
  offer(line: Line, now: number): Line[] {
    const subject = this.#subject(line);
    const kind = this.#kind(line);
    if (fill(subject.lines, now) < 1) return leaveOut(subject, line, 1);
    if (!take(kind.lines, 1, now)) return leaveOut(kind, line, 1);
    take(subject.lines, 1, now);
    return [said(line, settle(subject) + settle(kind))];
  }

  /** Returns the left-out lines that may be logged by now. Call it every few seconds while `waits`. */
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
      lines.push(said(last, left - 1));
    }
    for (const kind of this.#kinds.values()) {
      const { last } = kind;
      if (last === undefined || !take(kind.lines, 1, now)) continue;
      lines.push(said(last, settle(kind) - 1));
    }
    return lines;
  }

  #subject(line: Line): Store {
    const name = `${line.level} ${subjectOf(line)}`;
    const store = this.#subjects.get(name) ?? newStore('subject');
    this.#subjects.delete(name);
    this.#subjects.set(name, store);
    for (const [oldest, { last, left }] of this.#subjects) {
      if (this.#subjects.size <= maxSubjects) break;
      this.#subjects.delete(oldest);
      if (last !== undefined) leaveOut(this.#kind(last), last, left);
    }
    return store;
  }

  /** The number of kinds is bounded by the levels and the messages, which are constants. */
  #kind(line: Line): Store {
    const name = `${line.level} ${peerOf(line) === undefined ? line.message : 'of a peer'}`;
    const store = this.#kinds.get(name) ?? newStore('kind');
    this.#kinds.set(name, store);
    return store;
  }
}

function newStore(of: keyof typeof burst): Store {
  return { lines: newBucket(burst[of], 1000 / pause), left: 0, last: undefined };
}

function leaveOut(store: Store, last: Line, count: number): [] {
  store.left += count;
  store.last = last;
  return [];
}

/** Returns how many lines were left out, and begins to count anew. */
function settle(store: Store): number {
  const { left } = store;
  store.left = 0;
  store.last = undefined;
  return left;
}

function said(line: Line, leftOut: number): Line {
  return leftOut > 0 ? { ...line, fields: { ...line.fields, leftOut } } : line;
}

function peerOf({ fields }: Line): unknown {
  return fields.peer ?? fields.id;
}

function subjectOf(line: Line): unknown {
  const { about, url, address } = line.fields;
  return peerOf(line) ?? url ?? about ?? address ?? line.message;
}
