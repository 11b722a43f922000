/** What a command of `cryoc` is: what it asks the control socket, and how the reply is shown. */
import type { ControlPath, Reply } from '../protocol/control.ts';
import type { Terminal } from './terminal.ts';

export interface Command<Path extends ControlPath = ControlPath> {
  readonly name: string;
  /** Help by placeholder; one in brackets may be left out. */
  readonly arguments: Readonly<Record<string, string>>;
  readonly help: string;
  /** Of the control socket. The schema of the reply follows from it. */
  readonly path: Path;
  /** Throws `bad_config` where an argument names nothing in the reply. */
  show(reply: Reply<Path>, args: readonly string[]): Shown;
}

interface Shown {
  /** What `--json` prints. */
  readonly json: unknown;
  /** The same for people; ends with a newline. */
  text(terminal: Terminal): string;
}
