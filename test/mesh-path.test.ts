/** `path` of a peer: which connections are offered and answered, by either end's wish, and while nodes run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshConfig } from '../control/core/config.ts';
import type { MeshEvent } from '../control/core/events.ts';
import { newPeerSections, type PathWish, type PeerSettings } from '../control/core/peer-settings.ts';
import type { Policy } from '../control/core/policy.ts';
import { sha256 } from '../control/io/crypto.ts';
import { peerStatuses } from '../control/status.ts';
import type { CandidatePair } from '../protocol/status.ts';
import { linked, negotiations, nodeOf, star } from './mesh-view.ts';
import type { NodeOptions, SimulatedNode } from './simulated-node.ts';
import { pairOf, Simulation } from './simulation.ts';

const minute = 60_000;

function policy(sections: Readonly<Record<string, PeerSettings>>): Policy {
  const list = Object.entries(sections).map(([pattern, settings]) => ({ pattern, settings }));
  return { allow: [], deny: [], peers: newPeerSections(list) };
}

/** `n0`, and nodes that know it alone. */
function starOf(seed: number, options: Readonly<Record<string, NodeOptions>>): Simulation {
  const simulation = new Simulation(seed);
  for (const id of ['n0', 'n1', 'n2', 'n3']) simulation.add(id, options[id]);
  for (const id of ['n1', 'n2', 'n3']) simulation.dial(nodeOf(simulation, id), 'n0');
  return simulation;
}

function routes(a: SimulatedNode, b: SimulatedNode): string[] {
  const of = (node: SimulatedNode, peer: string) =>
    (node.connections.get(peer) ?? []).filter(({ open }) => open).map(({ route }) => route);
  return [...of(a, b.id), ...of(b, a.id)];
}

function reason(node: SimulatedNode, peer: string): string {
  const { reason: ours, farReason } = peerStatuses(node.mesh, [], sha256).find(({ id }) => id === peer)!;
  return `${ours} | ${farReason}`;
}

function changed({ mesh }: SimulatedNode, changes: Partial<MeshConfig>): MeshEvent {
  return { type: 'config', config: { ...mesh.config, ...changes } };
}

/** n3 offers to n1. */
const ends = [
  ['n1', 'n3'],
  ['n3', 'n1'],
] as const;

for (const [wishing, other] of ends) {
  for (const turn of [['n1'], ['n3'], ['n1', 'n3']]) {
    test(`${wishing} wants relayed paths to ${other} alone, ${turn} has a TURN server: no other is opened, and no other link minds`, () => {
      const simulation = starOf(41, {
        [turn[0]!]: { turn: true },
        ...(turn[1] && { [turn[1]]: { turn: true } }),
        [wishing]: { turn: turn.includes(wishing), policy: policy({ [other]: { path: 'relay' } }) },
      });
      const [a, b] = [nodeOf(simulation, wishing), nodeOf(simulation, other)];
      simulation.watch = () => assert.ok(!routes(a, b).includes('shared'));
      assert.ok(simulation.until(() => linked(a, b), minute) < 6000);
      simulation.pass(5 * minute);
      assert.deepEqual(routes(a, b), ['relay', 'relay']);
      const others = [...simulation.nodes.values()].filter((node) => node !== a && node !== b);
      for (const each of others)
        for (const end of [a, b]) assert.deepEqual(routes(each, end), ['shared', 'shared']);
    });
  }

  test(`${wishing} wants a relayed path to ${other}, and nobody has a TURN server: it says so, and offers stay few`, () => {
    const simulation = starOf(42, { [wishing]: { policy: policy({ [other]: { path: 'relay' } }) } });
    const [a, b] = [nodeOf(simulation, wishing), nodeOf(simulation, other)];
    simulation.pass(minute);
    assert.match(
      reason(a, other),
      /^our configuration wants relayed paths alone to this peer, and neither node has/,
    );
    if (other === 'n3') assert.match(reason(b, wishing), /its configuration wants relayed paths alone here/);
    let offers = 0;
    simulation.watch = (_node, _event, effects) => {
      for (const effect of effects) {
        assert.notEqual(effect.type, 'answer');
        if (effect.type === 'offer') offers++;
      }
    };
    simulation.pass(10 * minute);
    assert.ok(offers <= 80, `${offers} offers in ten minutes`);
    assert.ok(!linked(a, b) && !a.interfaces.has(other) && !b.interfaces.has(wishing));
  });

  test(`${wishing} wants no relay to ${other}: none is offered or answered where nothing else leads there`, () => {
    const simulation = starOf(43, {
      n1: { turn: true },
      n3: { turn: true },
      [wishing]: { turn: true, policy: policy({ 'n?': { path: 'direct' } }) },
    });
    const [a, b] = [nodeOf(simulation, wishing), nodeOf(simulation, other)];
    simulation.unreachable.add(pairOf('n1', 'n3'));
    simulation.watch = (node, _event, effects) => {
      for (const effect of effects)
        if (effect.type === 'answer' && [a, b].includes(node)) assert.notEqual(effect.route, 'relay');
    };
    simulation.pass(2 * minute);
    assert.deepEqual(routes(a, b), []);
    assert.notEqual(reason(a, other), ' | ');
    simulation.unreachable.clear();
    assert.ok(simulation.until(() => linked(a, b), minute) < 20_000);
    assert.deepEqual(routes(a, b), ['shared', 'shared']);
  });

  test(`${wishing} wants a relay and ${other} none: there is no link, and both say why`, () => {
    const simulation = starOf(44, {
      [wishing]: { turn: true, policy: policy({ [other]: { path: 'relay' } }) },
      [other]: { turn: true, policy: policy({ [wishing]: { path: 'direct' } }) },
    });
    const [a, b] = [nodeOf(simulation, wishing), nodeOf(simulation, other)];
    simulation.pass(2 * minute);
    assert.deepEqual(routes(a, b), []);
    for (const [node, peer] of [
      [a, other],
      [b, wishing],
    ] as const)
      assert.match(reason(node, peer), /configuration wants (relayed paths alone|no relayed path)/);
  });

  test(`${wishing}, while it runs, wants a relayed path to ${other}, then a direct one, then any: no other link notices`, () => {
    const simulation = starOf(45, { n1: { turn: true }, n3: { turn: true } });
    const [a, b] = [nodeOf(simulation, wishing), nodeOf(simulation, other)];
    simulation.direct.add(pairOf('n1', 'n3'));
    simulation.until(() => linked(a, b), minute);
    simulation.pass(5000);
    const others = () => negotiations(simulation).filter((line) => !/^n[13] n[13] /.test(line));
    const before = others();
    const want = (path: PathWish) =>
      simulation.happen(a, changed(a, { policy: policy({ [other]: { path } }) }));
    simulation.direct.clear();
    want('relay');
    assert.ok(!a.interfaces.has(other), 'gone at once');
    assert.ok(simulation.until(() => routes(a, b).join() === 'relay,relay', minute) < 10_000);
    simulation.pass(minute);
    assert.deepEqual(routes(a, b), ['relay', 'relay']);
    want('direct');
    assert.ok(simulation.until(() => routes(a, b).join() === 'shared,shared', minute) < 10_000);
    want('relay');
    assert.ok(simulation.until(() => routes(a, b).join() === 'relay,relay', minute) < 10_000);
    want('any');
    assert.ok(simulation.until(() => routes(a, b).join() === 'shared,shared', 5 * minute) < 140_000);
    assert.deepEqual(others(), before);
  });
}

test('a control that starts with another wish ends the link that it finds, and makes the one that is wanted', () => {
  const simulation = starOf(46, { n1: { turn: true }, n3: { turn: true } });
  const [a, b] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n1')];
  simulation.until(() => linked(a, b), minute);
  simulation.pass(5000);
  simulation.restartControl(a, { turn: true, policy: policy({ n1: { path: 'relay' } }) });
  assert.ok(simulation.until(() => routes(a, b).join() === 'relay,relay', minute) < 10_000);
});

const candidate = (type: string) => `candidate:1 1 UDP 1 192.0.2.1 5000 typ ${type} raddr 0.0.0.0 rport 0`;

test('with a wish, candidates of the other kind are neither tried nor told', () => {
  for (const [path, turn, tried, told] of [
    ['any', true, ['host', 'srflx', 'relay'], ['host', 'srflx', 'relay']],
    ['direct', true, ['host', 'srflx'], ['host', 'srflx', 'relay']],
    ['relay', true, ['relay'], ['relay']],
    ['relay', false, ['host', 'srflx', 'relay'], ['host', 'srflx', 'relay']],
  ] as const) {
    const simulation = starOf(47, {
      n1: { turn },
      n3: { turn, policy: policy({ n1: { path } }) },
    });
    const [a, b] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n1')];
    simulation.until(() => a.mesh.links.get('n1')?.heard === true, minute);
    const attempt = () => [...(a.mesh.links.get('n1')?.attempts.values() ?? [])][0];
    if (path === 'relay' && !turn) continue;
    simulation.until(() => attempt()?.state.phase === 'open', minute);
    const { negotiation } = attempt()!;
    const seen: string[] = [];
    simulation.watch = (node, _event, effects) => {
      for (const effect of effects)
        if (node === a && effect.type === 'add-candidate') seen.push(/typ (\w+)/.exec(effect.candidate)![1]!);
    };
    for (const type of ['host', 'srflx', 'relay'])
      simulation.happen(b, { type: 'candidate', peer: 'n3', negotiation, candidate: candidate(type) });
    for (const type of ['host', 'srflx', 'relay'])
      simulation.happen(a, { type: 'candidate', peer: 'n1', negotiation, candidate: candidate(type) });
    const { local } = a.mesh.links.get('n1')!.attempts.get(negotiation)!;
    assert.deepEqual(
      local.map((each) => /typ (\w+)/.exec(each)![1]),
      told,
    );
    simulation.pass(2000);
    assert.deepEqual(seen, tried);
  }
});

test('a pair that is not relayed, where only a relay is wanted, is closed and not tried again for a while', () => {
  const simulation = starOf(48, { n1: {}, n3: { turn: true, policy: policy({ n1: { path: 'relay' } }) } });
  const [a, b] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n1')];
  simulation.until(() => linked(a, b), minute);
  const end = (type: 'host' | 'relay') => ({ type, address: '192.0.2.1', port: 1 });
  const report = (pair: CandidatePair) => {
    const link = a.mesh.links.get('n1')!;
    simulation.happen(a, { type: 'link', report: { ...link.report!, pair } });
  };
  report({ local: end('relay'), remote: end('host') });
  assert.ok(linked(a, b), 'one end at a relay is enough');
  report({ local: end('host'), remote: end('host') });
  let offers = 0;
  simulation.watch = (_node, _event, effects) => {
    offers += effects.filter(({ type }) => type === 'offer').length;
  };
  simulation.pass(20_000);
  assert.equal(offers, 0);
  assert.match(reason(a, 'n1'), /and the pair that was found is not relayed/);
  assert.ok(simulation.until(() => linked(a, b), 2 * minute) < 70_000, 'and tried again then');
});

test('a peer that offers what is not wanted as fast as it can is refused in moderation, and no link minds', () => {
  const simulation = star(49, 4);
  const [a, hostile] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n3')];
  simulation.until(() => linked(a, hostile), minute);
  simulation.happen(a, changed(a, { policy: policy({ n3: { path: 'relay' } }) }));
  let rejects = 0;
  simulation.watch = (node, event, effects) => {
    if (node !== a || event.type !== 'message') return;
    rejects += effects.filter((effect) => effect.type === 'send').length;
  };
  const link = () => hostile.mesh.links.get('n1');
  for (let i = 0; i < 600; i++) {
    const own = link();
    if (own !== undefined) {
      for (const { negotiation } of [...own.attempts.values()])
        simulation.happen(hostile, { type: 'ended', peer: 'n1', negotiation, reason: '' });
      own.shared.retryAt = simulation.now;
    }
    simulation.pass(100);
  }
  assert.deepEqual(routes(a, hostile), []);
  assert.ok(rejects < 400, `${rejects} messages in a minute`);
  assert.ok(linked(a, nodeOf(simulation, 'n2')));
});
