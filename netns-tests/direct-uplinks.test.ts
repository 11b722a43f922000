/** A host with two uplinks, and rules that send what comes from an address by the uplink of that address. */
import assert from 'node:assert/strict';
import { onPath, records } from './lab/direct.ts';
import { counters } from './lab/marks.ts';
import { farEnd } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

const families = {
  ipv4: { ip: 'ip', at: (net: number, host: number) => `10.${net}.0.${host}`, prefix: 24, any: '0.0.0.0/0' },
  ipv6: { ip: 'ip6', at: (net: number, host: number) => `2001:db8:${net}::${host}`, prefix: 64, any: '::/0' },
} as const;

/*
 *   a  .9.2, bootstrap ── router ──┬── .1.2, default ──┐
 *                                  └── .2.2 ─────────── b → a
 */
for (const [family, { ip, at, prefix, any }] of Object.entries(families)) {
  story(`by ${family}, records leave from the address that they come to`, ['nft', 'ping'], async (lab) => {
    const router = await lab.namespace('router');
    const [left, right] = [await lab.namespace('a'), await lab.namespace('b')];
    await router.$`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`;
    for (const [net, host, as] of [
      [9, left, 'eth0'],
      [1, right, 'first'],
      [2, right, 'second'],
    ] as const) {
      await router.configure(
        `link add net${net} type veth peer name ${as} netns ${host.name}`,
        `link set net${net} up`,
        `addr add ${at(net, 1)}/${prefix} dev net${net} nodad`,
      );
      await host.configure(`link set ${as} up`, `addr add ${at(net, 2)}/${prefix} dev ${as} nodad`);
      host.addresses.push(at(net, 2));
    }
    await left.configure(`route add ${any} via ${at(9, 1)}`);
    await right.configure(
      `route add ${any} via ${at(1, 1)} src ${at(1, 2)}`,
      `route add ${any} via ${at(2, 1)} table 2`,
    );
    await right.$`ip ${ip === 'ip6' ? '-6' : '-4'} rule add from ${at(2, 2)} table 2`;
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
           ${ip} daddr ${at(1, 2)} ${records} ${ip} daddr set ${at(2, 2)}
         }
       }`,
    );
    await waitFor(
      'a to send to the second address',
      15_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === at(2, 2),
    );
    await waitFor(
      'b to send from it, too',
      15_000,
      async () => (await b.peer('a'))?.pair?.local.address,
      (address) => address === at(2, 2),
    );
    await waitFor(
      'a to hear nothing of the first any more',
      5_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === at(2, 2),
    );
    await router.$`nft delete table inet moved`;

    await right.rules(
      `table inet leaving {
         counter first {}
         counter second {}
         chain output {
           type filter hook output priority filter;
           ${records} oifname "first" counter name first
           ${records} ${ip} saddr ${at(2, 2)} oifname "second" counter name second
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
    await right.configure(`addr del ${at(2, 2)}/${prefix} dev second`);
    await waitFor(
      'a to send to the first address again',
      5_000,
      async () => (await a.peer('b'))?.pair?.remote.address,
      (address) => address === at(1, 2),
    );
    const { gap } = await train.stop();
    lab.figures.push(`gap of ${gap} ms`);
    assert.ok(gap < 1000, lab.figures.at(-1));
    assert.equal((await b.peer('a'))?.path, 'direct');
  });
}
