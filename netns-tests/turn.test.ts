/** TURN servers that are of no use to one of two nodes, and those whose credentials end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { behind } from './lab/behind.ts';
import { farEnd, linked, linkTo, losses, meshed, outcome, pingMesh } from './lab/mesh.ts';
import { symmetricNat } from './lab/nat.ts';
import { programs } from './lab/programs.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
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
    /turn:turn\.invalid:3478.*(does not resolve|is not resolved)/,
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
      const reports = await meshed([left, right, boot]);
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

story(
  'a relayed link outlives the credentials that it was made with, and loses nothing, where the node has the server’s secret',
  ['turnserver', 'nft', 'ping'],
  async (lab) => {
    // Of a lifetime three quarters are used.
    const secret = ({ stun, addresses }: TurnServer) =>
      `${stun},turn:${addresses[0]}|lab|secret:bluebird|20s`;
    const { left, right } = await behind(
      lab,
      [symmetricNat(), symmetricNat()],
      ['stun'],
      [secret],
      ['--use-auth-secret', '--static-auth-secret=bluebird'],
    );
    const link = await linked(left, right, 60_000);
    assert.equal(link.pair?.local.type, 'relay');
    const train = Train.start(left.namespace, farEnd(link), { interval: 0.05 });
    await train.arrives();
    const before = link.pair.local.port;
    await waitFor(
      'another relay',
      40_000,
      () => left.peer(right.id),
      (peer) => peer?.pair?.local.type === 'relay' && peer.pair.local.port !== before,
    );
    const { sent, lost, gap } = await train.stop();
    lab.figures.push(
      `${sent} pings over two relays, ${lost.length} lost, ${gap} ms between two answers at most`,
    );
    assert.deepEqual(lost, []);
    for (const node of [left, right])
      assert.doesNotMatch(`${node.program.output}${JSON.stringify(await node.status())}`, /bluebird/);
  },
);
