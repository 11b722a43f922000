/** `cryoc netcheck`: how the networks here treat UDP, and what that means for links. */
import { exitCode } from '../../protocol/errors.ts';
import type { OwnCommand } from '../command.ts';
import { renderNetcheck } from '../render-netcheck.ts';

/** Milliseconds: the node takes twelve seconds at most. */
const timeout = 15_000;

export const netcheck: OwnCommand = {
  name: 'netcheck',
  arguments: {},
  options: [
    {
      flags: '--stun <HOST:PORT>',
      help: 'ask this server instead of those of the configuration; two say more than one; repeatable',
      repeatable: true,
    },
  ],
  help: 'how networks here treat UDP: NAT, firewall, IPv6, MTU, and what peers are told of this node; ends with 3 where no server answers',
  async run({ options }, ask) {
    const stun = [options.stun ?? []].flat().map(String);
    // Says within two seconds where nobody answers at all.
    const { peers } = await ask('GET /v1/status');
    const found = await ask('POST /v1/netcheck', stun.length === 0 ? {} : { stun }, timeout);
    const paths = peers.flatMap(({ pathMtu }) => pathMtu ?? []);
    const isBlocked = found.families.every(({ servers }) => servers.every(({ mapped }) => mapped === null));
    return {
      json: found,
      text: (terminal) => renderNetcheck(found, paths, terminal),
      exitCode: isBlocked ? exitCode.down : exitCode.ok,
    };
  },
};
