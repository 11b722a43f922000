/** Completions for bash, zsh and fish, made from the programs' own command lines. */
import type { Command, Option } from 'commander';
import { cryocProgram } from '../cli/program.ts';
import { optionTable } from '../control/config/options.ts';
import { controlProgram } from '../control/config/program.ts';
import { dataplaneProgram } from '../dataplane/options.ts';
import { bashScript } from './completions/bash.ts';
import { fishScript } from './completions/fish.ts';
import type { Completed, CompletedOption } from './completions/program.ts';
import { zshScript } from './completions/zsh.ts';

interface CompletionFile {
  /** Absolute, as installed. */
  readonly path: string;
  readonly text: string;
}

/** Debian's zsh looks into a folder of its own for packages. */
const zshFolder = { deb: '/usr/share/zsh/vendor-completions', rpm: '/usr/share/zsh/site-functions' };

export function completions(format: 'deb' | 'rpm'): CompletionFile[] {
  return programs().flatMap((program) => [
    { path: `/usr/share/bash-completion/completions/${program.name}`, text: bashScript(program) },
    { path: `${zshFolder[format]}/_${program.name}`, text: zshScript(program) },
    { path: `/usr/share/fish/vendor_completions.d/${program.name}.fish`, text: fishScript(program) },
  ]);
}

function programs(): Completed[] {
  const commands = [controlProgram(), dataplaneProgram(), cryocProgram(async () => {})];
  // An option means the same in every program that has it, and so do its choices.
  const choices = new Map(
    commands.flatMap(({ options }) =>
      options.flatMap(({ long, argChoices }) => (long && argChoices ? [[long, argChoices] as const] : [])),
    ),
  );
  return commands.map((command) => completed(command, choices));
}

function completed(command: Command, choices: ReadonlyMap<string, readonly string[]>): Completed {
  const help = command.createHelp();
  return {
    name: command.name(),
    help: command.description(),
    options: help.visibleOptions(command).map((option) => completedOption(option, choices)),
    commands: help
      .visibleCommands(command)
      .map((child) => ({ ...completed(child, choices), words: wordsOf(child, command) })),
  };
}

/** `help` takes the name of another command; others have a list of words. */
function wordsOf(child: Command, parent: Command): string[] {
  if (child.name() === 'help') return parent.commands.map((sibling) => sibling.name());
  return child.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
}

function completedOption(option: Option, choices: ReadonlyMap<string, readonly string[]>): CompletedOption {
  const long = option.long!;
  return {
    long,
    ...(option.short && { short: option.short }),
    // Variables and defaults are for --help.
    help: option.description.replace(/ \((env|default): [^()]*\)$/, ''),
    repeatable: optionTable.some(({ flag, list }) => list === true && long === `--${flag}`),
    value: takenValue(option, choices.get(long)),
  };
}

function takenValue({ flags, required }: Option, choices: readonly string[] | undefined) {
  if (!required) return undefined;
  const placeholder = /<(.+)>/.exec(flags)![1]!;
  if (choices) return { placeholder, choices };
  if (placeholder === 'DIR') return { placeholder, kind: 'folder' } as const;
  if (placeholder === 'FILE' || placeholder === 'SOCKET') return { placeholder, kind: 'file' } as const;
  return { placeholder };
}
