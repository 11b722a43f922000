/** TURN servers that are of no use to one of two nodes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { behind } from './lab/behind.ts';
import { linkTo, losses, meshed, outcome, pingMesh } from './lab/mesh.ts';
import { symmetricNat } from './lab/nat.ts';
import { programs } from './lab/node.ts';
import { story } from './lab/story.ts';
import type { TurnServer } from './lab/turn.ts';
import { waitFor } from './lab/wait.ts';

/** What n0 has besides a STUN server. */
const useless: readonly [what: string, turn: (server: TurnServer) => string, said: RegExp][] = [
  [
    'has the wrong credential',
    ({ turn }) => turn.replace('secret', 'another'),
    /turn:203\.0\.113\.\d+:3478.*refuses with error 401, Unauthorized/,
  ],
  [
    'does not answer',
    ({ addresses }) => `turn:${addresses[0]}:9|lab|another`,
    /turn:203\.0\.113\.\d+:9.*nothing listens on that UDP port/,
  ],
  [
    'has a name that does not resolve',
    () => 'turn:turn.invalid|lab|another',
    /turn:turn\.invalid:3478.*does not resolve/,
  ],
];

/*
 *   n0 ── symmetric NAT ──┬── boot
 *                         ├── server (STUN, TURN)
 *   n1 ── symmetric NAT ──┘
 */
for (const [what, turn, said] of useless) {
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
      const status = async (): Promise<string> =>
        (await left.namespace.$`${join(programs, 'cryoc')} --runtime-dir ${left.runtimeDirectory} status`)
          .stdout;
      // A name server or a server that is silent is given its time; the link does not wait for that.
      const stdout = await waitFor('the warning', 30_000, status, (text) => /^warning/m.test(text));
      const warnings = stdout.split('\n').filter((line) => line.startsWith('warning'));
      assert.equal(warnings.length, 1, stdout);
      assert.match(warnings[0]!, said);
      assert.doesNotMatch(stdout, /another/);
      assert.deepEqual(reports[1]!.warnings, []);
      assert.deepEqual(losses(await pingMesh([left, right, boot], { count: 5 })), []);
    },
  );
}
