/** A clock that one node has for itself (`clock.c`). */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { buildLibrary } from './compiled.ts';
import type { Lab } from './lab.ts';

export class OwnClock {
  /** For `NodeOptions`. */
  readonly through: readonly string[];
  readonly #file: string;

  private constructor(library: string, file: string) {
    this.through = ['env', `LD_PRELOAD=${library}`];
    this.#file = file;
  }

  /** As right as the system's. */
  static async make(lab: Lab): Promise<OwnClock> {
    const folder = join(lab.directory, 'clock');
    mkdirSync(folder);
    const file = join(folder, 'clock');
    writeFileSync(file, Buffer.alloc(8));
    return new OwnClock(await buildLibrary('clock', folder), file);
  }

  /** Sets it to so many seconds before or after the system's, at once in all its programs. */
  set(ahead: number): void {
    const bytes = new BigInt64Array([BigInt(ahead)]);
    const file = openSync(this.#file, 'r+');
    writeSync(file, bytes);
    closeSync(file);
  }
}
