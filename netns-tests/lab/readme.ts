/** README's own commands and files, to be followed to the letter. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Commands, commandsBehind } from './commands.ts';
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';

const checkout = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(checkout, 'README.md'), 'utf8');

/** The code blocks below a heading, to the next one, whatever their language. */
export function blocksBelow(heading: string): string[] {
  const [, after] = text.split(`\n${heading}\n`);
  if (after === undefined) throw new Error(`README has no ${heading}`);
  const section = after.split(/^#/m)[0]!;
  return [...section.matchAll(/^ *```\w*\n([\s\S]*?)^ *```$/gm)].map(([, code]) => code!);
}

/**
 * A host whose /etc, /run and /var/lib are its own, as on a machine of its own, with the checkout's programs on its
 * PATH. What is written there is gone with the lab.
 */
export class Machinelike {
  readonly namespace: Namespace;
  /** Commands inside. */
  readonly $: Commands;
  readonly #holder: Program;

  private constructor(namespace: Namespace, holder: Program) {
    this.namespace = namespace;
    this.#holder = holder;
    this.$ = commandsBehind(() => ['nsenter', ...this.#enter]);
  }

  /** `names`: what /etc/hosts says there. */
  static async make(namespace: Namespace, names: Readonly<Record<string, string>>): Promise<Machinelike> {
    const mounts = `
      mount -t tmpfs tmpfs /mnt
      mkdir /mnt/upper /mnt/work
      mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc
      mount -t tmpfs -o mode=0755 tmpfs /run
      mount -t tmpfs -o mode=0755 tmpfs /var/lib
      printf '%s\\n' "$@" >/etc/hosts
      echo ready
      exec sleep infinity`;
    const lines = Object.entries(names).map(([name, address]) => `${address} ${name}`);
    const holder = namespace.start('machine', [
      ...['unshare', '--mount', '--propagation', 'private'],
      ...['sh', '-euc', mounts, 'machine', '127.0.0.1 localhost', ...lines],
    ]);
    await holder.says(/^ready$/m);
    return new Machinelike(namespace, holder);
  }

  /** Starts a line of README, and leaves it running. */
  start(label: string, command: string): Program {
    return this.namespace.lab.start({
      label: `${this.namespace.label}.${label}`,
      command: ['nsenter', ...this.#enter, 'bash', '-euc', `exec ${command}`],
    });
  }

  get #enter(): string[] {
    const path = `PATH=${join(checkout, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`;
    return [`--target=${this.#holder.pid}`, '--mount', '--net', '--', 'env', '-i', path, 'HOME=/root'];
  }
}
