/**
 * The file of known identities, one line each: ID, space, public key in base64url; of two lines for one ID the last
 * counts. First use decides; who adds a line, or deletes one, accepts another key. Lines are only ever appended here, and
 * those that cannot be read stay.
 */
import { reasonOf } from '../../protocol/errors.ts';
import { appendLines, readIfThere } from './kept-files.ts';
import type { KeptWrites, Tell } from './kept-writes.ts';

export class Identities {
  /** As the file has them, and what is on its way there: public key in hexadecimal by ID. */
  pins: Map<string, string>;
  readonly #path: string;
  readonly #writes: KeptWrites;
  readonly #tell: Tell;
  /** Not written yet. */
  readonly #waiting = new Map<string, string>();

  /** Throws what the system refuses reading with: without its pins a node would take any key. */
  constructor(path: string, writes: KeptWrites, tell: Tell) {
    this.#path = path;
    this.#writes = writes;
    this.#tell = tell;
    this.pins = this.#read();
    // So that it is not made by root, who may append to it.
    if (this.pins.size === 0) this.#write();
  }

  /** Remembered at once, written when that is possible. */
  pin(id: string, key: string): void {
    if (this.pins.get(id) === key) return;
    this.pins.set(id, key);
    this.#waiting.set(id, key);
    this.#write();
  }

  /** Undefined, with a warning, where the file cannot be read. */
  reread(): ReadonlyMap<string, string> | undefined {
    try {
      this.pins = new Map([...this.#read(), ...this.#waiting]);
      return this.pins;
    } catch (cause) {
      this.#tell.set('identities', `${this.#path} cannot be read: ${reasonOf(cause)}; what it had counts`);
      return undefined;
    }
  }

  #write(): void {
    this.#writes.write('identities', () => {
      const lines = [...this.#waiting].map(
        ([id, key]) => `${id} ${Buffer.from(key, 'hex').toString('base64url')}`,
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
      if (key !== undefined && rest.length === 0 && /^[\w-]{43}=?$/.test(key)) {
        pins.delete(id);
        pins.set(id, Buffer.from(key, 'base64url').toString('hex'));
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
