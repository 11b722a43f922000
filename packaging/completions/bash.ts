/** A completion for bash that needs nothing but bash. */
import type { Completed, CompletedOption } from './program.ts';

export function bashScript(program: Completed): string {
  const name = `_${program.name.replaceAll('-', '_')}`;
  const all = [program, ...program.commands].flatMap(({ options }) => options);
  return `# bash completion for ${program.name}(1)

${name}() {
  local word=$2 option=$3${program.commands.length === 0 ? '' : " command='' i"}
  COMPREPLY=()

  # Bash cuts --option=value at the equals sign.
  if [[ $word == '=' ]]; then
    word=
  elif [[ $option == '=' ]]; then
    option=\${COMP_WORDS[COMP_CWORD - 2]}
  fi

  case $option in
${[...new Set(valueCases(all))].join('')}  esac

${program.commands.length === 0 ? `  ${offer(flags(program.options))}\n` : commandCases(program)}}

complete -F ${name} ${program.name}
`;
}

function flags(options: readonly CompletedOption[]): string[] {
  return options.flatMap(({ short, long }) => (short ? [short, long] : [long]));
}

function offer(words: readonly string[]): string {
  return `mapfile -t COMPREPLY < <(compgen -W '${words.join(' ')}' -- "$word")`;
}

/** The first word that is neither an option nor what one takes is the command. */
function commandCases({ options, commands }: Completed): string {
  const taking = options.filter(({ value }) => value).map(({ long }) => long);
  const names = commands.map(({ name }) => name);
  return `  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
${taking.length === 0 ? '' : `      ${taking.join(' | ')})\n        [[ \${COMP_WORDS[i + 1]} != '=' ]] || ((++i))\n        ((++i))\n        ;;\n`}      -*) ;;
      *)
        command=\${COMP_WORDS[i]}
        break
        ;;
    esac
  done

  case $command in
${commands.map((child) => `    ${child.name}) ${offer([...flags(child.options), ...child.words])} ;;\n`).join('')}    '') ${offer([...flags(options), ...names])} ;;
  esac
`;
}

/** After an option with a value comes that value, or what cannot be known: nothing. */
function valueCases(options: readonly CompletedOption[]): string[] {
  return options.flatMap(({ long, value }) => {
    if (!value) return [];
    const body = value.choices
      ? [offer(value.choices)]
      : value.kind
        ? [
            // Outside of a completion, where a script asks, there is nothing to set.
            'compopt -o filenames 2>/dev/null',
            `mapfile -t COMPREPLY < <(compgen -${value.kind === 'folder' ? 'd' : 'f'} -- "$word")`,
          ]
        : [];
    return [`    ${long})\n${[...body, 'return'].map((line) => `      ${line}\n`).join('')}      ;;\n`];
  });
}
