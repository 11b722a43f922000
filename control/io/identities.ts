/**
 * The file of known identities. A line is an ID, a space and a public key in base64url, or its fingerprint; of two lines
 * for one ID the last counts, and `-` takes the key away. The node only appends lines, and leaves unreadable ones alone. The operator accepts another
 * key by adding or deleting a line.
 */
import { reasonOf } from '../../protocol/errors.ts';
import { pinIn } from '../config/pin.ts';
import { appendLines, readIfThere } from './kept-files.ts';
import type { KeptWrites, Tell } from './kept-writes.ts';

/** In the place of a key: the ID has none, for it was forgotten. */
const none = '-';

export class Identities {
  /** Public keys in hexadecimal, or fingerprints, by ID: those in the file, and those that are still to be written. */
  pins: Map<string, string>;
  readonly #path: string;
  readonly #writes: KeptWrites;
  readonly #tell: Tell;
  /** Keys that are not written yet. */
  readonly #waiting = new Map<string, string>();

  /** Throws the system's error if the file cannot be read: without its pins the node would take any key. */
  constructor(path: string, writes: KeptWrites, tell: Tell) {
    this.#path = path;
    this.#writes = writes;
    this.#tell = tell;
    this.pins = this.#read();
    // Make the file now, so that an operator who appends to it as root does not become its owner.
    if (this.pins.size === 0) this.#write();
  }

  /** Remembers a key at once, or with null forgets it, and writes that as soon as it is possible. */
  pin(id: string, key: string | null): void {
    if ((this.pins.get(id) ?? null) === key) return;
    if (key === null) this.pins.delete(id);
    else this.pins.set(id, key);
    this.#waiting.set(id, key ?? none);
    this.#write();
  }

  /** Reads the file again. Undefined, with a warning, if it cannot be read. */
  reread(): ReadonlyMap<string, string> | undefined {
    try {
      this.pins = new Map([...this.#read(), ...this.#waiting].filter(([, key]) => key !== none));
      return this.pins;
    } catch (cause) {
      this.#tell.set('identities', `${this.#path} cannot be read: ${reasonOf(cause)}; what it had counts`);
      return undefined;
    }
  }

  #write(): void {
    this.#writes.write('identities', () => {
      const lines = [...this.#waiting].map(
        ([id, key]) => `${id} ${key === none ? none : Buffer.from(key, 'hex').toString('base64url')}`,
      );
      appendLines(this.#path, lines);
      this.#waiting.clear();
    });
  }

  #read(): Map<string, string> {
    const pins = new Map<string, string>();
    const unread: number[] = [];
    for (const [index, line] of (readIfThere(this.#path) ?? '').split('\n').entries()) {
      const [id, key, ...rest] = line.trim().split(/\s+/);
      if (!id || id.startsWith('#')) continue;
      if (key === none && rest.length === 0) {
        pins.delete(id);
        continue;
      }
      const pin = key === undefined || rest.length > 0 ? undefined : pinIn(key);
      if (pin !== undefined) {
        pins.delete(id);
        pins.set(id, pin);
      } else unread.push(index + 1);
    }
    const [first] = unread;
    if (first === undefined) {
      this.#tell.clear('identities');
      return pins;
    }
    const more = unread.length === 1 ? '' : ` and ${unread.length - 1} more`;
    const words = `${this.#path}: line ${first}${more} cannot be read: no ID and key; it is kept and passed over, correct or delete it`;
    this.#tell.set('identities', words);
    return pins;
  }
}
