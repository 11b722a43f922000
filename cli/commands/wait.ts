/** `cryoc wait`: until links are up, for scripts that start after a node. */
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError } from '../../protocol/errors.ts';
import type { PeerStatus, StatusReport } from '../../protocol/status.ts';
import type { Command, Given } from '../command.ts';
import { isDown, upOf } from '../peers.ts';
import { stateAndReason } from '../words.ts';

const defaultTimeout = '30s';

export const wait: Command<'GET /v1/status'> = {
  name: 'wait',
  arguments: {},
  options: [
    { flags: '--peers <N>', help: 'until links with so many peers are up' },
    { flags: '--peer <ID>', help: 'until the link with this peer is up; repeatable', repeatable: true },
    { flags: '--timeout <TIME>', help: `give up after that (default: ${defaultTimeout})` },
  ],
  help: 'until links are up; without an option those with all known peers, and one at least',
  route: 'GET /v1/status',
  wait(given) {
    const { timeout = defaultTimeout } = given.options;
    const milliseconds = parseDuration(String(timeout));
    if (milliseconds === undefined)
      throw new CryonetError('bad_config', `--timeout takes a duration such as 30s or 2m, not ${timeout}`);
    const { ids, count } = wanted(given);
    return { timeout: milliseconds, missing: (report) => missing(report, ids, count) };
  },
  show({ peers }) {
    const up = upOf(peers).map(({ id }) => id);
    const down = peers.filter(isDown).map(({ id }) => id);
    return {
      json: { up, down },
      text: () => `${up.length} of ${up.length + down.length} peers are up\n`,
    };
  },
};

interface Wanted {
  readonly ids: readonly string[];
  /** Undefined: all that are known, where none is named. */
  readonly count: number | undefined;
}

function wanted({ options }: Given): Wanted {
  const ids = [options.peer ?? []].flat().map(String);
  const { peers } = options;
  if (peers === undefined) return { ids, count: undefined };
  if (!/^\d{1,6}$/.test(String(peers)))
    throw new CryonetError('bad_config', `--peers takes a number, not ${peers}`);
  return { ids, count: Number(peers) };
}

function missing({ peers }: StatusReport, ids: readonly string[], count: number | undefined) {
  for (const id of ids) {
    const peer = peers.find((each) => each.id === id);
    if (peer === undefined) return `${id} is not known yet`;
    if (peer.state !== 'up') return words(peer);
  }
  const up = upOf(peers).length;
  if (count !== undefined) return up < count ? `${up} of ${count} peers are up` : undefined;
  if (ids.length > 0) return undefined;
  const down = peers.find(isDown);
  if (down !== undefined) return words(down);
  return up === 0 ? 'no peer is known yet' : undefined;
}

function words(peer: PeerStatus): string {
  return `${peer.id} is ${stateAndReason(peer, Date.now())}`;
}
