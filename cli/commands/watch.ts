/** `cryoc watch`: what happens, a line each. */
import type { WatchCommand } from '../command.ts';
import { eventWords } from '../words.ts';

/** Columns of the longest name of an event. */
const nameWidth = 17;

export const watch: WatchCommand = {
  name: 'watch',
  arguments: { '[PEER]': 'ID of a peer: only what is about it' },
  options: [{ flags: '--past', help: 'also what the node has kept of what has happened' }],
  help: 'what happens from now on: peers, links, interfaces, neighbors, policy, trust; a line each until it is stopped',
  follows: 'GET /v1/events',
  past: ({ options }) => options.past === true,
  isWanted: ({ peer }, { args: [id] }) => id === undefined || peer === id,
  text: (event) =>
    [event.time, event.event.padEnd(nameWidth), event.peer, eventWords(event)]
      .filter((part) => part)
      .join(' '),
};
