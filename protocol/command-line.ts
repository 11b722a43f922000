/** What the command lines of the three programs share and commander does not do. */
import type { Command } from 'commander';
import type { Environment } from './paths.ts';

/** The environment variable of an option: `LISTEN` for `--listen`. */
export function environmentName(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase();
}

/** `CRYONET_LISTEN` for `--listen`. It wins over the bare name, because other programs also read variables such as TOKEN
 *  or CONFIG. */
function ownEnvironmentName(flag: string): string {
  return `CRYONET_${environmentName(flag)}`;
}

/** Both variable names of each of these options. */
export function variablesOf(flags: readonly string[]): string[] {
  return flags.flatMap((flag) => [environmentName(flag), ownEnvironmentName(flag)]);
}

/** The options of `cryonet-dataplane` that can be given by a variable. */
export const dataplaneFlags = ['webrtc', 'tun-device', 'log-level', 'log-format'] as const;

/** The name of the variable that gives an option its value, if any does. An empty variable counts as unset. */
export function givenVariable(flag: string, env: Environment): string | undefined {
  return [ownEnvironmentName(flag), environmentName(flag)].find((name) => env[name]);
}

interface Scanned {
  /** The error message about an option that takes a value and got none, if there is one. */
  readonly missing: string | undefined;
  /** Whether `--` stands before the first operand, which is then taken literally. */
  readonly meant: boolean;
}

/** Finds an option whose value was forgotten. Commander takes the next word as the value, even if that is another option.
 *  `free`: an option whose value may start with `--`, unless it is the name of an option. */
export function scanCommandLine(argv: readonly string[], program: Command, free?: string): Scanned {
  const options = [program, ...program.commands].flatMap((each) => each.options);
  const names = new Set(['-h', '--help', '--', ...options.flatMap(({ short, long }) => [short, long])]);
  const isOption = (word: string, of: string) =>
    names.has(nameOf(word)) || (of !== free && /^--[a-z]/.test(word));
  let operands = 0;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return { missing: undefined, meant: operands === 0 };
    const option = options.find(({ short, long }) => word === short || word === long);
    if (option?.required) {
      const value = argv[++i];
      if (value !== undefined && !isOption(value, option.long!)) continue;
      const next = value === undefined ? '' : `: ${nameOf(value)} follows it`;
      return { missing: `${option.flags} takes a value and got none${next}`, meant: false };
    }
    if (!word.startsWith('-')) operands++;
  }
  return { missing: undefined, meant: false };
}

/** The name of an option without `=value`, which may be a secret. */
function nameOf(word: string): string {
  return word.split('=', 1)[0]!;
}
