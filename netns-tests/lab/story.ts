/** A story is a test on a laboratory of its own, which is gone afterwards, whatever happened. */
import { test } from 'node:test';
import { Lab } from './lab.ts';
import { lacks, type Need } from './needs.ts';
import { Late } from './wait.ts';

/** On a machine that has other work as well: what is to be fast is asserted by the story itself. */
const boundMilliseconds = 300_000;

/** Runs `tell` as a test. Skipped, with the reason, where the machine lacks something; a failed one shows the
 *  logs of its programs. `timeout` in milliseconds, for what takes long by its nature. */
export function story(
  name: string,
  needs: readonly Need[],
  tell: (lab: Lab) => Promise<void>,
  timeout = boundMilliseconds,
): void {
  const missing = lacks(needs).map(({ what, remedy }) => `needs ${what} (${remedy})`);
  test(name, { skip: missing.join('; ') || false, timeout }, (context) =>
    told(name, tell, (line) => context.diagnostic(line)),
  );
}

/** Tells a story in a laboratory of its own; at most so many times, where all that is wrong is that something was late.
 *  What is always late fails. `say` gets the figures of all times. */
export async function told(
  name: string,
  tell: (lab: Lab) => Promise<void>,
  say: (line: string) => void,
  times = 3,
): Promise<void> {
  for (let time = 1; ; time++) {
    await using lab = new Lab();
    try {
      await tell(lab);
      for (const figure of lab.figures) say(`${name}: ${figure}`);
      return;
    } catch (error) {
      if (!(error instanceof Late) || time === times) {
        console.error(`${name}\n${lab.logTails()}`);
        throw error;
      }
      say(`${name}: told again: ${error.message}`);
    }
  }
}
