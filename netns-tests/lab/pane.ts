/** A shell in a terminal that nobody sees: tmux, of which each has a server of its own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './commands.ts';
import type { Namespace } from './namespace.ts';
import { waitFor } from './wait.ts';

interface Size {
  readonly columns: number;
  readonly rows: number;
}

export class Pane {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Ends with the laboratory. */
  static async open(namespace: Namespace, { columns, rows }: Size): Promise<Pane> {
    const pane = new Pane(join(namespace.lab.directory, `${namespace.label}.tmux`));
    namespace.start('tmux', ['tmux', '-S', pane.#socket, '-f', '/dev/null', '-D'], { LC_ALL: 'C.UTF-8' });
    const size = ['-x', `${columns}`, '-y', `${rows}`];
    await waitFor(
      'tmux to have a shell',
      30_000,
      () => pane.#tmux('new-session', '-d', ...size, 'bash --norc --noprofile'),
      () => true,
    );
    return pane;
  }

  async type(line: string): Promise<void> {
    await this.#tmux('send-keys', '-l', line);
    await this.press('Enter');
  }

  /** Keys by tmux's names. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async resize({ columns, rows }: Size): Promise<void> {
    await this.#tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
  }

  /** What it shows, a row each. */
  async rows(): Promise<string[]> {
    return (await this.#tmux('capture-pane', '-p')).split('\n').slice(0, -1);
  }

  async shows(pattern: RegExp, bound = 30_000): Promise<string> {
    return waitFor(
      `the terminal to show ${pattern}`,
      bound,
      async () => (await this.rows()).join('\n'),
      (text) => pattern.test(text),
    );
  }

  /** Of the terminal, by tmux's names. */
  async is(format: string): Promise<string> {
    return (await this.#tmux('display-message', '-p', format)).trim();
  }

  /** The pid of what the shell runs. */
  async running(): Promise<number> {
    const shell = await this.is('#{pane_pid}');
    const children = () => readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim();
    return Number(await waitFor('a program in the terminal', 30_000, children, (pids) => /^\d+$/.test(pids)));
  }

  async #tmux(...words: readonly string[]): Promise<string> {
    return (await run(['tmux', '-S', this.#socket, ...words])).stdout;
  }
}
