/** A node whose clock is set while it runs. */
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import { OwnClock } from './lab/clock.ts';
import { onPath } from './lab/direct.ts';
import { farEnd, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

const day = 86_400;
/** Milliseconds: two pings of a datachannel, and some of each other timer that a link has. */
const round = 5000;

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch; the clock of b alone is a day ahead, then a day behind, then right
 *   c → a, late ───┘
 */
suite('both mostly wait', { concurrency: true }, () => {
  for (const [path, options] of [
    ['direct', []],
    ['datachannel', ['--no-direct']],
  ] as const) {
    story(
      `by ${path}, nothing is lost while a node’s clock is set a day ahead and back, and a newcomer is linked with it`,
      ['cc', 'ping'],
      async (lab) => {
        const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
        const clock = await OwnClock.make(lab);
        const a = new CryonetNode(hosts[0]!, { listen: true, options });
        const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options, through: clock.through });
        const c = new CryonetNode(hosts[2]!, { bootstrap: [a], options });
        for (const node of [a, b]) node.start();
        const link = await onPath(path, [a, b], 30_000);
        const before = await a.peer('b');
        const train = Train.start(a.namespace, farEnd(link));
        await train.arrives();
        for (const ahead of [day, -day, 0]) {
          clock.set(ahead);
          const set = performance.now();
          await waitFor(
            'the node to run on for a while',
            round + 10_000,
            () => performance.now() - set,
            (passed) => passed > round,
          );
          const { node } = await b.status();
          assert.ok(node.uptime < 120, `up for ${node.uptime} s`);
          if (ahead >= 0) continue;
          c.start();
          await meshed([a, b, c]);
          const [, said] = /^(\S+) .*link up peer=c/m.exec(b.program.output)!;
          assert.ok(Math.abs(Date.parse(said!) / 1000 - ahead - Date.now() / 1000) < 60, `it was ${said}`);
        }
        const { lost, sent } = await train.stop();
        lab.figures.push(`${lost.length} of ${sent} pings lost`);
        assert.deepEqual(lost, []);
        const after = await a.peer('b');
        assert.equal(after?.path, path);
        // It is worked out anew each time, from a steady clock and that of the system.
        assert.ok(
          Math.abs(after.since - before!.since) < 1000,
          `since ${before!.since}, then ${after.since}`,
        );
        assert.doesNotMatch(b.program.output, /link lost|peer left|neighbor gone/);
      },
    );
  }
});
