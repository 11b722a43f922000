/** A router that dials anew and does not forget the connections of before. */
import { onPath } from './lab/direct.ts';
import { Internet } from './lab/internet.ts';
import { farEnd } from './lab/mesh.ts';
import { coneNat } from './lab/nat.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   b ── cone NAT ── a  bootstrap
 *        gets another address; what b's UDP port sends to a leaves from the old one for ever
 */
story(
  'a node whose mapping is dead for as long as it is used takes another port',
  ['nft', 'ping'],
  async (lab) => {
    const internet = await Internet.make(lab);
    const a = new CryonetNode(await internet.publicHost('a'), { listen: true }).start();
    const [home] = await internet.home(coneNat(), 'b');
    const b = new CryonetNode(home!, { bootstrap: [a] }).start();
    const there = farEnd(await onPath('direct', [a, b], 30_000));
    const train = Train.start(a.namespace, there);
    await train.arrives();
    const address = await internet.redial(b.namespace);
    const { milliseconds } = await timed(() =>
      waitFor(
        'b at its new address',
        100_000,
        async () => [await a.peer('b'), await b.peer('a')],
        (ends) => ends.every((end) => end?.state === 'up') && ends[0]!.pair?.remote.address === address,
      ),
    );
    await train.arrives();
    const { gap } = await train.stop();
    lab.figures.push(`up after ${milliseconds} ms, a gap of ${gap} ms`);
    assertSoon(gap, 60_000, lab);
  },
);
