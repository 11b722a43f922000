/** Nodes of different address families: the one has IPv6 alone, the other IPv4. */
import assert from 'node:assert/strict';
import type { Lab } from './lab/lab.ts';
import { linked, losses, outcome, pingMesh } from './lab/mesh.ts';
import { startNat64 } from './lab/nat64.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { Switch } from './lab/switch.ts';
import { startTurnServer } from './lab/turn.ts';
import { waitFor } from './lab/wait.ts';

const ports = { signaling: 2333, turn: 3478 };

/**
 *   six      2001:db8::6 ──────────────┐
 *   four     198.51.100.4 ─────────────┤ switch
 *   plain    198.51.100.5 ─────────────┤
 *   server   198.51.100.1, 2001:db8::1 ┤ STUN, TURN
 *   boot     198.51.100.2, 2001:db8::2 ┘
 */
async function network(lab: Lab) {
  const wires = await Switch.make(await lab.namespace('switch'));
  const host = async (label: string, ...addresses: readonly string[]) => {
    const made = await lab.namespace(label);
    await wires.plug(made, { addresses });
    return made;
  };
  const server = await startTurnServer(await host('server', '198.51.100.1/24', '2001:db8::1/64'));
  const boot = new CryonetNode(await host('boot', '198.51.100.2/24', '2001:db8::2/64'), {
    options: ['--listen', `[::]:${ports.signaling}`],
  }).start();
  return { host, server, boot, wires };
}

const joining = (boot: string, ...servers: readonly string[]) => [
  ...['--ws-servers', `ws://${boot}:${ports.signaling}`],
  ...(servers.length > 0 ? ['--ice-servers', servers.join(',')] : []),
];

story(
  'a node with IPv6 alone has relayed links with those of IPv4, whether these have a TURN server or not',
  ['turnserver', 'ping'],
  async (lab) => {
    const { host, boot } = await network(lab);
    await boot.ready(30_000);
    const user = `:${ports.turn}|lab|secret`;
    const six = new CryonetNode(await host('six', '2001:db8::6/64'), {
      options: joining('[2001:db8::2]', `turn:[2001:db8::1]${user}`),
    }).start();
    const four = new CryonetNode(await host('four', '198.51.100.4/24'), {
      options: joining('198.51.100.2', `turn:198.51.100.1${user}`),
    }).start();
    const plain = new CryonetNode(await host('plain', '198.51.100.5/24'), {
      options: joining('198.51.100.2'),
    }).start();
    for (const other of [four, plain]) assert.equal(outcome(await linked(six, other, 60_000)), 'relayed');
    assert.deepEqual(losses(await pingMesh([six, four])), []);
    assert.deepEqual(losses(await pingMesh([six, plain])), []);
  },
);

/*
 *   six ── 2001:db8:6::/64 ── router ── switch ── four, server
 *                             NAT64
 */
story(
  'a node with IPv6 alone has a direct link through a NAT64, asking a STUN server that has IPv4 alone',
  ['turnserver', 'tayga', 'nft', 'ping'],
  async (lab) => {
    const { host, server, boot, wires } = await network(lab);
    const router = await lab.namespace('router');
    await wires.plug(router, { as: 'wan', addresses: ['198.51.100.6/24', '2001:db8::6/64'] });
    const inside = await Switch.make(router, ['2001:db8:6::1/64']);
    const home = await lab.namespace('six');
    await inside.plug(home, { addresses: ['2001:db8:6::6/64'] });
    await startNat64(router, home, '2001:db8:6::1');
    await boot.namespace.configure('route add 2001:db8:6::/64 via 2001:db8::6');
    await boot.ready(30_000);
    const six = new CryonetNode(home, { options: joining('[2001:db8::2]', server.stun) }).start();
    const four = new CryonetNode(await host('four', '198.51.100.4/24'), {
      options: joining('198.51.100.2', server.stun),
    }).start();
    const link = await linked(six, four, 60_000);
    assert.equal(outcome(link), 'direct');
    assert.equal(link.pair?.remote.address, '2001:db8:64::c633:6404');
    assert.equal((await linked(four, six, 30_000)).pair?.remote.address, '198.51.100.6');
    await waitFor(
      'the direct path',
      30_000,
      () => six.peer('four'),
      (peer) => peer?.path === 'direct',
    );
    assert.deepEqual(losses(await pingMesh([six, four])), []);
    assert.deepEqual((await six.status()).warnings, []);
  },
);
