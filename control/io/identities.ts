/**
 * The file of known identities, one line each: ID, space, public key in base64url. First use decides; who deletes a line
 * accepts another key. Lines are only ever appended, and those that cannot be read stay.
 */
import { appendLines, readIfThere } from './kept-files.ts';
import type { KeptWrites, Tell } from './kept-writes.ts';

/** Lines written at most: each node with the token can bring IDs of its own. */
const maxIdentities = 65_536;

export class Identities {
  /** Public key in hexadecimal by ID. */
  readonly pins = new Map<string, string>();
  readonly #path: string;
  readonly #writes: KeptWrites;
  #lines: string[] = [];

  /** Throws what the system refuses reading with: without its pins a node would take any key. */
  constructor(path: string, writes: KeptWrites, tell: Tell) {
    this.#path = path;
    this.#writes = writes;
    const unread: number[] = [];
    for (const [index, line] of (readIfThere(path) ?? '').split('\n').entries()) {
      const [id, key, ...rest] = line.trim().split(/\s+/);
      if (!id || id.startsWith('#')) continue;
      if (key !== undefined && rest.length === 0 && /^[\w-]{43}=?$/.test(key)) {
        this.pins.set(id, Buffer.from(key, 'base64url').toString('hex'));
      } else unread.push(index + 1);
    }
    const [first] = unread;
    if (first === undefined) return;
    const more = unread.length === 1 ? '' : ` and ${unread.length - 1} more`;
    const words = `${path}: line ${first}${more} cannot be read: no ID and key; it is kept and passed over, correct or delete it`;
    tell.set('identities', words);
  }

  /** Remembered at once, written when that is possible. */
  pin(id: string, key: string): void {
    if (this.pins.get(id) === key || (!this.pins.has(id) && this.pins.size >= maxIdentities)) return;
    this.pins.set(id, key);
    this.#lines.push(`${id} ${Buffer.from(key, 'hex').toString('base64url')}`);
    this.#writes.write('identities', () => {
      if (this.#lines.length > 0) appendLines(this.#path, this.#lines);
      this.#lines = [];
    });
  }
}
