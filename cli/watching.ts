/** Prints what a command watches, across restarts of the node, until it is stopped or nobody reads it any more. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { exitCode } from '../protocol/errors.ts';
import { type EventId, eventIdText } from '../protocol/events.ts';
import type { Given, WatchCommand } from './command.ts';
import { mayAnswerLater } from './control-client.ts';
import { follow } from './event-stream.ts';
import { printable, printableLine } from './printable.ts';

/** Milliseconds between two tries to reach a node that is gone. */
const retryPause = 1000;

const before: EventId = { epoch: 0, number: 0 };

/** `at` calls a function with the path of the node's socket. Throws what `follow` throws where the node cannot be watched
 *  from the start, or not any more for a reason that does not pass. */
export async function watchOn(
  command: WatchCommand,
  given: Given,
  at: <T>(ask: (socketPath: string) => Promise<T>) => Promise<T>,
): Promise<never> {
  process.stdout.on('error', () => process.exit(exitCode.ok));
  let last = command.past(given) ? eventIdText(before) : undefined;
  let isKnown = false;
  const print = async (socketPath: string) => {
    for await (const { id, event } of follow(socketPath, last)) {
      isKnown = true;
      last = id ?? last;
      if (event === undefined || !command.isWanted(event, given)) continue;
      const line = given.options.json ? printableLine(event) : `${printable(command.text(event))}\n`;
      if (!process.stdout.write(line)) await once(process.stdout, 'drain');
    }
  };
  for (;;) {
    try {
      await at(print);
    } catch (error) {
      if (!isKnown || !mayAnswerLater(error)) throw error;
    }
    await pause(retryPause);
  }
}
