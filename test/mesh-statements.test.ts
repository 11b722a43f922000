/** What operators say, in a whole mesh: how fast it is everywhere, who is told later, and what members can do about it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../control/core/environment.ts';
import { digestsOf } from '../control/core/statements.ts';
import { peerStatuses } from '../control/status.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import type { SignedStatement } from '../protocol/statement.ts';
import { fingerprintOf, keyOf, testEnvironment } from './environment.ts';
import { signedFlood } from './hostile/forgery.ts';
import { Hostile } from './hostile/gossip.ts';
import { isFullMesh, linked, missing, negotiations, nodeOf } from './mesh-view.ts';
import { accept, type Draft, forget, operatorKeys, revoke, said } from './operators.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

const minute = 60_000;
const operators = operatorKeys('op');

/** A full mesh of nodes that have this operator; all join through n0, and n1 as well. */
function governed(seed: number, size: number): Simulation {
  const simulation = new Simulation(seed);
  for (let i = 0; i < size; i++) {
    const node = simulation.add(`n${i}`, { operators });
    for (const server of ['n0', 'n1']) if (server !== node.id) simulation.dial(node, server);
  }
  assert.ok(simulation.until(() => isFullMesh(simulation), minute) < minute);
  simulation.pass(1000);
  return simulation;
}

function say(simulation: Simulation, node: SimulatedNode, draft: Draft, operator = 'op'): SignedStatement {
  const signed = said(operator, draft);
  simulation.happen(node, { type: 'statement', signed });
  return signed;
}

/** That nothing of `gone` is left at a node: no link, interface, neighbor or member. */
function isCut(node: SimulatedNode, gone: string): boolean {
  const { links, membership, neighbors } = node.mesh;
  return (
    !links.has(gone) &&
    !node.interfaces.has(gone) &&
    !membership.members.has(gone) &&
    [...neighbors.values()].every(({ id }) => id !== gone) &&
    [...node.sockets.values()].every(({ id }) => id !== gone)
  );
}

function others(simulation: Simulation, ...but: readonly string[]): SimulatedNode[] {
  return [...simulation.nodes.values()].filter(({ id }) => !but.includes(id));
}

/** What a node has of its operators, as it tells its neighbors. */
function digestIn(simulation: Simulation, node: SimulatedNode): string {
  const { digest } = simulation.environmentOf(node);
  return digestsOf(node.mesh.membership.statements, digest)
    .map((each) => hex(each.digest))
    .join();
}

const sumOf = (node: SimulatedNode, neighbor: string, cause: string) =>
  Object.fromEntries(node.mesh.accounts.get(neighbor)?.refused ?? [])[cause] ?? 0;

suite('revoked', () => {
  for (const what of ['ID', 'key'] as const)
    test(`by its ${what}, a node is cut off by twenty others in two seconds, and stays so; the others lose nothing`, (context) => {
      const simulation = governed(101, 20);
      const gone = nodeOf(simulation, 'n7');
      const subject = what === 'ID' ? 'n7' : fingerprintOf(gone.key);
      const before = negotiations(simulation).filter((line) => !/\bn7\b/.test(line));
      say(simulation, nodeOf(simulation, 'n12'), revoke(subject, simulation.now));
      const took = simulation.until(
        () => others(simulation, 'n7').every((node) => isCut(node, 'n7')),
        10_000,
      );
      context.diagnostic(`cut off by 19 nodes after ${Math.round(took)} ms of virtual time`);
      assert.ok(took <= 2000, `${took} ms`);
      simulation.pass(3 * minute);
      for (const node of others(simulation, 'n7')) {
        assert.ok(isCut(node, 'n7'), node.id);
        assert.ok(!node.warnings.has('identity n7'), node.id);
        const shown = peerStatuses(node.mesh, [], simulation.environmentOf(node).digest).find(
          ({ id }) => id === 'n7',
        );
        assert.deepEqual([shown?.state, shown?.reason], ['denied', 'revoked by an operator'], node.id);
      }
      assert.deepEqual(
        negotiations(simulation).filter((line) => !/\bn7\b/.test(line)),
        before,
      );
      assert.match(gone.warnings.get('id')!, /an operator of the mesh has revoked this ID or our key/);
      assert.ok(nodeOf(simulation, 'n3').published.some(({ event }) => event === 'trust.revoked'));
      assert.ok(
        !simulation.nodes
          .get('n3')!
          .notices.some((line) => /^(warn|error)/.test(line) && !/refused/.test(line)),
      );
    });

  test('a node that was away cuts it off at its next contact, and a control that is started again still does', () => {
    const simulation = governed(102, 6);
    const away = nodeOf(simulation, 'n4');
    for (const node of others(simulation, 'n4')) {
      simulation.cutSockets(away, node);
      simulation.unreachable.add([away.id, node.id].sort().join(' '));
      simulation.loseLink(away, node, 100);
    }
    simulation.pass(10_000);
    say(simulation, nodeOf(simulation, 'n0'), revoke('n5', simulation.now));
    simulation.pass(5000);
    assert.ok(!isCut(away, 'n5'), 'it has not heard of it');
    simulation.unreachable.clear();
    simulation.cut.clear();
    const contact = () => [...away.mesh.neighbors.values()].some(({ id }) => id !== 'n5');
    assert.ok(simulation.until(contact, 2 * minute) < 2 * minute);
    assert.ok(simulation.until(() => isCut(away, 'n5'), minute) <= 2000);
    simulation.restartControl(away, { operators });
    assert.ok(isCut(away, 'n5'));
    simulation.pass(2 * minute);
    for (const node of others(simulation, 'n5')) assert.ok(isCut(node, 'n5'), node.id);
    assert.equal(missing(others(simulation, 'n5')), undefined);
  });

  test('a control that starts beside a dataplane which still has the link ends it', () => {
    const simulation = governed(103, 3);
    const node = nodeOf(simulation, 'n1');
    node.statements = [said('op', revoke('n2', simulation.now))];
    assert.ok(node.interfaces.has('n2'));
    simulation.restartControl(node, { operators });
    assert.ok(isCut(node, 'n2'));
  });

  test('it is in again with the key that is accepted later, also for nodes that hear both in the other order', () => {
    const simulation = governed(104, 5);
    const time = simulation.now;
    say(simulation, nodeOf(simulation, 'n0'), revoke('n3', time));
    simulation.pass(minute);
    say(simulation, nodeOf(simulation, 'n1'), accept('n3', 'n3', time + 1));
    assert.ok(simulation.until(() => isFullMesh(simulation), 3 * minute) < 2 * minute);
    say(simulation, nodeOf(simulation, 'n2'), revoke('n3', time - 1));
    simulation.pass(minute);
    assert.ok(isFullMesh(simulation), 'an earlier one changes nothing');
  });

  test('what a node said before it was revoked is not taken again, once it is accepted', () => {
    const simulation = governed(110, 4);
    const [node, gone] = [nodeOf(simulation, 'n3'), nodeOf(simulation, 'n1')];
    const asking = signedFlood({
      ...{ from: 'n1', to: 'n3', sign: testEnvironment(gone.key, 0).sign },
      body: { kind: 'solicit', counter: 300, epoch: gone.mesh.self.epoch, toEpoch: node.mesh.self.epoch },
    });
    const brought = () => {
      const [channel] = [...node.mesh.neighbors].find(([, { id }]) => id === 'n0')!;
      return simulation.deliver(node, channel, asking).length;
    };
    assert.ok(brought() > 0, 'the first time it does something');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < minute);
    const time = simulation.now;
    say(simulation, node, revoke('n1', time));
    simulation.pass(5000);
    say(simulation, node, accept('n1', 'n1', time + 1));
    assert.ok(simulation.until(() => isFullMesh(simulation), 3 * minute) < 2 * minute);
    simulation.pass(1000);
    assert.equal(brought(), 0);
  });

  test('nodes that have no such operator go on as before, and pass nothing on', () => {
    const simulation = governed(105, 3);
    const apart = simulation.add('free');
    simulation.dial(apart, 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < minute);
    simulation.pass(1000);
    const kinds = new Set<string>();
    simulation.watch = (node, _event, effects) => {
      if (node !== apart) return;
      for (const effect of effects)
        if (effect.type === 'send') for (const field of Object.keys(effect.message)) kinds.add(field);
    };
    say(simulation, nodeOf(simulation, 'n0'), revoke('n2', simulation.now));
    simulation.pass(minute);
    assert.ok(linked(apart, nodeOf(simulation, 'n2')));
    assert.ok(!kinds.has('statements') && !kinds.has('statementDigests'), [...kinds].join());
  });
});

suite('accepted and forgotten', () => {
  test('a node that was installed again is accepted once for the whole mesh, and the warning says how', () => {
    const simulation = governed(106, 6);
    simulation.kill(nodeOf(simulation, 'n3'), 1000);
    simulation.pass(2 * minute);
    const again = simulation.add('n3', { key: 'installed again', operators });
    simulation.dial(again, 'n0');
    simulation.pass(minute);
    const words = nodeOf(simulation, 'n0').warnings.get('identity n3')!;
    const fingerprint = fingerprintOf(again.key);
    assert.ok(
      words.includes(
        `by: cryoc accept n3 --fingerprint ${fingerprint} (once for all nodes; here alone: echo`,
      ),
      words,
    );
    say(simulation, nodeOf(simulation, 'n5'), accept('n3', 'installed again', simulation.now));
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 30_000);
    simulation.pass(4 * minute);
    for (const node of simulation.nodes.values()) {
      assert.deepEqual([...node.warnings], [], node.id);
      if (node !== again) assert.equal(node.pins.get('n3'), Buffer.from(again.key).toString('hex'), node.id);
    }
  });

  test('a forgotten node that is gone has no key any more, and one that is linked stays so', () => {
    const simulation = governed(107, 4);
    simulation.kill(nodeOf(simulation, 'n3'), 1000);
    simulation.pass(2 * minute);
    const before = negotiations(simulation);
    for (const id of ['n2', 'n3']) say(simulation, nodeOf(simulation, 'n0'), forget(id, simulation.now));
    simulation.pass(minute);
    assert.deepEqual(negotiations(simulation), before);
    for (const node of simulation.nodes.values()) assert.ok(!node.pins.has('n3'), node.id);
    simulation.dial(simulation.add('n3', { key: 'installed again', operators }), 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < 15_000);
  });
});

suite('a hostile member', () => {
  test('forges, replays and repeats statements in vain: nothing changes, grows or travels, and it is counted', () => {
    const simulation = governed(108, 4);
    const hostile = new Hostile(simulation, 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < minute);
    simulation.pass(1000);
    const time = simulation.now;
    say(simulation, nodeOf(simulation, 'n1'), revoke('gone', time));
    say(simulation, nodeOf(simulation, 'n1'), accept('n2', 'n2', time));
    simulation.pass(1000);
    const before = negotiations(simulation);
    const node = nodeOf(simulation, 'n0');
    const stored = node.statements.length;
    const messages = simulation.nodes.get('n2')!.sent.members;
    const speak = (statements: SignedStatement[]): NeighborMessage => ({
      type: 'members',
      entries: [],
      statements,
    });
    for (let i = 0; i < 200; i++) {
      hostile.say(
        node,
        speak([
          // Signed by nobody's operator, by itself in the operator's name, and by itself as its own operator.
          said('op', revoke('n1', time + i), 'mallory'),
          said('mallory', revoke('n1', time + i)),
          // Earlier than what counts, and what counts.
          said('op', accept('n2', 'thief', time - 1)),
          said('op', accept('n2', 'n2', time)),
          { statement: new Uint8Array([0x80 + (i & 15), 1]), signature: new Uint8Array(64) },
        ]),
      );
    }
    assert.equal(node.statements.length, stored);
    assert.equal(sumOf(node, 'mallory', 'forged'), 200);
    for (let i = 0; i < 50; i++)
      hostile.say(node, {
        type: 'alive',
        digest: new Uint8Array(8),
        ask: [],
        statementDigests: [{ operator: keyOf('op').slice(0, 8), digest: new Uint8Array(8) }],
      });
    assert.ok(sumOf(node, 'mallory', 'statements') >= 20, 'what it has is not told without end');
    simulation.pass(minute);
    assert.deepEqual(
      negotiations(simulation).filter((line) => !line.includes('mallory')),
      before.filter((line) => !line.includes('mallory')),
    );
    assert.ok(simulation.nodes.get('n2')!.sent.members - messages < 20, 'nothing of it travels');
    const digests = others(simulation, 'mallory').map((each) => digestIn(simulation, each));
    assert.equal(new Set(digests).size, 1, 'all honest nodes have the same');
  });

  test('a revoked member is not let in by its own word, by that of others, or by what it sends later', () => {
    const simulation = governed(109, 4);
    const hostile = new Hostile(simulation, 'n0');
    assert.ok(simulation.until(() => isFullMesh(simulation), minute) < minute);
    simulation.pass(1000);
    say(simulation, nodeOf(simulation, 'n1'), revoke('mallory', simulation.now));
    simulation.pass(2000);
    const node = nodeOf(simulation, 'n2');
    const [channel] = [...node.mesh.neighbors].find(([, { id }]) => id === 'n1')!;
    const record = hostile.record('mallory');
    const flood = hostile.flood({
      ...{ from: 'mallory', to: 'n2', signer: 'mallory', sender: record },
      body: { kind: 'solicit' },
    });
    simulation.deliver(node, channel, { type: 'members', entries: [{ ...record, age: 0 }] });
    assert.deepEqual(simulation.deliver(node, channel, flood), []);
    assert.ok(isCut(node, 'mallory'));
    assert.equal(sumOf(node, 'n1', 'revoked'), 2);
  });
});
