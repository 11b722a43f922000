/** Machines with many interfaces: which of their addresses become paths. */
import assert from 'node:assert/strict';
import type { Lab } from './lab/lab.ts';
import { linked, losses, pingMesh } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { Switch } from './lab/switch.ts';
import { timed, waitFor } from './lab/wait.ts';

/** Bridges as those of container hosts: the same addresses on each machine, with a port that is up. */
async function bridges(host: Namespace, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => [
    `link add br${i} type bridge`,
    `link add in${i} type veth peer name out${i}`,
    `link set in${i} master br${i} up`,
    `link set out${i} up`,
    `link set br${i} up`,
    `addr add 172.${16 + (i % 16)}.${i}.1/24 dev br${i}`,
  ]);
  await host.configure(...lines.flat());
}

/** A tunnel of another kind to the other host, of a lower ifindex than eth0, as a VPN's is that started first. */
async function vpn(host: Namespace, own: number, other: number): Promise<void> {
  await host.configure(
    `link add vpn0 type vxlan id 7 remote 198.51.100.${other} dstport 4789`,
    'link set vpn0 up',
    `addr add 10.7.0.${own}/24 dev vpn0`,
  );
}

/**
 * Two hosts on a switch, 198.51.100.1 and .2, each with what `before` gave it first.
 *
 *   a  25 bridges, vpn0, eth0 ──┐ switch
 *   b  25 bridges, vpn0, eth0 ──┘
 */
async function hosts(lab: Lab, before: (host: Namespace, own: number) => Promise<void>) {
  const wires = await Switch.make(await lab.namespace('switch'));
  const made: Namespace[] = [];
  for (const [index, label] of ['a', 'b'].entries()) {
    const host = await lab.namespace(label);
    await before(host, index + 1);
    await wires.plug(host, { addresses: [`198.51.100.${index + 1}/24`] });
    made.push(host);
  }
  return made as [Namespace, Namespace];
}

story(
  'twenty-five bridges and a VPN in front of the network card delay no link, and it is the card’s',
  ['ping'],
  async (lab) => {
    const [one, other] = await hosts(lab, async (host, own) => {
      await bridges(host, 25);
      await vpn(host, own, 3 - own);
    });
    const crossed = await waitFor(
      'the VPN to work',
      10_000,
      () => ping(one, '10.7.0.2'),
      ({ received }) => received === 1,
    );
    assert.equal(crossed.received, 1);
    const a = new CryonetNode(one, { listen: true }).start();
    await a.ready(30_000);
    const b = new CryonetNode(other, { bootstrap: [a] }).start();
    await b.ready(30_000);
    const { value: link, milliseconds } = await timed(() => linked(a, b, 15_000));
    lab.figures.push(`linked ${milliseconds} ms after both were ready`);
    assert.deepEqual([link.pair?.local.address, link.pair?.remote.address], ['198.51.100.1', '198.51.100.2']);
    assert.deepEqual(losses(await pingMesh([a, b])), []);
  },
);

story(
  'links keep off the interfaces that are excluded, and say so where there is no other',
  ['ping'],
  async (lab) => {
    const [one, other] = await hosts(lab, (host, own) => vpn(host, own, 3 - own));
    const options = ['--exclude-interfaces', 'eth*'];
    const a = new CryonetNode(one, { listen: true, options }).start();
    const b = new CryonetNode(other, { bootstrap: [a], options }).start();
    const link = await linked(a, b, 30_000);
    assert.deepEqual([link.pair?.local.address, link.pair?.remote.address], ['10.7.0.1', '10.7.0.2']);

    await Promise.all([a.stop(), b.stop()]);
    const c = new CryonetNode(one, { id: 'c', listen: true, options: ['--interfaces', 'eth0'] }).start();
    const d = new CryonetNode(other, {
      id: 'd',
      bootstrap: [c],
      options: ['--exclude-interfaces', 'eth0,vpn?'],
    }).start();
    const refused = await waitFor(
      'd to say why it has no link',
      30_000,
      () => d.peer('c'),
      (peer) => /which is excluded/.test(peer?.reason ?? ''),
    );
    assert.equal(refused?.reason, 'the route to 198.51.100.1 goes through eth0, which is excluded');
  },
);
