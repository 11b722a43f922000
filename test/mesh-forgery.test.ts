import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prefixed } from '../control/core/environment.ts';
import type { Effect } from '../control/core/events.ts';
import { encode } from '../protocol/msgpack.ts';
import { check, parse } from '../protocol/schema.ts';
import {
  body as bodySchema,
  domain,
  type FloodMessage,
  floodMessage,
  type NeighborMessage,
  neighborMessage,
} from '../protocol/signaling.ts';
import { answeredKeys, offeredKeys } from './descriptions.ts';
import { keyOf, testEnvironment } from './environment.ts';
import { formed, isFullMesh, nodeOf, openOf, star, viewOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

/** Every flood that crosses the mesh, once. */
function record(simulation: Simulation): FloodMessage[] {
  const floods = new Map<string, FloodMessage>();
  simulation.watch = (_node, _event, effects) => {
    for (const effect of effects) {
      if (effect.type !== 'send' || effect.message.type !== 'flood') continue;
      const key = Buffer.from(effect.message.signature).toString('hex');
      if (!floods.has(key)) floods.set(key, effect.message);
    }
  };
  return { [Symbol.iterator]: () => floods.values() } as unknown as FloodMessage[];
}

/** A mesh that has formed, had a link renewed and a node leave: all kinds of floods have crossed it. */
function recorded(seed: number): { simulation: Simulation; floods: FloodMessage[] } {
  const simulation = star(seed, 5);
  const seen = record(simulation);
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.stop(simulation.add('n8'));
  simulation.dial(simulation.add('n9'), 'n0');
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.restartDataplane(nodeOf(simulation, 'n2'), 0);
  simulation.pass(10);
  simulation.until(() => isFullMesh(simulation), 60_000);
  simulation.stop(nodeOf(simulation, 'n9'));
  simulation.pass(5000);
  assert.ok(isFullMesh(simulation));
  simulation.watch = undefined;
  return { simulation, floods: [...seen] };
}

/** Hands a message to every node from each of its neighbors; nothing of any node may change. */
function assertUndisturbed(simulation: Simulation, messages: readonly NeighborMessage[], what: string): void {
  const nodes = [...simulation.nodes.values()];
  const before = nodes.map(viewOf);
  const harmless: ReadonlySet<Effect['type']> = new Set(['send', 'notice']);
  for (const message of messages) {
    for (const node of nodes) {
      const [channel] = node.mesh.neighbors.keys();
      const effects = simulation.happen(node, { type: 'message', channel: channel!, message });
      for (const effect of effects) assert.ok(harmless.has(effect.type), `${what}: ${effect.type}`);
    }
  }
  simulation.pass(300);
  assert.deepEqual(nodes.map(viewOf), before, what);
  assert.ok(isFullMesh(simulation), what);
}

/** What a node remembers of floods is bounded: an attacker may wait until it is forgotten. */
function forgetRecent(simulation: Simulation): void {
  for (const { mesh } of simulation.nodes.values()) {
    mesh.proven.young.clear();
    mesh.proven.old.clear();
  }
}

function kindsOf(floods: readonly FloodMessage[]): string[] {
  return [...new Set(floods.map(({ body }) => parse(bodySchema, body).kind))].sort();
}

test('every flood that ever crossed the mesh, again: nothing changes', () => {
  const { simulation, floods } = recorded(40);
  assert.deepEqual(kindsOf(floods), ['answer', 'bye', 'candidate', 'offer', 'solicit']);
  assertUndisturbed(simulation, floods, 'again');
  forgetRecent(simulation);
  assertUndisturbed(simulation, floods, 'again, after the mesh forgot having seen them');
  simulation.pass(60_000);
  forgetRecent(simulation);
  assertUndisturbed(simulation, [...floods].reverse(), 'again, a minute later, backwards');
});

test('every flood of before a restart of all controls, again: nothing changes', () => {
  const { simulation, floods } = recorded(41);
  for (const node of simulation.nodes.values()) {
    simulation.restartControl(node);
    simulation.pass(1500);
  }
  assert.ok(isFullMesh(simulation));
  assertUndisturbed(simulation, floods, 'of an earlier start');
});

test('every flood of before a restart of one control, again: nothing changes', () => {
  for (const id of ['n0', 'n2', 'n4']) {
    const { simulation, floods } = recorded(42);
    simulation.restartControl(nodeOf(simulation, id));
    simulation.pass(5000);
    forgetRecent(simulation);
    assertUndisturbed(simulation, floods, `after ${id} started again`);
  }
});

test('floods altered on the way are dropped: signature, body, sender, receiver', () => {
  const { simulation, floods } = recorded(43);
  const flip = (bytes: Uint8Array, at: number) =>
    Uint8Array.from(bytes, (byte, i) => (i === at % bytes.length ? byte ^ 1 : byte));
  const variants: readonly [what: string, alter: (flood: FloodMessage, i: number) => FloodMessage][] = [
    ['signature', (flood, i) => ({ ...flood, signature: flip(flood.signature, i) })],
    ['no signature', (flood) => ({ ...flood, signature: new Uint8Array(64) })],
    ['body', (flood, i) => ({ ...flood, body: flip(flood.body, 7 * i) })],
    ['sender', (flood) => ({ ...flood, from: flood.from === 'n1' ? 'n2' : 'n1' })],
    ['receiver', (flood) => ({ ...flood, to: flood.to === 'n3' ? 'n4' : 'n3' })],
    ['to everyone', (flood) => ({ ...flood, to: '*' })],
    ['time to live', (flood) => ({ ...flood, ttl: 64 })],
  ];
  for (const [what, alter] of variants) {
    forgetRecent(simulation);
    assertUndisturbed(simulation, floods.map(alter), what);
  }
});

let forged = 0;

/** What node `signer` would send if it lied about who it is. */
function forge(
  simulation: Simulation,
  signer: string,
  envelopeFrom: string,
  draft: Record<string, unknown>,
  receiver = 'n3',
): FloodMessage {
  const to = nodeOf(simulation, receiver);
  const content = encode({
    from: 'n1',
    to: receiver,
    epoch: nodeOf(simulation, 'n1').mesh.self.epoch,
    toEpoch: to.mesh.self.epoch,
    // Each is new to every window.
    counter: 1_000_000 + forged++,
    ...draft,
  });
  const signature = testEnvironment(keyOf(signer), simulation.now).sign(prefixed(domain.body, content));
  return check(floodMessage, {
    type: 'flood',
    from: envelopeFrom,
    to: receiver,
    ttl: 5,
    body: content,
    signature,
  });
}

const drafts: readonly Record<string, unknown>[] = [
  { kind: 'offer', negotiation: 'x', route: 'shared', sdp: 'v=0', keys: offeredKeys },
  { kind: 'offer', negotiation: 'x', route: 'relay', sdp: 'v=0', keys: offeredKeys },
  { kind: 'answer', negotiation: 'x', sdp: 'v=0', keys: answeredKeys },
  { kind: 'candidate', negotiation: 'x', candidates: ['candidate:1'] },
  { kind: 'reject', negotiation: 'x', reason: 'denied' },
  { kind: 'solicit' },
  { kind: 'bye' },
];

test('what one node says in the name of another is dropped', () => {
  const { simulation } = recorded(44);
  for (const draft of drafts) {
    // n0 started before n1, n2 after it.
    for (const signer of ['n0', 'n2', 'stranger']) {
      for (const from of ['n1', signer]) {
        assertUndisturbed(simulation, [forge(simulation, signer, from, draft)], `${draft.kind} by ${signer}`);
      }
    }
  }
});

test('a node that introduces itself truly and then speaks for another is not heard', () => {
  const { simulation } = recorded(44);
  const { epoch } = nodeOf(simulation, 'n1').mesh.self;
  const record = encode({ id: 'mallory', key: keyOf('mallory'), epoch, turn: false });
  const signature = testEnvironment(keyOf('mallory'), 0).sign(prefixed(domain.record, record));
  for (const draft of drafts) {
    const lie = { ...forge(simulation, 'mallory', 'n1', draft), sender: { record, signature } };
    assertUndisturbed(simulation, [lie], `${draft.kind}`);
  }
});

test('what a node said to another start, or in an earlier one, is dropped', () => {
  const { simulation } = recorded(45);
  const { epoch } = nodeOf(simulation, 'n1').mesh.self;
  for (const draft of drafts) {
    assertUndisturbed(
      simulation,
      [forge(simulation, 'n1', 'n1', { ...draft, toEpoch: 0 })],
      `${draft.kind} to no start`,
    );
    assertUndisturbed(
      simulation,
      [forge(simulation, 'n1', 'n1', { ...draft, toEpoch: 5 })],
      `${draft.kind} to another start`,
    );
    assertUndisturbed(
      simulation,
      [forge(simulation, 'n1', 'n1', { ...draft, epoch: epoch - 1 })],
      `${draft.kind} of an earlier start`,
    );
    assertUndisturbed(
      simulation,
      [forge(simulation, 'n1', 'n1', { ...draft, to: 'n4' })],
      `${draft.kind} to another node`,
    );
  }
});

test('what a node said before its restart and arrives only after it is dropped', () => {
  const { simulation } = recorded(45);
  const n1 = nodeOf(simulation, 'n1');
  const { epoch } = n1.mesh.self;
  simulation.restartControl(n1);
  simulation.pass(5000);
  assert.ok(isFullMesh(simulation));
  for (const draft of drafts) {
    assertUndisturbed(
      simulation,
      [forge(simulation, 'n1', 'n1', { ...draft, epoch })],
      `${draft.kind}, late`,
    );
  }
});

test('an offer that a newer one overtook is ignored; the newer one is answered', () => {
  const { simulation } = recorded(51);
  const n1 = nodeOf(simulation, 'n1');
  const offer = (negotiation: string) =>
    forge(
      simulation,
      'n3',
      'n3',
      { ...drafts[0], negotiation, from: 'n3', epoch: nodeOf(simulation, 'n3').mesh.self.epoch },
      'n1',
    );
  const [older, newer] = [offer('older'), offer('newer')];
  const [channel] = n1.mesh.neighbors.keys();
  const take = (message: FloodMessage) =>
    simulation
      .happen(n1, { type: 'message', channel: channel!, message })
      .filter(({ type }) => type === 'answer');
  assert.equal(take(newer).length, 1);
  assert.deepEqual(take(older), []);
  assert.deepEqual([...n1.mesh.links.get('n3')!.attempts.keys()], ['newer']);
});

test('an answer to what has been answered before is ignored', () => {
  const { simulation } = recorded(52);
  const [n1, n3] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n3')];
  const [negotiation] = openOf(n3, n1);
  const answer = forge(simulation, 'n1', 'n1', {
    kind: 'answer',
    negotiation,
    sdp: 'v=0',
    keys: answeredKeys,
  });
  const [channel] = n3.mesh.neighbors.keys();
  const effects = simulation.happen(n3, { type: 'message', channel: channel!, message: answer });
  assert.deepEqual(effects, []);
});

test('a flood goes on with one hop less, and not at all once it has none left', () => {
  const { simulation } = recorded(53);
  const n1 = nodeOf(simulation, 'n1');
  const epoch = nodeOf(simulation, 'n2').mesh.self.epoch;
  const sent = (by: string, to: string, ttl: number) => {
    const flood = forge(simulation, 'n2', 'n2', { kind: 'solicit', from: 'n2', epoch }, to);
    const channel = [...n1.mesh.neighbors].find(([, { id }]) => id === by)![0];
    const effects = simulation.happen(n1, { type: 'message', channel, message: { ...flood, ttl } });
    return effects.flatMap((effect) =>
      effect.type === 'send' && effect.message.type === 'flood' ? [effect.message.ttl] : [],
    );
  };
  for (const by of ['n2', 'n4']) {
    assert.deepEqual(sent(by, 'n3', 5), [4], by);
    assert.deepEqual(sent(by, 'n3', 1), [0], by);
    assert.deepEqual(sent(by, 'n3', 0), [], by);
  }
});

test('a goodbye of an earlier start does not remove a node that is back', () => {
  const simulation = formed(46, 4);
  const seen = record(simulation);
  simulation.stop(nodeOf(simulation, 'n2'));
  simulation.pass(500);
  const byes = [...seen].filter(({ body }) => parse(bodySchema, body).kind === 'bye');
  assert.equal(byes.length, 1);
  simulation.dial(simulation.add('n2'), 'n1');
  assert.ok(simulation.until(() => isFullMesh(simulation), 60_000) < 3000);
  simulation.pass(2000);
  forgetRecent(simulation);
  assertUndisturbed(simulation, byes, 'an old goodbye');
  for (const node of simulation.nodes.values()) simulation.restartControl(node);
  simulation.pass(5000);
  assertUndisturbed(simulation, byes, 'an old goodbye, to controls that never heard it');
});

test('a member that was forgotten is not learned again from floods that are sent again', () => {
  const { simulation, floods } = recorded(47);
  simulation.kill(nodeOf(simulation, 'n3'), 1000);
  const knows = (node: SimulatedNode) => node.mesh.membership.members.has('n3');
  simulation.until(() => ![...simulation.nodes.values()].some(knows), 300_000);
  simulation.pass(20_000);
  forgetRecent(simulation);
  for (const node of simulation.nodes.values()) {
    const [channel] = node.mesh.neighbors.keys();
    for (const message of floods) simulation.happen(node, { type: 'message', channel: channel!, message });
  }
  simulation.pass(1000);
  for (const node of simulation.nodes.values()) assert.ok(!knows(node), node.id);
});

test('a record handed on in another node’s name keeps nobody alive', () => {
  const { simulation } = recorded(48);
  const n3 = nodeOf(simulation, 'n3');
  const dead = n3.mesh.membership.selfSigned;
  simulation.kill(n3, 1000);
  const n1 = nodeOf(simulation, 'n1');
  const heardAt = () => n1.mesh.membership.members.get('n3')?.heardAt;
  simulation.pass(20_000);
  const before = heardAt();
  const carrier = forge(simulation, 'n2', 'n2', { from: 'n2', kind: 'solicit' }, 'n1');
  simulation.happen(n1, {
    type: 'message',
    channel: [...n1.mesh.neighbors.keys()][0]!,
    message: { ...carrier, sender: dead },
  });
  assert.ok(heardAt()! <= before!, 'a flood of n2 says nothing of n3');
});

test('a made-up introduction does not shut out a node that comes later', () => {
  const { simulation } = recorded(50);
  const n1 = nodeOf(simulation, 'n1');
  const thief = { id: 'n7', key: keyOf('thief'), epoch: 2 ** 50, turn: false };
  const offer = {
    kind: 'offer',
    negotiation: 'x',
    route: 'shared',
    sdp: 'v=0',
    keys: offeredKeys,
    from: 'n7',
    epoch: thief.epoch,
  };
  const unsigned = { record: encode(thief), signature: new Uint8Array(64) };
  const message = { ...forge(simulation, 'thief', 'n7', offer, 'n1'), sender: unsigned };
  assertUndisturbed(simulation, [message], 'an unsigned introduction');
  simulation.dial(simulation.add('n7'), 'n0');
  assert.ok(simulation.until(() => isFullMesh(simulation), 60_000) < 3000);
  assert.equal(n1.pins.get('n7'), Buffer.from(keyOf('n7')).toString('hex'));
});

test('any message that has the shape, from a neighbor: no exception, no effect on a link', () => {
  const { simulation, floods } = recorded(49);
  const id = fc.constantFrom('n0', 'n1', 'n2', 'n3', 'n4', 'n8', 'stranger');
  const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
  const known = fc.constantFrom(...floods);
  const signed = fc.oneof(
    fc.record({ record: fc.uint8Array({ minLength: 1, maxLength: 80 }), signature: bytes(64) }),
    fc.constantFrom(...[...simulation.nodes.values()].map(({ mesh }) => mesh.membership.selfSigned)),
  );
  const message = fc.oneof(
    fc.record({ type: fc.constant('alive'), digest: bytes(8), ask: fc.array(id, { maxLength: 5 }) }),
    fc.record({
      type: fc.constant('members'),
      entries: fc.array(
        fc.tuple(signed, fc.nat(100_000)).map(([each, age]) => ({ ...each, age })),
        { maxLength: 4 },
      ),
    }),
    fc.record({
      type: fc.constant('flood'),
      from: fc.oneof(
        id,
        known.map(({ from }) => from),
      ),
      to: fc.oneof(id, fc.constant('*')),
      ttl: fc.nat(64),
      body: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        known.map(({ body }) => body),
      ),
      signature: fc.oneof(
        bytes(64),
        known.map(({ signature }) => signature),
      ),
      sender: fc.option(signed, { nil: undefined }),
    }),
  );
  const nodes = [...simulation.nodes.values()];
  const before = nodes.map(viewOf);
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(), (raw, which, way) => {
      const node = nodes[which % nodes.length]!;
      const channels = [...node.mesh.neighbors.keys()];
      const effects = simulation.happen(node, {
        type: 'message',
        channel: channels[way % channels.length]!,
        message: check(neighborMessage, raw),
      });
      for (const { type } of effects) assert.ok(type === 'send' || type === 'notice', type);
    }),
    { numRuns: 1500 },
  );
  assert.deepEqual(nodes.map(viewOf), before);
});
