/** What core tells those who watch the node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkChanges } from '../control/core/link-changes.ts';
import { sha256 } from '../control/io/crypto.ts';
import { peerStatuses } from '../control/status.ts';
import type { LinkReport } from '../protocol/dataplane.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

const device = {
  ...{ name: 'cnb', index: 7, mtu: 1280, carrier: true },
  ...{ address: 'fe80::1', peerAddress: 'fe80::2' },
};

const up: LinkReport = {
  ...{ peer: 'b', state: 'up', reason: '', active: null, connections: [], path: 'direct' },
  ...{ pair: null, interface: device },
};
const relay = { type: 'relay', address: '192.0.2.1', port: 1 } as const;

/** As `event about`. */
function said(before: LinkReport | null, after: LinkReport | null, reason?: string): string[] {
  return linkChanges('b', before, after, reason).map(({ event, peer, ...rest }) => {
    assert.equal(peer, 'b');
    return [event, ...Object.values(rest)].filter((part) => part !== '').join(' ');
  });
}

const changes: readonly [
  what: string,
  before: LinkReport | null,
  after: LinkReport | null,
  told: string[],
][] = [
  ['comes up', null, up, ['interface.added cnb 1280 fe80::1', 'link.up cnb direct']],
  [
    'has an interface, and is not up',
    null,
    { ...up, state: 'connecting' },
    ['interface.added cnb 1280 fe80::1'],
  ],
  ['is as it was', up, up, []],
  ['is lost', up, { ...up, state: 'lost', reason: 'no answer', path: null }, ['link.lost cnb no answer']],
  ['is gone', up, null, ['link.lost cnb denied', 'interface.removed cnb']],
  [
    'takes another path',
    up,
    { ...up, path: 'datachannel', pair: { local: relay, remote: relay } },
    ['link.path cnb relayed direct'],
  ],
  ['has another MTU', up, { ...up, interface: { ...device, mtu: 1420 } }, ['mtu.changed cnb 1420 1280']],
  ['has lost its address', up, { ...up, interface: { ...device, address: '' } }, ['interface.address cnb']],
  [
    'has another interface',
    up,
    { ...up, interface: { ...device, name: 'cnc', index: 8 } },
    ['interface.removed cnb', 'interface.added cnc 1280 fe80::1'],
  ],
];

for (const [what, before, after, told] of changes) {
  test(`a link that ${what}: ${told.join(', ') || 'nothing'}`, () => {
    assert.deepEqual(said(before, after, after === null ? 'denied' : ''), told);
  });
}

/** As `event peer`, of the kinds that are not about interfaces. */
function published({ published }: SimulatedNode): string[] {
  return published
    .filter(({ event }) => !/^(interface|mtu)\./.test(event))
    .map(({ event, peer = '' }) => `${event} ${peer}`.trim());
}

function pair() {
  const simulation = new Simulation(1);
  const [a, b] = [simulation.add('a'), simulation.add('b')];
  simulation.dial(a, 'b');
  simulation.until(() => a.interfaces.has('b') && b.interfaces.has('a'), 10_000);
  simulation.pass(1000);
  return { simulation, a, b };
}

test('a peer is learned, linked, and says goodbye', () => {
  const { simulation, a, b } = pair();
  const first = ['dataplane.up', 'link.up b', 'neighbor.up b', 'peer.learned b', 'trust.pinned b'];
  assert.deepEqual(published(a).toSorted(), first);
  a.published.length = 0;
  simulation.stop(b);
  simulation.pass(1000);
  const told = published(a);
  assert.ok(
    told.indexOf('peer.left b') >= 0 && told.indexOf('peer.left b') < told.indexOf('link.lost b'),
    `${told}`,
  );
  assert.equal(a.published.find(({ event }) => event === 'link.lost')?.reason, 'the peer has left');
  assert.equal(told.filter((line) => line === 'neighbor.down b').length, 1);
});

test('a peer that falls silent is lost, then forgotten', () => {
  const { simulation, a, b } = pair();
  a.published.length = 0;
  simulation.kill(b, 3000);
  simulation.pass(180_000);
  const told = published(a).filter((line) => !line.startsWith('neighbor'));
  assert.deepEqual(told, ['link.lost b', 'peer.forgotten b']);
});

test('a control that starts again adopts its link, and tells of no change', () => {
  const { simulation, a } = pair();
  a.published.length = 0;
  simulation.restartControl(a);
  simulation.pass(1000);
  const told = published(a);
  assert.ok(told.includes('link.adopted b'), `${told}`);
  assert.ok(!told.some((line) => /^link\.(up|lost|path)/.test(line)), `${told}`);
});

test('a policy that changes denies and permits by name', () => {
  const { simulation, a, b } = pair();
  const change = (deny: string[]) => {
    a.published.length = 0;
    simulation.happen(a, { type: 'config', config: { ...a.mesh.config, policy: { allow: [], deny } } });
  };
  change(['b']);
  assert.deepEqual(
    published(a).filter((line) => !line.startsWith('neighbor')),
    ['policy.denied b', 'link.lost b'],
  );
  simulation.pass(5000);
  assert.ok(published(b).includes('policy.denied a'));
  change([]);
  assert.ok(published(a).includes('policy.permitted b'));
});

test('a link that loses much or is slow is told once, and once when it is good again', () => {
  const { simulation, a } = pair();
  a.published.length = 0;
  const measured = (loss: number, rtt: number, probes = 20) => {
    simulation.happen(a, { type: 'figures', links: [{ peer: 'b', loss, rtt, minRtt: 20, probes }] });
    return a.published.splice(0).map((told) => [told.event, told.reason, told.loss, told.rtt]);
  };
  const isDegraded = () => peerStatuses(a.mesh, [], sha256).find(({ id }) => id === 'b')!.degraded;
  assert.deepEqual(measured(0.09, 79), [], 'within the limits');
  assert.deepEqual(measured(0.5, 30, 19), [], 'of too few');
  assert.deepEqual(measured(0.12, 30), [['link.degraded', '12 % lost', 0.12, 0.03]]);
  assert.equal(isDegraded(), true);
  assert.deepEqual(measured(0.4, 200), [], 'it was told');
  assert.deepEqual(measured(0.05, 30), [], 'not good enough yet');
  assert.deepEqual(measured(0.03, 30), [['link.recovered', undefined, 0.03, 0.03]]);
  assert.equal(isDegraded(), false);
  assert.deepEqual(measured(0, 81.5), [['link.degraded', 'round trip 82 ms', 0, 0.0815]]);
  assert.deepEqual(measured(0, 40), [['link.recovered', undefined, 0, 0.04]]);
});

test('figures are asked for at each check while a link is up', () => {
  const { simulation, a } = pair();
  let asked = 0;
  simulation.watch = (node, _event, effects) => {
    if (node === a) asked += effects.filter(({ type }) => type === 'measure').length;
  };
  simulation.pass(30_000);
  assert.equal(asked, 3);
});
