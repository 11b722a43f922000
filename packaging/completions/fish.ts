/** A completion for fish. */
import type { Completed, CompletedOption } from './program.ts';

export function fishScript(program: Completed): string {
  const { name, options, commands } = program;
  const alone = commands.length === 0 ? [] : ['-n __fish_use_subcommand'];
  const lines = [
    ['-f'],
    ...options.map((option) => optionWords(option, alone)),
    ...commands.map((child) => [...alone, `-a ${child.name}`, `-d ${quoted(child.help)}`]),
    ...commands.flatMap((child) => {
      const within = [`-n '__fish_seen_subcommand_from ${child.name}'`];
      return [
        ...child.options.map((option) => optionWords(option, within)),
        ...(child.words.length > 0 ? [[...within, `-a '${child.words.join(' ')}'`]] : []),
      ];
    }),
  ];
  return `# fish completion for ${name}(1)\n${lines.map((words) => `complete -c ${name} ${words.join(' ')}\n`).join('')}`;
}

function optionWords({ long, short, help, value }: CompletedOption, condition: readonly string[]): string[] {
  return [
    ...condition,
    ...(short ? [`-s ${short.slice(1)}`] : []),
    `-l ${long.slice(2)}`,
    ...takes(value),
    `-d ${quoted(help)}`,
  ];
}

function takes(value: CompletedOption['value']): string[] {
  if (!value) return [];
  if (value.choices) return ['-x', `-a '${value.choices.join(' ')}'`];
  if (value.kind === 'file') return ['-r', '-F'];
  return value.kind === 'folder' ? ['-x', "-a '(__fish_complete_directories)'"] : ['-x'];
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
