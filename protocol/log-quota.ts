/**
 * How many lines a log has of one thing, so that nothing which lasts or comes again fills it, whoever causes it.
 *
 * A line is about a subject: the peer in it, or a server, or else it is the only one of its message. Each subject has a
 * store of lines for each level, and all subjects of a kind together another one; a store is filled up slowly. What finds
 * none left is left out and counted, and the last of it is said as soon as there is one again, with the number of those
 * before it: so the log ends with how things are.
 *
 *     line ── of its subject none left ──► left out, of the subject ── filled up ──► the last one is said
 *       │                                                  │ of the kind none left
 *       ├──── of its kind none left ─────► left out, of the kind ◄──┘ ── filled up ──► the last one is said
 *       └──── said
 */
import type { Fields, LogLevel } from './log.ts';

/** Lines at once, of a subject and of a kind: more than a start, a restart or an outage has of one peer, and as many peers
 *  as anybody reads lines of. */
const burst = { subject: 10, kind: 64 };
/** Milliseconds for one more. A node is two processes, and a fault is seen at two levels in a link and in what it hangs on:
 *  that makes two lines a minute. */
const pause = 120_000;
/** Subjects that are remembered; the one that was silent for longest gives way. */
const maxSubjects = 1024;

export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Fields;
  /** When it was logged. */
  readonly time: Date;
}

interface Store {
  lines: number;
  /** When it was filled up last. */
  at: number;
  /** Lines left out since one was said, and the last of them. */
  left: number;
  last: Line | undefined;
}

export class LogQuota {
  readonly #subjects = new Map<string, Store>();
  readonly #kinds = new Map<string, Store>();

  /** Something was left out, and is to be asked for by `due`. */
  get waits(): boolean {
    return [...this.#subjects.values(), ...this.#kinds.values()].some(({ left }) => left > 0);
  }

  /** What is to be said now: this line, or nothing. `now` in milliseconds, steady. */
  offer(line: Line, now: number): Line[] {
    const subject = this.#subject(line, now);
    const kind = this.#kind(line, now);
    if (subject.lines < 1) return leaveOut(subject, line, 1);
    if (kind.lines < 1) return leaveOut(kind, line, 1);
    subject.lines--;
    kind.lines--;
    return [said(line, take(subject) + take(kind))];
  }

  /** What is said of what was left out. To be asked for every few seconds while something waits. */
  due(now: number): Line[] {
    const lines: Line[] = [];
    for (const subject of this.#subjects.values()) {
      const { last, left } = subject;
      if (last === undefined || fill(subject, 'subject', now).lines < 1) continue;
      const kind = this.#kind(last, now);
      take(subject);
      if (kind.lines < 1) {
        leaveOut(kind, last, left);
        continue;
      }
      subject.lines--;
      kind.lines--;
      lines.push(said(last, left - 1));
    }
    for (const kind of this.#kinds.values()) {
      const { last } = kind;
      if (last === undefined || fill(kind, 'kind', now).lines < 1) continue;
      kind.lines--;
      lines.push(said(last, take(kind) - 1));
    }
    return lines;
  }

  #subject(line: Line, now: number): Store {
    const name = `${line.level} ${subjectOf(line)}`;
    const store = fill(this.#subjects.get(name) ?? newStore('subject', now), 'subject', now);
    this.#subjects.delete(name);
    this.#subjects.set(name, store);
    for (const [oldest, { last, left }] of this.#subjects) {
      if (this.#subjects.size <= maxSubjects) break;
      this.#subjects.delete(oldest);
      if (last !== undefined) leaveOut(this.#kind(last, now), last, left);
    }
    return store;
  }

  /** As many as there are levels and messages, which are constant. */
  #kind(line: Line, now: number): Store {
    const name = `${line.level} ${peerOf(line) === undefined ? line.message : 'of a peer'}`;
    const store = fill(this.#kinds.get(name) ?? newStore('kind', now), 'kind', now);
    this.#kinds.set(name, store);
    return store;
  }
}

function newStore(of: keyof typeof burst, now: number): Store {
  return { lines: burst[of], at: now, left: 0, last: undefined };
}

function fill(store: Store, of: keyof typeof burst, now: number): Store {
  store.lines = Math.min(burst[of], store.lines + (now - store.at) / pause);
  store.at = now;
  return store;
}

function leaveOut(store: Store, last: Line, count: number): [] {
  store.left += count;
  store.last = last;
  return [];
}

function take(store: Store): number {
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
