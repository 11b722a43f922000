/** A completion for zsh, by its _arguments. */
import type { Completed, CompletedOption } from './program.ts';

export function zshScript(program: Completed): string {
  const { commands } = program;
  const own = program.options.map(specification);
  const rest =
    commands.length === 0
      ? ['1:ID: ']
      : [`1:command:((${commands.map(described).join(' ')}))`, '*:: :->rest'];
  return `#compdef ${program.name}

local curcontext="$curcontext" state line
typeset -A opt_args

_arguments -C -s -S \\
${[...own, ...(takesId(program) || commands.length > 0 ? rest : [])].map(quoted).join(' \\\n')}
${commands.length === 0 ? '' : commandCases(commands)}`;
}

/** `cryonet` alone is given an argument. */
function takesId({ name }: Completed): boolean {
  return name === 'cryonet';
}

function commandCases(commands: Completed['commands']): string {
  const cases = commands.map(({ name, options, words }) => {
    const parts = [
      ...options.map(specification),
      ...(words.length > 0 ? [`1:command:(${words.join(' ')})`] : []),
    ];
    return `    ${name})
      _arguments -s -S \\
${parts.map((part) => `      ${quoted(part)}`).join(' \\\n')}
      ;;
`;
  });
  return `
if [[ $state == rest ]]; then
  case $line[1] in
${cases.join('')}  esac
fi
`;
}

/** `--option=[help]:PLACEHOLDER:what to offer`; = allows both --option=value and --option value. */
function specification({ long, short, help, repeatable, value }: CompletedOption): string {
  const text = `[${escaped(help)}]`;
  const takes = value ? `:${value.placeholder}:${action(value)}` : '';
  const flag = `${long}${value ? '=' : ''}`;
  if (short) return `(${short} ${long})'{${short},${flag}}'${text}${takes}`;
  return `${repeatable ? '*' : ''}${flag}${text}${takes}`;
}

function action({ choices, kind }: NonNullable<CompletedOption['value']>): string {
  if (choices) return `(${choices.join(' ')})`;
  return kind === 'file' ? '_files' : kind === 'folder' ? '_files -/' : ' ';
}

function described({ name, help }: Completed): string {
  return `${name}\\:"${escaped(help)}"`;
}

function escaped(text: string): string {
  return text.replace(/[\\[\]:"]/g, '\\$&').replaceAll("'", "'\\''");
}

function quoted(text: string): string {
  return `  '${text}'`;
}
