/** Paths that are narrower than what the datachannel sends, and say nothing of it. */
import assert from 'node:assert/strict';
import { linkLocal } from '../dataplane/io/link-local.ts';
import { onPath, printedStatus } from './lab/direct.ts';
import { farEnd } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { Routers } from './lab/routers.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   a ── r1 ══ 1300 ══ r2 ── b      ICMP is dropped
 */
story(
  'over a path of 1300 bytes packets flow from the beginning, and those of all sizes soon',
  ['nft', 'ping'],
  async (lab) => {
    const routers = await Routers.make(lab, ['a', 'b'], 1500);
    await routers.setMtu(1300);
    const [hostOfA, hostOfB] = routers.hosts;
    const a = new CryonetNode(hostOfA, { listen: true }).start();
    const b = new CryonetNode(hostOfB, { bootstrap: [a] }).start();
    const train = Train.start(hostOfA, `${linkLocal('b', 'a')}%cnb`, { interval: 0.02, afterCarrier: 'cnb' });
    await waitFor(
      'the link',
      30_000,
      () => a.peer('b'),
      (peer) => peer?.state === 'up',
    );
    const { milliseconds: direct } = await timed(() => onPath('direct', [a, b], 30_000));
    const far = farEnd(await onPath('direct', [a, b], 30_000));
    // IPv6 and ICMP take 48 bytes: packets of 1280, which the direct path does not take.
    const { milliseconds: long } = await timed(() =>
      waitFor(
        'a packet of 1280 bytes to cross',
        15_000,
        () => ping(hostOfA, far, { size: 1232, count: 1 }),
        ({ received }) => received === 1,
      ),
    );
    const { lost, sent, first } = await train.stop();
    const { received } = await ping(hostOfA, far, { size: 1232, count: 20 });
    lab.figures.push(
      `direct ${direct} ms after the link, 1280 bytes after ${long} ms more, ${lost.length} of ${sent} lost, the first was ${first}`,
    );
    assertSoon(direct, 3000, lab);
    assertSoon(long, 8000, lab);
    assert.ok(lost.length + first - 1 <= 0.04 * (sent + first - 1) + 1, lab.figures.at(-1));
    assert.equal(received, 20);
  },
);

/*
 *   a ── r1 ══ 1240 ══ r2 ── b      ICMP is dropped
 */
story(
  'a path of less than 1280 bytes carries short packets, and the status says that it does not carry long ones',
  ['nft', 'ping'],
  async (lab) => {
    const routers = await Routers.make(lab, ['a', 'b'], 1500);
    await routers.setMtu(1240);
    const [hostOfA, hostOfB] = routers.hosts;
    const a = new CryonetNode(hostOfA, { listen: true }).start();
    const b = new CryonetNode(hostOfB, { bootstrap: [a] }).start();
    const far = farEnd(await onPath('direct', [a, b], 30_000));
    for (const [node, peer] of [
      [a, 'b'],
      [b, 'a'],
    ] as const)
      await waitFor(
        'the words',
        20_000,
        () => printedStatus(node),
        (text) =>
          text.replaceAll(/\s+/g, ' ').includes(`${peer}: narrow-path: packets of 1280 bytes do not arrive`),
      );
    const { received } = await ping(hostOfA, far, { count: 10 });
    assert.equal(received, 10);
    assert.equal((await ping(hostOfA, far, { size: 1232, count: 2 })).received, 0);
  },
);
