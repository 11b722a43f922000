/** TURN servers that are of no use to one of two nodes. */
import assert from 'node:assert/strict';
import { behind } from './lab/behind.ts';
import { linkTo, losses, meshed, outcome, pingMesh } from './lab/mesh.ts';
import { symmetricNat } from './lab/nat.ts';
import { story } from './lab/story.ts';
import type { TurnServer } from './lab/turn.ts';

/** What n0 has besides a STUN server. */
const useless: readonly [what: string, turn: (server: TurnServer) => string][] = [
  ['has the wrong credential', ({ turn }) => turn.replace('secret', 'another')],
  ['does not answer', ({ addresses }) => `turn:${addresses[0]}:9|lab|secret`],
  ['has a name that does not resolve', () => 'turn:turn.invalid|lab|secret'],
];

/*
 *   n0 ── symmetric NAT ──┬── boot
 *                         ├── server (STUN, TURN)
 *   n1 ── symmetric NAT ──┘
 */
for (const [what, turn] of useless) {
  story(
    `two nodes that only a relay connects have one through the other’s TURN server where that of one ${what}`,
    ['turnserver', 'nft', 'ping'],
    async (lab) => {
      const { boot, left, right } = await behind(
        lab,
        [symmetricNat(), symmetricNat()],
        ['stun', 'turn'],
        [(server) => `${server.stun},${turn(server)}`],
      );
      const reports = await meshed([left, right, boot], 60_000);
      assert.equal(outcome(linkTo(reports[0]!, right.id)), 'relayed');
      assert.equal(outcome(linkTo(reports[1]!, left.id)), 'relayed');
      assert.deepEqual(losses(await pingMesh([left, right, boot], { count: 5 })), []);
    },
  );
}
