/** A story is a test on a laboratory of its own, which is gone afterwards, whatever happened. */
import { test } from 'node:test';
import { Lab } from './lab.ts';
import { lacks, type Need } from './needs.ts';

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
  test(name, { skip: missing.join('; ') || false, timeout }, async (context) => {
    await using lab = new Lab();
    try {
      await tell(lab);
      for (const figure of lab.figures) context.diagnostic(`${name}: ${figure}`);
    } catch (error) {
      console.error(`${name}\n${lab.logTails()}`);
      throw error;
    }
  });
}
