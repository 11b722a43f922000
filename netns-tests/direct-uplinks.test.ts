/** A host with two uplinks, and rules that send what comes from an address by the uplink of that address. */
import assert from 'node:assert/strict';
import { onPath, records } from './lab/direct.ts';
import { counters } from './lab/marks.ts';
import { farEnd } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { families, twoUplinks } from './lab/uplinks.ts';
import { assertSoon, waitFor } from './lab/wait.ts';

/*
 *   a  .9.2, bootstrap ── router ──┬── .1.2, default ──┐
 *                                  └── .2.2 ─────────── b → a
 */
for (const family of ['ip', 'ip6'] as const) {
  const name = { ip: 'ipv4', ip6: 'ipv6' }[family];
  story(`by ${name}, records leave from the address that they come to`, ['nft', 'ping'], async (lab) => {
    const { router, left, right, first: usual, second: other } = await twoUplinks(lab, family);
    await right.configure(`route add ${families[family].any} via ${other.gateway} table 2`);
    await right.$`ip ${family === 'ip6' ? '-6' : '-4'} rule add from ${other.address} table 2`;
    const a = new CryonetNode(left, { listen: true }).start();
    const b = new CryonetNode(right, { bootstrap: [a] }).start();
    const there = await onPath('direct', [a, b], 30_000);
    const back = await onPath('direct', [b, a], 5_000);
    const train = Train.start(left, farEnd(there));
    await train.arrives();

    // What is sent to the first address comes to the second, until its answers have told a of that one.
    await router.rules(
      `table inet moved {
         chain prerouting {
           type filter hook prerouting priority raw;
           ${family} daddr ${usual.address} ${records} ${family} daddr set ${other.address}
         }
       }`,
    );
    await waitFor(
      'a to send to the second address',
      15_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === other.address,
    );
    await waitFor(
      'b to send from it, too',
      15_000,
      async () => (await b.peer('a'))?.pair?.local.address,
      (address) => address === other.address,
    );
    await waitFor(
      'a to hear nothing of the first any more',
      5_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === other.address,
    );
    await router.$`nft delete table inet moved`;

    await right.rules(
      `table inet leaving {
         counter first {}
         counter second {}
         chain output {
           type filter hook output priority filter;
           ${records} oifname "first" counter name first
           ${records} ${family} saddr ${other.address} oifname "second" counter name second
         }
       }`,
    );
    const flood = { count: 500, interval: 0.002 };
    assert.equal((await ping(left, farEnd(there), flood)).received, 500);
    assert.equal((await ping(right, farEnd(back), flood)).received, 500);
    const { first, second } = await counters(right);
    lab.figures.push(`${second} records by the second uplink, ${first} by the first`);
    assert.equal(first, 0, lab.figures.at(-1));
    assert.ok(second! >= 1000, lab.figures.at(-1));

    // Nothing is answered from an address that is gone.
    await right.configure(`addr del ${other.address}/${families[family].prefix} dev second`);
    await waitFor(
      'a to send to the first address again',
      5_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === usual.address,
    );
    const { gap } = await train.stop();
    lab.figures.push(`gap of ${gap} ms`);
    assertSoon(gap, 1000, lab);
    assert.equal((await b.peer('a'))?.path, 'direct');
  });
}
