/** Nodes whose clock is behind that of their last start. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OwnClock } from './lab/clock.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

const year = 365 * 86_400_000;

/** Milliseconds until `b` is linked with both others, at each end. */
async function linked(b: CryonetNode, others: readonly CryonetNode[], bound: number): Promise<number> {
  const start = performance.now();
  await waitFor(
    'b to be linked with both, at each end',
    bound,
    () => Promise.all(others.flatMap((other) => [b.peer(other.id), other.peer(b.id)])),
    (seen) => seen.every((peer) => peer?.state === 'up'),
  );
  return Math.round(performance.now() - start);
}

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch; b's clock was a year ahead, is right again, and `epoch` is lost
 *   c → a ─────────┘
 */
for (const end of ['says goodbye', 'is killed'] as const) {
  story(`a node that ${end} and comes back with an earlier epoch is linked in seconds`, [], async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
    const a = new CryonetNode(hosts[0]!, { listen: true });
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] });
    const c = new CryonetNode(hosts[2]!, { bootstrap: [a] });
    const epochFile = join(b.stateDirectory, 'epoch');
    writeFileSync(epochFile, `${Date.now() + year}\n`);
    for (const node of [a, b, c]) node.start();
    await linked(b, [a, c], 20_000);
    const before = Number(readFileSync(epochFile, 'utf8'));
    if (end === 'says goodbye') {
      assert.equal((await b.stop()).code, 0);
      await a.says(/peer left peer=b/);
      await c.says(/peer left peer=b/);
    } else {
      await b.kill();
    }
    rmSync(epochFile);
    b.start();
    await b.ready();
    const took = await linked(b, [a, c], 15_000);
    lab.figures.push(`linked ${took} ms after it was ready`);
    assert.equal(Number(readFileSync(epochFile, 'utf8')), before + 1);
    await b.says(/the mesh knows a start of this node that was 36[45] days later/);
    await a.says(/its epoch is 36[45] days earlier than that of its last start/);
  });
}

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch; b's clock is right, and then that of a machine without one
 *   c → a ─────────┘
 */
story(
  'a node that comes back in 1970 is linked in seconds, with its file `epoch` and without',
  ['cc'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
    const clock = await OwnClock.make(lab);
    const a = new CryonetNode(hosts[0]!, { listen: true });
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a], through: clock.through });
    const c = new CryonetNode(hosts[2]!, { bootstrap: [a] });
    const epochFile = join(b.stateDirectory, 'epoch');
    const epoch = () => Number(readFileSync(epochFile, 'utf8'));
    for (const node of [a, b, c]) node.start();
    await linked(b, [a, c], 20_000);
    clock.set(-Math.floor(Date.now() / 1000));
    for (const isKept of [true, false]) {
      const before = epoch();
      assert.equal((await b.stop()).code, 0);
      if (!isKept) rmSync(epochFile);
      b.start();
      await b.ready();
      const took = await linked(b, [a, c], 15_000);
      lab.figures.push(`${isKept ? 'with' : 'without'} it linked ${took} ms after it was ready`);
      assert.equal(epoch(), before + 1);
      assert.match(b.program.output, /^1970-01-01T/m);
    }
    await b.says(/the mesh knows a start of this node that was \d{5} days later/);
  },
);
