/** A host with two uplinks, whose default route moves from one to the other and back. */
import assert from 'node:assert/strict';
import { onPath } from './lab/direct.ts';
import { farEnd } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { takeUplink, twoUplinks } from './lab/uplinks.ts';
import { assertSoon, waitFor } from './lab/wait.ts';

/*
 *   a  .9.2, bootstrap ── router ──┬── .1.2, default ──┐
 *                                  └── .2.2 ─────────── b → a
 *                            takes by either what comes from its own network alone (BCP 38)
 */
for (const family of ['ip', 'ip6'] as const) {
  const name = { ip: 'IPv4', ip6: 'IPv6' }[family];
  story(
    `by ${name}, a link follows the default route to another uplink, whether the one before still brings packets or not`,
    ['nft', 'ping'],
    async (lab) => {
      const { router, left, right, first, second } = await twoUplinks(lab, family);
      await router.rules(
        `table inet provider {
           chain prerouting {
             type filter hook prerouting priority filter;
             ip6 saddr fe80::/10 accept
             fib saddr . iif oif missing drop
           }
         }`,
      );
      const a = new CryonetNode(left, { listen: true }).start();
      const b = new CryonetNode(right, { bootstrap: [a] }).start();
      const before = await onPath('direct', [a, b], 30_000);
      const train = Train.start(left, farEnd(before));
      await train.arrives();
      const followed = async (address: string) => {
        await waitFor(
          'either end to be on the other uplink',
          10_000,
          async () => [(await a.peer('b'))?.pair?.remote.address, (await b.peer('a'))?.pair?.local.address],
          (addresses) => addresses.every((each) => each === address),
        );
        await train.arrives();
      };

      await takeUplink(right, second, family);
      await followed(second.address);
      // Back again, and the second one is dead.
      await router.rules(
        `table inet dead {
           chain forward {
             type filter hook forward priority filter;
             iifname "net2" drop
             oifname "net2" drop
           }
         }`,
      );
      await takeUplink(right, first, family);
      await followed(first.address);
      const { gap, sent, lost } = await train.stop();
      lab.figures.push(`a gap of ${gap} ms at most, ${lost.length} of ${sent} pings lost over both moves`);
      assertSoon(gap, 3000, lab);
      assert.equal((await a.peer('b'))?.interface?.index, before.interface.index);
    },
  );
}
