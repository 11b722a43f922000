/** The terminal while it shows frames: raw keys, the alternate screen, no cursor; and as it was before, whatever happens. */
import { writeSync } from 'node:fs';
import { emitKeypressEvents, type Interface, type Key as Pressed } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { keyOf } from './keys.ts';
import type { Key, Size } from './model.ts';

/** Private modes of xterm: alternate screen, cursor, and lines that go on in the next row. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const leave = '\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l';
/** Terminals that know it show what stands between all at once. */
const begin = '\x1b[?2026h';
const end = '\x1b[?2026l';

/** Milliseconds after an escape character, which begins the sequences of other keys, until it counts as a key. */
const escapeCodeTimeout = 50;

/** Signals that end the process: its terminal, or whoever started it, wants that. */
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

type Output = WriteStream & { readonly fd: number };

interface Hooks {
  key(key: Key): void;
  resize(size: Size): void;
  /** The terminal may show something else: what was drawn is to be drawn again. */
  again(): void;
}

export class Screen {
  readonly #input: ReadStream;
  readonly #output: Output;
  readonly #hooks: Hooks;
  /** What each row shows. */
  #shown: readonly string[] = [];
  #isOpen = false;

  constructor(input: ReadStream, output: Output, hooks: Hooks) {
    this.#input = input;
    this.#output = output;
    this.#hooks = hooks;
  }

  get size(): Size {
    return { columns: this.#output.columns, rows: this.#output.rows };
  }

  open(): void {
    for (const signal of endings) process.on(signal, this.#quit);
    process.on('SIGCONT', this.#resume);
    // What ends the process in another way than by `close` comes by here, before anything is said of it.
    process.on('uncaughtExceptionMonitor', this.close);
    process.on('exit', this.close);
    this.#output.on('resize', this.#resize).on('error', this.#quit);
    this.#input.on('keypress', this.#press).on('end', this.#quit).on('error', this.#quit);
    emitKeypressEvents(this.#input, { escapeCodeTimeout } as unknown as Interface);
    this.#take();
    this.#input.resume();
  }

  /** Writes the rows that are others than before. */
  draw(rows: readonly string[]): void {
    if (!this.#isOpen) return;
    const changed = rows.flatMap((row, i) =>
      row === this.#shown[i] ? [] : [`\x1b[${i + 1};1H\x1b[0m\x1b[2K${row}`],
    );
    this.#shown = rows;
    if (changed.length > 0) this.#output.write(`${begin}${changed.join('')}${end}`);
  }

  /** Twice is once. Never throws. */
  close = (): void => {
    for (const signal of endings) process.off(signal, this.#quit);
    process.off('SIGCONT', this.#resume);
    process.off('uncaughtExceptionMonitor', this.close);
    process.off('exit', this.close);
    this.#output.off('resize', this.#resize);
    this.#input.off('keypress', this.#press).pause();
    this.#giveBack();
  };

  #take(): void {
    this.#isOpen = true;
    this.#shown = [];
    this.#input.setRawMode(true);
    this.#output.write(enter);
  }

  #giveBack(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      // At once, since nothing is written later by a process that ends.
      writeSync(this.#output.fd, leave);
      this.#input.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
  }

  /** Stops as other programs do by that key, until the shell has it go on. */
  #suspend(): void {
    this.#giveBack();
    process.kill(process.pid, 'SIGSTOP');
  }

  readonly #resume = (): void => {
    // Somebody else may have stopped us, and the shell has the terminal as it likes it.
    this.#giveBack();
    this.#take();
    this.#hooks.again();
  };

  readonly #resize = (): void => {
    this.#shown = [];
    this.#hooks.resize(this.size);
  };

  readonly #press = (_character: string | undefined, pressed: Pressed): void => {
    const key = keyOf(pressed);
    if (key === 'suspend') this.#suspend();
    else if (key === 'redraw') this.#resume();
    else if (key !== undefined) this.#hooks.key(key);
  };

  readonly #quit = (): void => this.#hooks.key('quit');
}
