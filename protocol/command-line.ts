/** What the command lines of the three programs have in common beyond what their library does. */
import type { Command } from 'commander';

type Environment = Readonly<Record<string, string | undefined>>;

/** The variable of an option: `LISTEN` of `--listen`. */
export function environmentName(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase();
}

/** The same beyond doubt: other programs, too, have variables called TOKEN or CONFIG. It wins over the bare name. */
function ownEnvironmentName(flag: string): string {
  return `CRYONET_${environmentName(flag)}`;
}

/** Every name of the variables of these options. */
export function variablesOf(flags: readonly string[]): string[] {
  return flags.flatMap((flag) => [environmentName(flag), ownEnvironmentName(flag)]);
}

/** The options of the dataplane that have a variable: of the node's, all that it is given. */
export const dataplaneFlags = ['webrtc', 'tun-device', 'log-level', 'log-format'] as const;

/** The variable that gives an option its value, if one does. An empty one counts as none. */
export function givenVariable(flag: string, env: Environment): string | undefined {
  return [ownEnvironmentName(flag), environmentName(flag)].find((name) => env[name]);
}

interface Scanned {
  /** One line about an option that takes a value and got none, if there is one. */
  readonly missing: string | undefined;
  /** Whether `--` stands before the first operand: whatever it is, it is meant. */
  readonly meant: boolean;
}

/** Walks over a command line as commander does, which hands an option the next word whatever that is: forgotten, its
 *  value would be another option. `free`: an option whose value may look like one, unless it is one. */
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

/** Without a value: it may be a secret. */
function nameOf(word: string): string {
  return word.split('=', 1)[0]!;
}
