/** What one end of a link knows of the other's trouble, and what it does for an end that is nothing but trouble. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderPeer } from '../cli/render-peer.ts';
import { offers } from '../control/core/offerer.ts';
import { sha256 } from '../control/io/crypto.ts';
import { peerStatuses } from '../control/status.ts';
import { decode } from '../protocol/msgpack.ts';
import type { Body } from '../protocol/signaling.ts';
import { formed, isFullMesh, linked, nodeOf, openOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, type Simulation } from './simulation.ts';
import { exampleReport } from './status-example.ts';

const minute = 60_000;

function far(node: SimulatedNode, peer: string): string | undefined {
  return peerStatuses(node.mesh, [], sha256).find(({ id }) => id === peer)!.farReason;
}

/** `n1` and `n2` of a mesh of three: who offers, and who answers. */
function ends(simulation: Simulation): readonly [SimulatedNode, SimulatedNode] {
  const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
  return offers(a.id, b.id) ? [a, b] : [b, a];
}

/** The connection ends at one end alone, for a reason that the other one does not see. */
function endOf(simulation: Simulation, node: SimulatedNode, peer: string, reason: string): void {
  const [negotiation] = openOf(node, peer === 'n1' ? nodeOf(simulation, 'n1') : nodeOf(simulation, 'n2'));
  const list = node.connections.get(peer)!;
  list.splice(0, list.length);
  simulation.happen(node, { type: 'ended', peer, negotiation: negotiation!, reason });
  const nothing = { active: null, connections: [], path: null, pair: null, interface: null };
  simulation.happen(node, { type: 'link', report: { peer, state: 'lost', reason, ...nothing } });
}

for (const who of ['offers', 'answers'] as const) {
  test(`why the end that ${who} lost the link is known at the other one, until the link is up again`, () => {
    const simulation = formed(41, 3);
    const [offerer, answerer] = ends(simulation);
    const [node, other] = who === 'offers' ? [offerer, answerer] : [answerer, offerer];
    simulation.unreachable.add(pairOf('n1', 'n2'));
    assert.equal(far(other, node.id), '');
    endOf(simulation, node, other.id, 'the route to 10.3.0.2 goes through cnb, our own tunnel');
    simulation.pass(2000);
    assert.match(far(other, node.id)!, /^the route to 10\.3\.0\.2 goes through cnb/);
    const shown = peerStatuses(other.mesh, [], sha256).find(({ id }) => id === node.id)!;
    assert.match(
      renderPeer(shown, exampleReport, { color: false, width: 200 }),
      /^far end {4}says: the route to 10\.3\.0\.2/m,
    );
    simulation.unreachable.clear();
    simulation.pass(20_000);
    assert.ok(isFullMesh(simulation));
    assert.equal(far(other, node.id), '');
  });
}

test('an end that can offer nothing says why, to who waits for an offer', () => {
  const simulation = formed(42, 3);
  const [offerer, answerer] = ends(simulation);
  simulation.unreachable.add(pairOf('n1', 'n2'));
  simulation.loseLink(offerer, answerer, 10);
  const reason = 'no permission to make network interfaces here';
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) {
      if (node !== offerer || effect.type !== 'offer') continue;
      const { peer, negotiation } = effect;
      simulation.at(1, () => simulation.happen(node, { type: 'ended', peer, negotiation, reason }));
    }
  };
  simulation.pass(2000);
  assert.equal(far(answerer, offerer.id), reason);
});

/** How often one end said an offer and the other one answered, within ten minutes of a link that is lost as soon as it is
 *  there. */
function begun(simulation: Simulation, lost: (a: SimulatedNode, b: SimulatedNode) => void) {
  const [offerer, answerer] = ends(simulation);
  let offered = 0;
  let answered = 0;
  simulation.watch = (node, _event, effects) => {
    for (const effect of effects) {
      if (effect.type === 'answer' && node === answerer) answered++;
      if (effect.type !== 'send' || effect.message.type !== 'flood' || node !== offerer) continue;
      if ((decode(effect.message.body) as Body).kind === 'offer') offered++;
    }
  };
  for (let i = 0; i < (10 * minute) / 100; i++) {
    if (linked(offerer, answerer)) {
      simulation.loseLink(offerer, answerer, 5);
      lost(offerer, answerer);
    }
    simulation.pass(100);
  }
  return { offered, answered };
}

test('a peer that closes what it opened, over and over, is tried at once some twenty times, then every few seconds', () => {
  const simulation = formed(43, 3);
  const { offered } = begun(simulation, () => {});
  assert.ok(offered >= 60 && offered <= 220, `${offered} offers`);
  simulation.pass(15_000);
  assert.ok(isFullMesh(simulation), 'and is linked with when it stops');
});

test('a peer that offers without a pause is answered once in a second', () => {
  const simulation = formed(44, 3);
  const { offered, answered } = begun(simulation, (offerer) => offerer.mesh.quotas.clear());
  assert.ok(offered > 640, `${offered} offers`);
  assert.ok(answered <= 610, `${answered} answers`);
});
