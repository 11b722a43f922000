/** A mesh that gets another token, node by node. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { farEnd, linked, linkTo, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

const [old, next] = ['the-token-of-before-9B', 'the-token-from-now-on-4C'];

/*
 *   a  bootstrap ────────────────────┐
 *   b → a ───────────────────────────┤
 *   c → a ───────────────────────────┤ switch
 *   d → a, later, with the new token ┤
 *   e → a, too late, with the old one┘
 */
story(
  'a mesh changes its token in three steps and loses no packet; then the old one is of no use',
  ['ping'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c', 'd', 'e']);
    const a = new CryonetNode(hosts[0]!, { token: old, listen: true }).start();
    const join = (host: number, token: string) =>
      new CryonetNode(hosts[host]!, { token, bootstrap: [a] }).start();
    const mesh = [a, join(1, old), join(2, old)];
    const [before] = await meshed(mesh);
    const train = Train.start(hosts[0]!, farEnd(linkTo(before!, 'b')));
    await train.arrives();

    /** Has each node that began with the old one read these tokens while it runs. */
    const rotate = async (...tokens: readonly string[]) => {
      for (const node of mesh.slice(0, 3)) {
        const reloads = () => node.program.output.match(/ reloaded .*changed=token/g)?.length ?? 0;
        const known = reloads();
        writeFileSync(node.tokenFile, `${tokens.join('\n')}\n`);
        node.program.signal('SIGHUP');
        await waitFor(`${node.id} to reload`, 10_000, reloads, (count) => count > known);
      }
    };
    await rotate(old, next);
    await rotate(next, old);
    mesh.push(join(3, next));
    await meshed(mesh);
    await rotate(next);

    const late = join(4, old);
    await late.ready();
    const [server] = await waitFor(
      'e to be refused',
      30_000,
      async () => (await late.status()).bootstrap,
      ([each]) => each?.error != null,
    );
    assert.match(server?.error ?? '', /token/);
    assert.equal((await late.status()).peers.length, 0);
    await linked(mesh[3]!, a, 10_000);

    const { lost, sent } = await train.stop();
    assert.deepEqual(lost, []);
    lab.figures.push(`${sent} packets, none lost`);
    for (const node of mesh) assert.ok(![old, next].some((token) => node.program.output.includes(token)));
  },
);
