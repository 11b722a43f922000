/** Sends to the journal that standard error leads to. */
import { fstatSync } from 'node:fs';
import { loadServiceAddon } from './native.ts';

const journalSocket = '/run/systemd/journal/socket';

/** Undefined where standard error is not the journal's (sd_journal_stream_fd(3)): a redirection, or a container. The function
 *  throws where the journal does not take an entry. */
export function toJournal(
  { JOURNAL_STREAM: stream }: Readonly<Record<string, string | undefined>> = process.env,
  socket = journalSocket,
  descriptor = 2,
): ((entry: string) => void) | undefined {
  if (stream === undefined || stream === '') return undefined;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    if (stream !== `${dev}:${ino}`) return undefined;
  } catch {
    return undefined;
  }
  return (entry) => loadServiceAddon().notify(socket, entry);
}
