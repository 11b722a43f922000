import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../control/io/crypto.ts';
import { peerStatuses } from '../control/status.ts';
import { formed, isFullMesh, linked, missing, negotiations, nodeOf, openOf, star } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, Simulation } from './simulation.ts';

const minute = 60_000;
const never = Number.POSITIVE_INFINITY;

/** Fails if the dataplane of any node is asked to close anything from now on, but for links with `dead`. */
function forbidClosing(simulation: Simulation, dead = ''): void {
  simulation.watch = (node, event, effects) => {
    for (const effect of effects) {
      if ('peer' in effect && effect.peer === dead) continue;
      assert.ok(
        effect.type !== 'close' && effect.type !== 'remove',
        `${node.id}: ${event.type} led to ${effect.type}`,
      );
    }
  };
}

function comesBack(simulation: Simulation, limit: number): void {
  const took = simulation.until(() => isFullMesh(simulation), limit);
  const pair = missing(simulation.nodes.values());
  assert.ok(Number.isFinite(took), `not linked after ${limit} ms: ${pair?.map(({ id }) => id)}`);
}

/**
 *        n0
 *      / | \
 *    n1  n2  … n5        n9 knows n3 alone
 */
test('a late joiner that knows any node is linked with all, and disturbs no link', () => {
  const simulation = formed(3, 6);
  const before = negotiations(simulation);
  forbidClosing(simulation);
  simulation.dial(simulation.add('n9'), 'n3');
  comesBack(simulation, 2000);
  for (const each of before) assert.ok(negotiations(simulation).includes(each));
});

test('without the bootstrap node all other links stay, new ones are made, and lost ones come back through the mesh', () => {
  const simulation = formed(4, 6);
  simulation.kill(nodeOf(simulation, 'n0'), 5000);
  const before = negotiations(simulation);
  forbidClosing(simulation, 'n0');
  simulation.pass(30_000);
  assert.deepEqual(negotiations(simulation), before);
  simulation.watch = undefined;
  simulation.loseLink(nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2'), 0);
  simulation.pass(50);
  assert.ok(!linked(nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')));
  comesBack(simulation, 1000);
  simulation.dial(simulation.add('n9'), 'n5');
  comesBack(simulation, 2000);
});

test('an offer that cannot be answered is rejected, and tried again long before it would have timed out', () => {
  const simulation = star(5, 2);
  simulation.cannotAnswer.add('n0');
  simulation.pass(500);
  const link = nodeOf(simulation, 'n1').mesh.links.get('n0')!;
  assert.ok(link.shared.failures > 0 && link.attempts.size === 0, 'the offerer was told');
  assert.equal(link.reason, 'the peer could not answer: bad description', 'in its own words');
  simulation.cannotAnswer.clear();
  comesBack(simulation, 3000);
});

/**
 *    a0 ─ a1, a2         b0 ─ b1, b2
 *     └───────── cut ─────────┘
 */
test('two halves that lose their only WebSocket before they have links are one mesh once it is back', () => {
  const simulation = new Simulation(5);
  for (const half of ['a', 'b']) {
    const hub = simulation.add(`${half}0`);
    for (const i of [1, 2]) simulation.connect(simulation.add(`${half}${i}`), hub);
  }
  const [a, b] = [nodeOf(simulation, 'a0'), nodeOf(simulation, 'b0')];
  simulation.dial(a, 'b0');
  simulation.at(22, () => simulation.cutSockets(a, b));
  simulation.pass(10_000);
  assert.ok(!isFullMesh(simulation));
  const half = (letter: string) => [...simulation.nodes.values()].filter(({ id }) => id.startsWith(letter));
  for (const letter of ['a', 'b'])
    assert.equal(missing(half(letter)), undefined, 'each half is a mesh of its own');
  assert.ok(!half('a').some((one) => half('b').some((other) => linked(one, other))));
  simulation.cut.clear();
  comesBack(simulation, 5000);
});

for (const [seconds, limit, why] of [
  [10, 11_000, 'what was tried in vain has its ten seconds, the next try follows at once'],
  [45, 21_000, 'the tries were ten seconds apart by then'],
  [300, 5000, 'both halves had forgotten each other, and learn of each other anew'],
] as const) {
  test(`a partition of ${seconds} seconds that takes links and WebSockets heals within ${limit / 1000} seconds: ${why}`, () => {
    const simulation = formed(6, 8);
    const nodes = [...simulation.nodes.values()];
    for (const a of nodes.slice(0, 4)) {
      for (const b of nodes.slice(4)) {
        simulation.cutSockets(a, b);
        simulation.unreachable.add(pairOf(a.id, b.id));
        simulation.loseLink(a, b, 5000);
      }
    }
    simulation.pass(seconds * 1000);
    assert.equal(missing(nodes.slice(0, 4)), undefined);
    for (const a of nodes.slice(0, 4)) for (const b of nodes.slice(4)) assert.ok(!linked(a, b));
    simulation.cut.clear();
    simulation.unreachable.clear();
    comesBack(simulation, limit);
  });
}

test('a control that starts again adopts its links: the same negotiations, nothing closed, nobody notices', () => {
  for (const id of ['n0', 'n3', 'n5']) {
    const simulation = formed(7, 6);
    const before = negotiations(simulation);
    const notices = new Map([...simulation.nodes.values()].map((node) => [node, node.notices.length]));
    forbidClosing(simulation);
    simulation.restartControl(nodeOf(simulation, id));
    comesBack(simulation, 100);
    assert.deepEqual(negotiations(simulation), before);
    simulation.pass(2 * minute);
    assert.deepEqual(negotiations(simulation), before, 'two minutes later');
    for (const [node, count] of notices) {
      if (node.id !== id)
        assert.deepEqual(
          node.notices.slice(count).filter((line) => /link/.test(line)),
          [],
          node.id,
        );
    }
  }
});

test('all controls start again, one after the other and at once: no link is disturbed', () => {
  const simulation = formed(8, 5);
  const before = negotiations(simulation);
  forbidClosing(simulation);
  for (const node of simulation.nodes.values()) {
    simulation.restartControl(node);
    simulation.pass(300);
  }
  for (const node of simulation.nodes.values()) simulation.restartControl(node);
  simulation.pass(minute);
  assert.deepEqual(negotiations(simulation), before);
  comesBack(simulation, 0);
});

test('a control that starts again closes connections that were not open yet, and links come up all the same', () => {
  for (const wait of [20, 60, 100, 130]) {
    const simulation = star(9, 4);
    simulation.pass(wait);
    for (const id of ['n1', 'n0', 'n3']) simulation.restartControl(nodeOf(simulation, id));
    comesBack(simulation, 5000);
  }
});

for (const [who, id] of [
  ['offers', 'n9'],
  ['answers', 'n0'],
  ['offers to some and answers to others', 'n2'],
] as const) {
  for (const noticed of [0, 3000, never]) {
    const when =
      noticed === never
        ? 'nobody notices'
        : noticed === 0
          ? 'all notice at once'
          : 'all notice after three seconds';

    test(`the dataplane of a node that ${who} starts again and ${when}: its links are back within five seconds`, () => {
      const simulation = formed(10, 5);
      simulation.dial(simulation.add('n9'), 'n1');
      comesBack(simulation, 3000);
      simulation.pass(5000);
      simulation.restartDataplane(nodeOf(simulation, id), noticed);
      simulation.pass(10);
      comesBack(simulation, 5000);
    });

    test(`a node that ${who} dies, starts again after a second, and ${when}: its links are back within five seconds`, () => {
      const simulation = formed(11, 5);
      simulation.dial(simulation.add('n9'), 'n1');
      comesBack(simulation, 3000);
      simulation.pass(5000);
      simulation.kill(nodeOf(simulation, id), noticed);
      simulation.pass(1000);
      const again = simulation.add(id);
      simulation.dial(again, 'n1');
      simulation.pass(10);
      comesBack(simulation, 5000);
    });
  }
}

test('a control starts again, and much later its dataplane, and nobody notices: links are back within five seconds', () => {
  for (const id of ['n0', 'n4']) {
    const simulation = formed(12, 5);
    for (const [i, node] of [...simulation.nodes.values()].entries()) {
      if (i > 0) simulation.loseLink(node, nodeOf(simulation, 'n0'), 0);
      comesBack(simulation, 2000);
    }
    simulation.restartControl(nodeOf(simulation, id));
    simulation.pass(20_000);
    simulation.restartDataplane(nodeOf(simulation, id), never);
    simulation.pass(10);
    comesBack(simulation, 5000);
  }
});

test('the same link is lost again and again, and comes back at once each time', () => {
  const simulation = formed(13, 4);
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  for (let i = 0; i < 20; i++) {
    const before = openOf(a, b);
    simulation.loseLink(a, b, 100 * simulation.random());
    simulation.pass(110);
    comesBack(simulation, 1000);
    assert.notDeepEqual(openOf(a, b), before);
  }
});

test('a link lost at one end alone is renewed at both', () => {
  for (const [from, to] of [
    ['n1', 'n2'],
    ['n2', 'n1'],
  ] as const) {
    const simulation = formed(14, 4);
    const [a, b] = [nodeOf(simulation, from), nodeOf(simulation, to)];
    const [negotiation] = openOf(a, b);
    simulation.loseLink(a, b, never);
    const list = a.connections.get(to)!;
    list.splice(0, list.length);
    simulation.happen(a, { type: 'ended', peer: to, negotiation: negotiation!, reason: 'timed out' });
    const report = {
      peer: to,
      state: 'lost',
      reason: 'timed out',
      active: null,
      connections: [],
      path: null,
      pair: null,
      interface: null,
    } as const;
    simulation.happen(a, { type: 'link', report: { ...report, connections: [] } });
    comesBack(simulation, 5000);
  }
});

test('a node that says goodbye is gone everywhere at once, and is welcome when it starts again', () => {
  const simulation = formed(15, 6);
  const leaving = nodeOf(simulation, 'n3');
  simulation.stop(leaving);
  simulation.pass(100);
  for (const node of simulation.nodes.values()) {
    if (node === leaving) continue;
    assert.ok(!node.mesh.membership.members.has('n3'), node.id);
    assert.ok(!node.mesh.links.has('n3'));
    assert.ok(!node.interfaces.has('n3'));
    assert.ok(node.notices.includes('info peer left n3'));
  }
  simulation.pass(2 * minute);
  for (const node of simulation.nodes.values())
    assert.ok(!node.mesh.membership.members.has('n3'), 'stays gone');
  simulation.dial(simulation.add('n3'), 'n1');
  comesBack(simulation, 2000);
});

test('a node whose dataplane says goodbye is gone everywhere at once, and is welcome when it starts again', () => {
  const simulation = formed(15, 4);
  const leaving = nodeOf(simulation, 'n3');
  simulation.kill(leaving, 20);
  for (const node of simulation.nodes.values()) {
    simulation.happen(node, { type: 'bye', peer: 'n3' });
    simulation.happen(node, { type: 'bye', peer: 'nobody' });
    assert.ok(!node.mesh.membership.members.has('n3'), node.id);
    assert.ok(!node.interfaces.has('n3'));
    assert.deepEqual(
      node.notices.filter((line) => line.startsWith('info peer left')),
      ['info peer left n3'],
    );
  }
  simulation.pass(2 * minute);
  for (const node of simulation.nodes.values())
    assert.ok(!node.mesh.membership.members.has('n3'), 'stays gone');
  simulation.dial(simulation.add('n3'), 'n1');
  comesBack(simulation, 2000);
});

test('a mesh whose links are up keeps together through five minutes in which no message arrives', () => {
  const simulation = formed(15, 5);
  const before = negotiations(simulation);
  forbidClosing(simulation);
  simulation.faults = { loss: 1, repeat: 0, delay: 20 };
  simulation.pass(5 * minute);
  simulation.faults = { loss: 0, repeat: 0, delay: 20 };
  simulation.pass(minute);
  assert.deepEqual(negotiations(simulation), before);
  for (const node of simulation.nodes.values()) assert.equal(node.mesh.membership.members.size, 4);
});

function knows(simulation: Simulation, id: string): SimulatedNode[] {
  return [...simulation.nodes.values()].filter(({ mesh }) => mesh.membership.members.has(id));
}

for (const noticed of [5000, 30_000]) {
  test(`a node that falls silent is forgotten everywhere and not learned again by hearsay, its end noticed after ${noticed / 1000} s`, () => {
    for (const seed of [16, 17, 18, 19]) {
      const simulation = formed(seed, 6, 10_000);
      simulation.pass(30_000 * simulation.random());
      simulation.kill(nodeOf(simulation, 'n3'), noticed);
      let forgotten = 0;
      simulation.watch = (_node, _event, effects) => {
        for (const effect of effects) {
          if (effect.type !== 'notice' || effect.fields.peer !== 'n3') continue;
          if (effect.message === 'peer forgotten') forgotten++;
          assert.notEqual(
            effect.message,
            'peer learned',
            `seed ${seed}: after ${forgotten} had forgotten it`,
          );
        }
      };
      // Silence counts from the moment a link is known to be lost; it is looked for once per check interval.
      const took = simulation.until(() => knows(simulation, 'n3').length === 0, 5 * minute);
      assert.ok(took <= minute + noticed + 10_000 + 1000, `took ${took} ms`);
      simulation.pass(5 * minute);
      assert.deepEqual(knows(simulation, 'n3'), []);
      assert.equal(forgotten, 5);
      for (const node of simulation.nodes.values())
        assert.ok(!node.mesh.links.has('n3') && !node.interfaces.has('n3'));
      simulation.watch = undefined;
      simulation.dial(simulation.add('n3'), 'n0');
      comesBack(simulation, 2000);
    }
  });
}

test('a node that is silent for a while and then back, in the same start, is linked again', () => {
  const simulation = formed(20, 5);
  const apart = nodeOf(simulation, 'n3');
  for (const other of simulation.nodes.values()) {
    if (other === apart) continue;
    simulation.cutSockets(apart, other);
    simulation.unreachable.add(pairOf(apart.id, other.id));
    simulation.loseLink(apart, other, 2000);
  }
  assert.ok(Number.isFinite(simulation.until(() => knows(simulation, 'n3').length === 1, 3 * minute)));
  simulation.cut.clear();
  simulation.unreachable.clear();
  comesBack(simulation, 5000);
});

test('an outage counts from its beginning, however often the link is tried, and ends when it is up', () => {
  const simulation = formed(21, 3);
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  const statusOf = (node: SimulatedNode, id: string) =>
    peerStatuses(node.mesh, [], sha256).find((peer) => peer.id === id)!;
  const ends = [
    [a, 'n2'],
    [b, 'n1'],
  ] as const;
  for (const [node, id] of ends) assert.equal(statusOf(node, id).downSince, null);
  simulation.unreachable.add(pairOf('n1', 'n2'));
  const lost = simulation.now;
  simulation.loseLink(a, b, 0);
  const states = new Set<string>();
  for (let second = 0; second < 40; second++) {
    simulation.pass(1000);
    for (const [node, id] of ends) {
      const { state, since, downSince } = statusOf(node, id);
      states.add(state);
      assert.ok(downSince! >= lost - 1 && downSince! <= lost + 100, `${node.id}: ${downSince! - lost}`);
      assert.ok(since >= downSince!);
    }
  }
  assert.ok(states.has('connecting') && states.size > 1, [...states].join());
  simulation.unreachable.clear();
  comesBack(simulation, 20_000);
  for (const [node, id] of ends) {
    const { state, downSince } = statusOf(node, id);
    assert.deepEqual([state, downSince], ['up', null]);
  }
});

test('a dataplane that dies is an outage from that moment on', () => {
  const simulation = formed(22, 2);
  const node = nodeOf(simulation, 'n1');
  simulation.pass(5000);
  const died = simulation.now;
  simulation.happen(node, { type: 'dataplane-down' });
  simulation.pass(3000);
  const [peer] = peerStatuses(node.mesh, [], sha256);
  assert.equal(peer!.downSince, Math.round(died));
});
