/** Prints what a command watches, across restarts of the node, until it is stopped or nobody reads it any more. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { exitCode } from '../protocol/errors.ts';
import { type EventId, eventIdText } from '../protocol/events.ts';
import type { Given, WatchCommand } from './command.ts';
import { mayAnswerLater } from './control-client.ts';
import { follow, type Message } from './event-stream.ts';
import { printable, printableLine } from './printable.ts';

/** Milliseconds between two tries to reach a node that is gone. */
const retryPause = 1000;

const before: EventId = { epoch: 0, number: 0 };

/** Calls a function with the path of the node's socket. */
export type At = <T>(ask: (socketPath: string) => Promise<T>) => Promise<T>;

/** Throws what `follow` throws where the node cannot be watched from the start, or not any more for a reason that does not
 *  pass. */
export async function watchOn(command: WatchCommand, given: Given, at: At): Promise<never> {
  process.stdout.on('error', () => process.exit(exitCode.ok));
  const last = command.past(given) ? eventIdText(before) : undefined;
  return followOn(at, { last, isPatient: false }, async ({ event }) => {
    if (event === undefined || !command.isWanted(event, given)) return;
    const line = given.options.json ? printableLine(event) : `${printable(command.text(event))}\n`;
    if (!process.stdout.write(line)) await once(process.stdout, 'drain');
  });
}

interface From {
  /** The ID of the event that was told last; undefined for what comes from now on. */
  readonly last: string | undefined;
  /** Waits for a node that is not there from the start. */
  readonly isPatient: boolean;
}

/** Takes each message of a node's events, across restarts of the node. Throws as `watchOn` does. */
export async function followOn(
  at: At,
  { last: from, isPatient }: From,
  take: (message: Message) => Promise<void>,
): Promise<never> {
  let last = from;
  let isKnown = isPatient;
  const followed = async (socketPath: string) => {
    for await (const message of follow(socketPath, last)) {
      isKnown = true;
      last = message.id ?? last;
      await take(message);
    }
  };
  for (;;) {
    try {
      await at(followed);
    } catch (error) {
      if (!isKnown || !mayAnswerLater(error)) throw error;
    }
    await pause(retryPause);
  }
}
