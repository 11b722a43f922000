/**
 * The last events of this node, in memory and in a file of the state directory, so that who watches it can go on where it was
 * after a restart of control.
 *
 * What is new is appended to the file at once, but not more often than once a second; a control that is killed loses that
 * second, and its numbers are not used again, because the next one has a later epoch. The file is written anew when it is
 * twice as long as what is kept.
 */
import {
  type EventId,
  eventIdOf,
  eventIdText,
  isLater,
  type NodeEvent,
  nodeEvent,
} from '../../protocol/events.ts';
import { appendLines, readIfThere, writeWhole } from './kept-files.ts';

/** Events that are kept: of a mesh of a hundred nodes that all start anew, three times over. A kilobyte each at most. */
const maxEvents = 1024;

/** Milliseconds between two writes. */
const writePause = 1000;

/** An event as it is told, and kept as a line of the file. */
export interface RingEntry {
  readonly id: EventId;
  readonly name: NodeEvent['event'];
  readonly json: string;
}

export interface EventRingOptions {
  readonly path: string;
  /** Of this start. */
  readonly epoch: number;
}

export class EventRing {
  readonly #options: EventRingOptions;
  readonly #entries: RingEntry[];
  readonly #listeners = new Set<() => void>();
  #number = 0;
  /** Entries that ever were here. The first one that is kept has this place less their number. */
  #end: number;
  /** The same of those that are in the file. */
  #written: number;
  #linesInFile: number;
  #timer: NodeJS.Timeout | undefined;

  /** Never throws: without the file the ring begins empty. */
  constructor(options: EventRingOptions) {
    this.#options = options;
    const lines = linesOf(options.path);
    this.#entries = lines.flatMap(entryOf).slice(-maxEvents);
    this.#end = this.#entries.length;
    this.#written = this.#end;
    this.#linesInFile = lines.length;
  }

  /** The place behind the last entry. Places only grow. */
  get end(): number {
    return this.#end;
  }

  /** The ID of the last entry. */
  get last(): EventId | undefined {
    return this.#entries.at(-1)?.id;
  }

  append(event: NodeEvent): void {
    const id = { epoch: this.#options.epoch, number: ++this.#number };
    this.#entries.push({ id, name: event.event, json: JSON.stringify(event) });
    this.#end++;
    if (this.#entries.length > maxEvents) this.#entries.shift();
    for (const listener of this.#listeners) listener();
    if (this.#timer === undefined) this.#write();
  }

  /** The entry at a place, or undefined behind the end. A place of which the entry is gone is that of the first one kept. */
  at(
    place: number,
  ): { readonly entry: RingEntry; readonly place: number; readonly missed: boolean } | undefined {
    const first = this.#end - this.#entries.length;
    const found = Math.max(place, first);
    const entry = this.#entries[found - first];
    return entry && { entry, place: found, missed: found > place };
  }

  /** The place of the first entry that is later than `id`, and whether there were others between, as far as that is
   *  known. */
  after(id: EventId): { readonly place: number; readonly missed: boolean } {
    const index = this.#entries.findIndex((entry) => isLater(entry.id, id));
    if (index < 0) return { place: this.#end, missed: false };
    const first = this.#entries[0]!.id;
    const isNext = first.epoch === id.epoch && first.number === id.number + 1;
    return {
      place: this.#end - this.#entries.length + index,
      missed: index === 0 && !isNext && id.epoch > 0,
    };
  }

  /** `changed` is called after each new entry. */
  listen(changed: () => void): void {
    this.#listeners.add(changed);
  }

  unlisten(changed: () => void): void {
    this.#listeners.delete(changed);
  }

  /** Writes what is not in the file yet. Idempotent, never throws. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#save();
  }

  #write(): void {
    this.#save();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#written < this.#end) this.#write();
    }, writePause).unref();
  }

  #save(): void {
    const unwritten = Math.min(this.#entries.length, this.#end - this.#written);
    if (unwritten === 0) return;
    const { path } = this.#options;
    try {
      if (this.#linesInFile + unwritten > 2 * maxEvents) {
        writeWhole(path, this.#entries.map((entry) => `${lineOf(entry)}\n`).join(''));
        this.#linesInFile = this.#entries.length;
      } else {
        appendLines(path, this.#entries.slice(-unwritten).map(lineOf));
        this.#linesInFile += unwritten;
      }
      this.#written = this.#end;
    } catch {
      // Of a full disk there is a warning, for what matters more. The next write has these as well.
    }
  }
}

function lineOf({ id, json }: RingEntry): string {
  return `${eventIdText(id)} ${json}`;
}

function linesOf(path: string): string[] {
  try {
    return (readIfThere(path) ?? '').split('\n').filter((line) => line !== '');
  } catch {
    // What is in the way of the file is in the way of writing it too, and that is a warning.
    return [];
  }
}

/** None of a line that was cut short, or that a later version wrote. */
function entryOf(line: string): RingEntry[] {
  const [text, json] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
  try {
    const { event } = nodeEvent.parse(JSON.parse(json));
    const id = eventIdOf(text);
    return id === undefined ? [] : [{ id, name: event, json }];
  } catch {
    return [];
  }
}
