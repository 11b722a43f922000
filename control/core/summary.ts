/** The node on one line, as `systemctl status` shows it: `11 of 12 up; rome down 4m`. */
import { isUp } from './link.ts';
import type { Mesh } from './state.ts';

/** Peers that are named. Those that were lost last come first. */
const maxNamed = 3;

/** `known`: how many nodes there are. Only peers that were linked are named: whatever a member invents, nobody misses. */
export function summaryOf({ links }: Pick<Mesh, 'links'>, known: number, now: number): string {
  if (known === 0) return 'no peers yet';
  const all = [...links.values()];
  const lost = all
    .filter((link) => link.everUp && !isUp(link) && !link.denied && link.downSince !== null)
    .sort((one, other) => other.downSince! - one.downSince!);
  const named = lost.slice(0, maxNamed).map((link) => `${link.peer} down${since(now - link.downSince!)}`);
  const rest = lost.length > maxNamed ? [`${lost.length - maxNamed} more down`] : [];
  const up = `${all.filter(isUp).length} of ${known} up`;
  return named.length === 0 ? up : `${up}; ${[...named, ...rest].join(', ')}`;
}

/** In the largest whole unit, from a minute on: a line that is another each second would be sent as often. */
function since(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return '';
  if (minutes < 60) return ` ${minutes}m`;
  return minutes < 1440 ? ` ${Math.floor(minutes / 60)}h` : ` ${Math.floor(minutes / 1440)}d`;
}
