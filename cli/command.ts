/** What a command of `cryoc` is: what it asks the control socket, and how the reply is shown. */
import type { Parameters, Reply, RouteName, StreamName } from '../protocol/api.ts';
import type { NodeEvent } from '../protocol/events.ts';
import type { Terminal } from './terminal.ts';
import type { At } from './watching.ts';

interface CommandLine {
  readonly name: string;
  /** Help by placeholder; one in brackets may be left out. */
  readonly arguments: Readonly<Record<string, string>>;
  /** The words that the first argument may be. */
  readonly words?: readonly string[];
  /** Beside `--json`, which every command has. */
  readonly options: readonly CommandOption[];
  readonly help: string;
}

export interface Command<Name extends RouteName = RouteName> extends CommandLine {
  /** Of the API. The schema of the reply follows from it. */
  readonly route: Name;
  /** Of a command that asks again until the reply is what it waits for. Throws `bad_config` for an option that has a bad
   *  value. */
  wait?(given: Given): Wait<Name>;
  /** Throws `bad_config` where an argument names nothing in the reply, `unavailable` where what is asked for is not there. */
  show(reply: Reply<Name>, given: Given): Shown;
}

/** A command that prints events as they come. With `--json` each is an object on a line. */
export interface WatchCommand extends CommandLine {
  readonly follows: StreamName;
  /** Whether what the node has kept is told first. */
  past(given: Given): boolean;
  isWanted(event: NodeEvent, given: Given): boolean;
  /** Without a newline. */
  text(event: NodeEvent): string;
}

/** A command that does something itself, and asks the node while it does, as often as it needs. What it needs of control is in
 *  `local/`, and loaded only then. */
export interface OwnCommand extends CommandLine {
  /** Resolves with the exit code where it has printed everything itself. Throws like `Command.show`, and what `ask` throws. */
  run(given: Given, ask: Ask, at?: At): Promise<Shown | number>;
}

/** A command that goes on until it is stopped. */
export interface ServingCommand extends CommandLine {
  /** Throws where it cannot begin. */
  serve(given: Given, at: At): Promise<never>;
}

/** Asks the node that the command line names. Throws like `call` of `control-client.ts`; `timeout` in milliseconds. */
export type Ask = <Name extends RouteName>(
  route: Name,
  parameters?: Parameters<Name>,
  timeout?: number,
) => Promise<Reply<Name>>;

export type AnyCommand = Command | WatchCommand | OwnCommand | ServingCommand;

interface CommandOption {
  /** As commander reads them: `--check`, `--peer <ID>`. */
  readonly flags: string;
  readonly help: string;
  readonly repeatable?: true;
}

/** Options of commands that sign as an operator. */
export const signing: readonly CommandOption[] = [
  {
    flags: '--key <FILE>',
    help: 'operator key (default: cryonet/operator.pem in the configuration folder of the user)',
  },
  {
    flags: '--passphrase-file <FILE>',
    help: 'file with its passphrase; - for standard input, which is the default',
  },
];

/** What follows the name of a command. */
export interface Given {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, boolean | string | readonly string[]>>;
}

export interface Wait<Name extends RouteName> {
  /** Milliseconds. */
  readonly timeout: number;
  /** What the reply still lacks, in words; undefined once it is what is waited for. */
  missing(reply: Reply<Name>): string | undefined;
}

export interface Shown {
  /** What `--json` prints. */
  readonly json: unknown;
  /** The same for people; ends with a newline. */
  text(terminal: Terminal): string;
  /** Where to write the text, whole or not at all, instead of printing it. */
  readonly file?: string | undefined;
  /** Of the process; 0 where there is none. */
  readonly exitCode?: number;
}
