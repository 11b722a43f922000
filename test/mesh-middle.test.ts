/** Two nodes that know each other by a third one alone, which would be each of them to the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../control/core/environment.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { body as bodySchema, type FloodMessage, type NeighborMessage } from '../protocol/signaling.ts';
import { keyOf } from './environment.ts';
import { Hostile } from './hostile/gossip.ts';
import { linked } from './mesh-view.ts';
import type { NodeOptions } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

const minute = 60_000;

/** `aa`, which offers, and `b`, each with a WebSocket to `mallory` alone, which passes on what `change` makes of things.
 *  `taken`: descriptions that either was given as the other's. */
function apart(
  seed: number,
  change: (message: NeighborMessage, to: string, hostile: Hostile) => readonly NeighborMessage[],
  options: Readonly<Record<'aa' | 'b', NodeOptions>> = { aa: {}, b: {} },
) {
  const simulation = new Simulation(seed);
  const [aa, b] = [simulation.add('aa', options.aa), simulation.add('b', options.b)];
  const hostile = new Hostile(simulation, 'aa');
  hostile.standBetween((message, to) => change(message, to, hostile));
  simulation.dial(b, 'mallory');
  const taken: string[] = [];
  simulation.watch = (node, _event, effects) => {
    if (node === hostile.node) return;
    for (const effect of effects)
      if ((effect.type === 'answer' || effect.type === 'accept') && effect.peer !== 'mallory')
        taken.push(`${node.id} has for ${effect.peer}: ${effect.sdp}`);
  };
  return { simulation, aa, b, hostile, taken };
}

const isLie = (line: string) => line.endsWith('sdp of mallory');

/** The same message with mallory's own description in it, if it has one. */
function redescribed(message: FloodMessage): FloodMessage {
  const body = parse(bodySchema, message.body);
  return 'sdp' in body ? { ...message, body: encode({ ...body, sdp: 'sdp of mallory' }) } : message;
}

const changes: readonly [
  what: string,
  change: (flood: FloodMessage, hostile: Hostile) => readonly NeighborMessage[],
][] = [
  ['puts its own description into offers and answers', (flood) => [redescribed(flood)]],
  [
    'does so and signs them itself',
    (flood, hostile) => {
      const { from, to } = flood;
      const body = parse(bodySchema, redescribed(flood).body);
      return [hostile.flood({ from, to, signer: 'mallory', body })];
    },
  ],
  [
    'does so and introduces itself by their names',
    (flood, hostile) => {
      const { from, to } = flood;
      const body = parse(bodySchema, redescribed(flood).body);
      const sender = hostile.record(from, body.epoch, 'mallory');
      return [hostile.flood({ from, to, signer: 'mallory', sender, body })];
    },
  ],
];

for (const [i, [what, change]] of changes.entries()) {
  test(`a node between two that ${what} is neither of them to the other`, () => {
    const { simulation, aa, b, hostile, taken } = apart(110 + i, (message, _to, hostile) =>
      message.type === 'flood' ? change(message, hostile) : [message],
    );
    simulation.pass(minute);
    assert.ok(linked(aa, hostile.node) && linked(b, hostile.node), 'as itself it is a member');
    assert.deepEqual(taken.filter(isLie), []);
    assert.ok(!linked(aa, b));
    const refused = [aa, b].flatMap(({ mesh }) => [...(mesh.accounts.get('mallory')?.refused.keys() ?? [])]);
    assert.ok(refused.length > 0, 'what it did is counted');
    simulation.dial(b, 'aa');
    assert.ok(simulation.until(() => linked(aa, b), minute) < 5000, 'any other way will do');
    assert.deepEqual(taken.filter(isLie), []);
  });
}

test('a node between two answers for both where they never met, and not where each was told the other’s key', () => {
  // In the place of each it has a key of its own, which it tells the other of from the beginning.
  const impostor = (message: NeighborMessage, to: string, hostile: Hostile): NeighborMessage[] => {
    if (message.type === 'flood') {
      const { from } = message;
      const body = parse(bodySchema, redescribed(message).body);
      const sender = hostile.record(from, body.epoch, `mallory as ${from}`);
      return [hostile.flood({ from, to: message.to, signer: `mallory as ${from}`, sender, body })];
    }
    if (message.type !== 'members') return [message];
    const ids = ['aa', 'b'].filter((id) => id !== to);
    const entries = ids.map((id) => ({ ...hostile.record(id, undefined, `mallory as ${id}`), age: 0 }));
    return [{ ...message, entries }];
  };
  const named = (id: string) => ({ named: new Map([[id, hex(keyOf(id))]]) });
  const told = apart(120, impostor, { aa: named('b'), b: named('aa') });
  told.simulation.pass(minute);
  assert.deepEqual(told.taken, []);
  assert.match(told.aa.warnings.get('identity b')!, /another key wants the ID "b", says mallory/);
  assert.match(told.b.warnings.get('identity aa')!, /another key wants the ID "aa", says mallory/);
  told.simulation.dial(told.b, 'aa');
  assert.ok(told.simulation.until(() => linked(told.aa, told.b), minute) < 5000);

  const untold = apart(121, impostor);
  untold.simulation.pass(minute);
  assert.ok(untold.taken.some(isLie), 'this is what trust on first use means, and what `--peer` is for');
});
