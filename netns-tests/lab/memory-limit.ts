/** A bound on the memory of several programs together: a control group, of version 1 or 2. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import type { Program } from './program.ts';

/** Where groups that bound memory can be made, and the names of their files (cgroup-v1/memory.rst and cgroup-v2.rst of the
 *  kernel's documentation). */
interface Hierarchy {
  readonly mount: string;
  readonly limit: string;
  readonly peak: string;
  readonly events: string;
}

export class MemoryLimit {
  readonly #hierarchy: Hierarchy;
  readonly #group: string;

  /** The group is there until the lab closes. Throws where this machine has none: `canLimitMemory`. */
  constructor(lab: Lab, label: string) {
    const found = hierarchy();
    if (found === undefined) throw new Error('no control groups that bound memory');
    this.#hierarchy = found;
    this.#group = join(found.mount, `${lab.name}-${label}`);
    mkdirSync(this.#group);
    lab.defer(() => this.#remove());
  }

  /** Of what the programs hold and what the kernel holds for them, such as buffers of sockets. A page of a file counts where
   *  it was read first, and can be read again: those go first; then the kernel kills. */
  set bytes(most: number) {
    writeFileSync(join(this.#group, this.#hierarchy.limit), `${most}`);
  }

  /** Puts a program into the group that was started a moment ago, and with it what it will start. */
  add({ pid }: Program): void {
    writeFileSync(join(this.#group, 'cgroup.procs'), `${pid}`);
  }

  /** Bytes that were held at a time, at most. */
  get peak(): number {
    return Number(this.#read(this.#hierarchy.peak));
  }

  /** How many programs were killed for want of memory. */
  get kills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read(this.#hierarchy.events))?.[1]);
  }

  #read(file: string): string {
    return readFileSync(join(this.#group, file), 'utf8');
  }

  /** Kills all that is in it: a group that is in use cannot be removed. */
  #remove(): void {
    for (let round = 0; round < 500; round++) {
      try {
        for (const pid of this.#read('cgroup.procs').split('\n').filter(Boolean))
          process.kill(Number(pid), 'SIGKILL');
        rmdirSync(this.#group);
        return;
      } catch {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
    }
  }
}

export function canLimitMemory(): boolean {
  return hierarchy() !== undefined;
}

/** Undefined where this machine has none, or leaves none to us. */
function hierarchy(): Hierarchy | undefined {
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const first = /^\S+ (\S+) cgroup (?:\S*,)?memory[, ]/m.exec(mounts)?.[1];
  if (first !== undefined)
    return {
      mount: first,
      limit: 'memory.limit_in_bytes',
      peak: 'memory.max_usage_in_bytes',
      events: 'memory.oom_control',
    };
  const second = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  if (second === undefined) return undefined;
  try {
    writeFileSync(join(second, 'cgroup.subtree_control'), '+memory');
  } catch {
    return undefined;
  }
  return { mount: second, limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' };
}
