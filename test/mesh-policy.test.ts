import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshConfig } from '../control/core/config.ts';
import type { MeshEvent } from '../control/core/events.ts';
import { fingerprintOf } from './environment.ts';
import { formed, isFullMesh, linked, missing, negotiations, nodeOf, openOf, star } from './mesh-view.ts';
import type { NodeOptions, SimulatedNode } from './simulated-node.ts';
import { pairOf, Simulation } from './simulation.ts';

const minute = 60_000;

/** A star whose nodes have options of their own. */
function starOf(
  seed: number,
  ids: readonly string[],
  options: Readonly<Record<string, NodeOptions>>,
): Simulation {
  const simulation = new Simulation(seed);
  for (const id of ids) simulation.add(id, options[id]);
  for (const id of ids.slice(1)) simulation.dial(nodeOf(simulation, id), ids[0]!);
  return simulation;
}

function deny(...globs: readonly string[]): NodeOptions {
  return { policy: { allow: [], deny: globs } };
}

function isFullBut(simulation: Simulation, a: string, b: string): boolean {
  const nodes = [...simulation.nodes.values()];
  const all = (without: string) => missing(nodes.filter(({ id }) => id !== without)) === undefined;
  return all(a) && all(b);
}

/** Fails when a dataplane is asked to connect these two. */
function forbidConnecting(simulation: Simulation, a: string, b: string): void {
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) {
      const concerned = 'peer' in effect && pairOf(node.id, effect.peer) === pairOf(a, b);
      if (concerned) assert.ok(effect.type !== 'answer' && effect.type !== 'accept', effect.type);
    }
  };
}

for (const [denier, denied] of [
  ['n1', 'n3'],
  ['n3', 'n1'],
] as const) {
  test(`${denier} denies ${denied}: these two never connect, all others do`, () => {
    const simulation = starOf(21, ['n0', 'n1', 'n2', 'n3', 'n4'], { [denier]: deny(denied) });
    forbidConnecting(simulation, denier, denied);
    assert.ok(simulation.until(() => isFullBut(simulation, denier, denied), 10_000) < 3000);
    simulation.pass(5 * minute);
    assert.ok(isFullBut(simulation, denier, denied));
    assert.ok(!nodeOf(simulation, denier).mesh.links.has(denied));
    assert.ok(!nodeOf(simulation, denied).interfaces.has(denier));
    assert.ok(!nodeOf(simulation, denier).interfaces.has(denied));
  });

  test(`${denier} denies ${denied} at a start: the adopted link goes, all others stay as they are`, () => {
    const simulation = formed(22, 5);
    const [a, b] = [nodeOf(simulation, denier), nodeOf(simulation, denied)];
    const before = negotiations(simulation).filter(
      (line) => pairOf(denier, denied) !== pairOf(...(line.split(' ') as [string, string])),
    );
    simulation.restartControl(a, deny(denied));
    assert.ok(!a.interfaces.has(denied), 'gone at once');
    simulation.pass(100);
    assert.deepEqual(openOf(b, a), [], 'the other side sees it');
    simulation.pass(2 * minute);
    assert.ok(!linked(a, b));
    assert.ok(isFullBut(simulation, denier, denied));
    for (const line of before) assert.ok(negotiations(simulation).includes(line), line);
    simulation.restartControl(a);
    assert.ok(
      simulation.until(() => isFullMesh(simulation), minute) < 5000,
      'and back once it is permitted again',
    );
  });
}

for (const [denier, denied] of [
  ['n1', 'n3'],
  ['n3', 'n1'],
] as const) {
  test(`${denier}, while it runs, denies ${denied} and permits it again: no other link notices`, () => {
    const simulation = formed(26, 5);
    const [a, b] = [nodeOf(simulation, denier), nodeOf(simulation, denied)];
    const others = () =>
      negotiations(simulation).filter(
        (line) => pairOf(denier, denied) !== pairOf(...(line.split(' ') as [string, string])),
      );
    const before = others();
    simulation.happen(a, changed(a, { policy: { allow: [], deny: [denied] } }));
    assert.ok(!a.interfaces.has(denied), 'gone at once');
    assert.ok(simulation.until(() => b.mesh.links.get(denier)?.shown === 'denied', minute) < 5000);
    simulation.pass(2 * minute);
    assert.ok(!linked(a, b));
    simulation.happen(a, changed(a, { policy: { allow: [], deny: [] } }));
    assert.ok(simulation.until(() => linked(a, b), minute) < 2000, 'back at once');
    assert.deepEqual(others(), before);
    assert.ok(isFullMesh(simulation));
  });
}

test('intervals that change while a node runs count from then on, also for what was due by those of before', () => {
  const simulation = formed(28, 4);
  const [n1, n2] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const { checkInterval, forgetAfter, aliveInterval } = n1.mesh.config;
  assert.ok(checkInterval >= 10_000 && aliveInterval >= 20_000 && forgetAfter >= minute);
  const shorter = { checkInterval: 500, aliveInterval: 1000, forgetAfter: 4000 };
  simulation.happen(n1, changed(n1, shorter));
  simulation.kill(n2, 3000);
  const knows = () => n1.mesh.membership.members.has('n2') || n1.mesh.links.has('n2');
  const took = simulation.until(() => !knows(), minute);
  assert.ok(took >= 3000 && took < 10_000, `${took} ms`);
  simulation.happen(n1, changed(n1, { checkInterval, forgetAfter, aliveInterval }));
  simulation.pass(2 * minute);
  assert.ok(linked(n1, nodeOf(simulation, 'n0')) && linked(n1, nodeOf(simulation, 'n3')));
});

test('a list of allowed peers that comes while a node runs ends all links but those', () => {
  const simulation = formed(27, 5);
  const n1 = nodeOf(simulation, 'n1');
  simulation.happen(n1, changed(n1, { policy: { allow: ['n0', 'n4'], deny: [] } }));
  simulation.pass(minute);
  const peers = [...simulation.nodes.values()].filter((node) => node !== n1 && linked(n1, node));
  assert.deepEqual(
    peers.map(({ id }) => id),
    ['n0', 'n4'],
  );
  assert.deepEqual([...n1.interfaces].sort(), ['n0', 'n4']);
});

test('the side that offers is told that it is denied', () => {
  const simulation = starOf(23, ['n0', 'n1', 'n3'], { n1: deny('n3') });
  simulation.pass(5000);
  const link = nodeOf(simulation, 'n3').mesh.links.get('n1')!;
  assert.equal(link.shown, 'denied');
  assert.match(link.reason, /policy/);
  assert.ok(nodeOf(simulation, 'n3').notices.includes('info denied by the peer n1'));
});

test('a node that allows only some peers links with those alone', () => {
  const simulation = starOf(24, ['n0', 'n1', 'n2', 'x1', 'x2'], {
    n1: { policy: { allow: ['x*', 'n0'], deny: ['x2'] } },
  });
  simulation.pass(minute);
  const n1 = nodeOf(simulation, 'n1');
  const peers = ['n0', 'n2', 'x1', 'x2'].filter((id) => linked(n1, nodeOf(simulation, id)));
  assert.deepEqual(peers, ['n0', 'x1']);
  assert.deepEqual([...n1.interfaces].sort(), ['n0', 'x1']);
});

test('a denied pair keeps trying in moderation: at most seven floods a minute from either', () => {
  for (const denier of ['n1', 'n3']) {
    const simulation = starOf(25, ['n0', 'n1', 'n2', 'n3'], {
      [denier]: deny(denier === 'n1' ? 'n3' : 'n1'),
    });
    simulation.pass(2 * minute);
    const own = new Map<string, number>();
    simulation.watch = (node, event, effects) => {
      if (event.type === 'message') return;
      const floods = new Set(
        effects.flatMap((effect) =>
          effect.type === 'send' && effect.message.type === 'flood' ? [effect.message] : [],
        ),
      );
      own.set(node.id, (own.get(node.id) ?? 0) + floods.size);
    };
    simulation.pass(10 * minute);
    for (const [id, floods] of own) assert.ok(floods <= 70, `${id}: ${floods} floods in ten minutes`);
  }
});

/** Routes of the open connections of a pair, from both ends. */
function routes(a: SimulatedNode, b: SimulatedNode): string[] {
  const of = (node: SimulatedNode, peer: string) =>
    (node.connections.get(peer) ?? []).filter(({ open }) => open).map(({ route }) => route);
  return [...of(a, b.id), ...of(b, a.id)];
}

for (const [name, options] of [
  ['the offerer', { n3: { turn: true } }],
  ['the answerer', { n1: { turn: true } }],
  ['both', { n1: { turn: true }, n3: { turn: true } }],
] as const) {
  test(`a pair without a path is relayed within two and a half seconds where ${name} has a TURN server, and better once it can be`, () => {
    const simulation = starOf(26, ['n0', 'n1', 'n2', 'n3'], options);
    const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n3')];
    simulation.unreachable.add(pairOf('n1', 'n3'));
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 2500);
    assert.deepEqual(routes(a, b), ['relay', 'relay']);
    assert.ok(
      [...simulation.nodes.values()].every(
        (node) => node === a || node === b || !routes(node, a).includes('relay'),
      ),
    );
    simulation.pass(5 * minute);
    assert.deepEqual(routes(a, b), ['relay', 'relay'], 'and stays so');

    simulation.unreachable.clear();
    let sharedAt = Number.POSITIVE_INFINITY;
    simulation.watch = () => {
      if (routes(a, b).includes('shared')) sharedAt = Math.min(sharedAt, simulation.now);
      assert.equal(a.mesh.links.get('n3')!.shown, 'up', 'never down on the way');
      assert.equal(b.mesh.links.get('n1')!.shown, 'up');
      assert.ok(a.interfaces.has('n3') && b.interfaces.has('n1'));
    };
    const took = simulation.until(() => routes(a, b).join() === 'shared,shared', 5 * minute);
    assert.ok(took <= 120_000 + 10_000 + 2000, `took ${took} ms`);
    assert.ok(simulation.now - sharedAt < 1200, 'the relay goes a second after its replacement came');
    assert.ok(isFullMesh(simulation));
  });
}

test('a relayed pair that loses its relay has another within three seconds', () => {
  const simulation = starOf(27, ['n0', 'n1', 'n3'], { n3: { turn: true } });
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n3')];
  simulation.unreachable.add(pairOf('n1', 'n3'));
  simulation.until(() => isFullMesh(simulation), minute);
  for (let i = 0; i < 5; i++) {
    simulation.pass(30_000);
    simulation.loseLink(a, b, 0);
    simulation.pass(10);
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
  }
});

test('a shared path that dies for good is replaced by a relay', () => {
  const simulation = starOf(28, ['n0', 'n1', 'n3'], { n1: { turn: true } });
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n3')];
  simulation.until(() => isFullMesh(simulation), minute);
  assert.deepEqual(routes(a, b), ['shared', 'shared']);
  simulation.pass(minute);
  simulation.unreachable.add(pairOf('n1', 'n3'));
  simulation.loseLink(a, b, 0);
  simulation.pass(10);
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
  assert.deepEqual(routes(a, b), ['relay', 'relay']);
});

test('where a shared path works no relay is ever tried, whoever has TURN servers', () => {
  const simulation = star(29, 0);
  simulation.add('n0', { turn: true });
  for (let i = 1; i < 8; i++) simulation.dial(simulation.add(`n${i}`, { turn: true }), 'n0');
  simulation.watch = (_node, _event, effects) => {
    for (const effect of effects) if (effect.type === 'offer') assert.equal(effect.route, 'shared');
  };
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000);
  simulation.pass(5 * minute);
});

test('without any TURN server a pair without a path is tried at a moderate pace, and nobody else minds', () => {
  const simulation = starOf(30, ['n0', 'n1', 'n2', 'n3'], {});
  simulation.unreachable.add(pairOf('n1', 'n3'));
  assert.ok(simulation.until(() => isFullBut(simulation, 'n1', 'n3'), minute) < 3000);
  simulation.pass(minute);
  const before = negotiations(simulation);
  let offers = 0;
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) {
      if (effect.type !== 'offer') continue;
      assert.equal(pairOf(node.id, effect.peer), 'n1 n3');
      assert.equal(effect.route, 'shared');
      offers++;
    }
  };
  simulation.pass(10 * minute);
  assert.ok(offers >= 10 && offers <= 60, `${offers} offers in ten minutes`);
  assert.deepEqual(negotiations(simulation), before);
});

test('another node with the same ID and another key is nobody to those who know the first, and disturbs no link', () => {
  const simulation = formed(31, 5);
  const before = negotiations(simulation);
  const twin = simulation.add('n1', { key: 'thief', apart: true });
  const x9 = simulation.add('x9');
  // x9 has never heard of n1: it believes the one that comes first, as long as it lives.
  simulation.connect(twin, x9);
  simulation.pass(500);
  assert.ok(x9.mesh.membership.members.has('n1'));
  simulation.dial(x9, 'n2');
  simulation.pass(2 * minute);
  for (const line of before) assert.ok(negotiations(simulation).includes(line), line);
  const others = [...simulation.nodes.values()].filter(({ id }) => id !== 'n1');
  assert.equal(missing(others), undefined, 'x9 has links with all the others');
  assert.ok(!linked(x9, nodeOf(simulation, 'n1')));
  for (const node of others) {
    if (node === x9) continue;
    const words = node.warnings.get('identity n1') ?? '';
    // By x9 or, where its own floods come through, by itself.
    assert.ok(words.includes(fingerprintOf(twin.key)), `${node.id}: ${words}`);
    assert.ok(words.includes(`its key here is ${fingerprintOf(nodeOf(simulation, 'n1').key)}`), words);
  }
});

test('a twin whose key is known to be another is refused after a restart of control, too', () => {
  const simulation = formed(32, 4);
  const n2 = nodeOf(simulation, 'n2');
  simulation.kill(nodeOf(simulation, 'n1'), 1000);
  simulation.pass(2 * minute);
  simulation.restartControl(n2);
  simulation.pass(5000);
  const twin = simulation.add('n1', { key: 'thief', apart: true });
  simulation.connect(twin, n2);
  simulation.pass(minute);
  assert.ok(!n2.mesh.membership.members.has('n1'));
  assert.ok(!n2.interfaces.has('n1'));
  simulation.disconnect(twin, [...twin.sockets.keys()][0]!);
  simulation.dial(simulation.add('n1'), 'n0');
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 3000, 'the true one is welcome');
});

function changed({ mesh }: SimulatedNode, changes: Partial<MeshConfig>): MeshEvent {
  return { type: 'config', config: { ...mesh.config, ...changes } };
}
