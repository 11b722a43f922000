/** What somebody may have meant by a name that is none. */
import { Command } from 'commander';

/** In brackets, for the end of a line: those of `names` that are nearly `name`, as commander judges it. */
export function meantBy(name: string, names: Iterable<string>): string {
  const program = new Command()
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} });
  for (const each of names) program.option(`--${each} <value>`);
  let meant = '';
  try {
    program.parse([`--${name}`], { from: 'user' });
  } catch (error) {
    meant = /\(Did you mean (?:one of )?(.*)\?\)/.exec((error as Error).message)?.[1] ?? '';
  }
  return meant === '' ? '' : ` (${meant.replaceAll('--', '')}?)`;
}
