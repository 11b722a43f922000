/** A mesh that gets another token, node by node. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { tokenTag } from '../control/io/crypto.ts';
import { farEnd, linked, linkTo, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

const [old, next] = ['the-token-of-before-9B', 'the-token-from-now-on-4C'];
/** Ten lose nothing either, and take a processor half a minute. */
const members = Number(process.env.CRYONET_LAB_MEMBERS ?? 4);

/*
 *   a  bootstrap ──────────────────────┐
 *   b, c, d → a ───────────────────────┤ switch
 *   late → a, too late, with the old ──┘
 */
story(
  'a mesh changes its token by cryoc in three steps and loses no packet; then the old one is of no use',
  ['ping'],
  async (lab) => {
    const ids = Array.from({ length: members }, (_, at) => String.fromCharCode(97 + at));
    const { hosts } = await lan(lab, [...ids, 'late']);
    const a = new CryonetNode(hosts[0]!, { token: old, listen: true }).start();
    const start = (host: number) => new CryonetNode(hosts[host]!, { token: old, bootstrap: [a] }).start();
    const mesh = [a, ...ids.slice(1).map((_, at) => start(at + 1))];
    const [before] = await meshed(mesh);
    const trains = ids.slice(1).map((id) => Train.start(hosts[0]!, farEnd(linkTo(before!, id))));
    for (const train of trains) await train.arrives();

    const token = async ({ controlSocket }: CryonetNode, action: string, what: string, input = '') => {
      const words = ['--socket', controlSocket, 'token', action, what];
      const { stdout } = await shell({ input })`${join(programs, 'cryoc')} ${words}`;
      assert.ok(![old, next].some((secret) => stdout.includes(secret)), stdout);
      return stdout;
    };
    const [oldTag, nextTag] = [await tokenTag(old), await tokenTag(next)];
    for (const node of mesh) await token(node, 'add', '-', next);
    for (const node of mesh) await token(node, 'use', nextTag);
    for (const node of mesh) assert.match(await token(node, 'drop', oldTag), /^dropped /);

    const late = start(members);
    await late.ready();
    const [server] = await waitFor(
      'the last to be refused',
      30_000,
      async () => (await late.status()).bootstrap,
      ([each]) => each?.error != null,
    );
    assert.match(server?.error ?? '', /token/);
    assert.equal((await late.status()).peers.length, 0);
    await token(late, 'add', '-', next);
    await token(late, 'use', nextTag);
    await linked(late, a, 30_000);

    let packets = 0;
    for (const train of trains) {
      const { lost, sent } = await train.stop();
      assert.deepEqual(lost, []);
      packets += sent;
    }
    lab.figures.push(`${members} nodes, ${packets} packets, none lost`);
    for (const node of [...mesh, late])
      assert.ok(![old, next].some((secret) => node.program.output.includes(secret)));
  },
);
