/** `cryoc watch`: what happens, a line each. */
import type { NodeEvent } from '../../protocol/events.ts';
import type { WatchCommand } from '../command.ts';

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
    [event.time, event.event.padEnd(nameWidth), event.peer, words(event)].filter((part) => part).join(' '),
};

function words(event: NodeEvent): string {
  const { interface: device, path, pathBefore, mtu, mtuBefore, address, reason, leftOut } = event;
  const { applied = [], needsRestart = [], version } = event;
  return [
    device,
    pathBefore === undefined ? path : `${pathBefore} → ${path}`,
    mtuBefore === undefined ? mtu && `MTU ${mtu}` : `MTU ${mtuBefore} → ${mtu}`,
    address,
    version,
    applied.length > 0 && `changed: ${applied.join(' ')}`,
    needsRestart.length > 0 && `after a restart: ${needsRestart.join(' ')}`,
    reason && `(${reason})`,
    leftOut && `and ${leftOut} more like this`,
  ]
    .filter((part) => part)
    .join(' ');
}
