/** How many lines control's log has of faults that last and of peers that do not stop. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { prefixed } from '../control/core/environment.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain, type MemberEntry } from '../protocol/signaling.ts';
import { Warnings } from '../protocol/warnings.ts';
import { keyOf, testEnvironment } from './environment.ts';
import { LogMeter, settled } from './log-meter.ts';
import { formed, nodeOf } from './mesh-view.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { pairOf, type Simulation } from './simulation.ts';

const second = 1000;
const minute = 60 * second;

/** A meter for each node, by ID, of all that its core tells the shell to log. */
function metersOf(simulation: Simulation): Map<string, LogMeter> {
  const meters = new Map<string, LogMeter>();
  const warnings = new Map<string, Warnings>();
  simulation.watch = ({ id }, _event, effects) => {
    const meter = meters.get(id) ?? new LogMeter(() => simulation.now);
    meters.set(id, meter);
    const warned = warnings.get(id) ?? new Warnings(meter.log);
    warnings.set(id, warned);
    for (const effect of effects) {
      if (effect.type === 'notice') meter.log[effect.level](effect.message, effect.fields);
      if (effect.type !== 'warning') continue;
      if (effect.message === null) warned.clear(effect.subject, effect.about);
      else warned.set(effect.subject, effect.message, effect.about);
    }
  };
  return meters;
}

interface Fault {
  /** Lines a minute that it makes, at least: else the test shows nothing. */
  readonly makes: number;
  readonly size: number;
  readonly every: number;
  happen(simulation: Simulation, count: number): void;
}

const of = (simulation: Simulation, id: string) => simulation.nodes.get(id);

function entryOf(id: string, key: string, epoch = 1_700_000_000_000): MemberEntry {
  const record = encode({ id, key: keyOf(key), epoch, turn: false });
  return { record, signature: testEnvironment(keyOf(key), 0).sign(prefixed(domain.record, record)), age: 0 };
}

function tell(simulation: Simulation, node: SimulatedNode, entries: MemberEntry[]): void {
  const [channel] = [...node.mesh.neighbors.keys()];
  if (channel !== undefined)
    simulation.happen(node, { type: 'message', channel, message: { type: 'members', entries } });
}

const faults: Readonly<Record<string, Fault>> = {
  'a link that is lost every five seconds': {
    ...{ makes: 10, size: 2, every: 5 * second },
    happen: (simulation) => simulation.loseLink(nodeOf(simulation, 'n0'), nodeOf(simulation, 'n1'), 10),
  },
  'a node whose dataplane dies every ten seconds, with all its links': {
    ...{ makes: 30, size: 6, every: 10 * second },
    happen: (simulation) => simulation.restartDataplane(nodeOf(simulation, 'n1'), 100),
  },
  'a mesh whose links are all lost every twenty seconds': {
    ...{ makes: 25, size: 6, every: 20 * second },
    happen(simulation) {
      const nodes = [...simulation.nodes.values()];
      for (const a of nodes) for (const b of nodes) if (a.id < b.id) simulation.loseLink(a, b, 100);
    },
  },
  'a peer that starts and leaves all the time': {
    ...{ makes: 10, size: 3, every: 5 * second },
    happen(simulation) {
      const peer = of(simulation, 'restless');
      if (peer !== undefined) simulation.stop(peer);
      else simulation.dial(simulation.add('restless'), 'n0');
    },
  },
  'a peer that crashes and starts again': {
    ...{ makes: 4, size: 3, every: 15 * second },
    happen(simulation) {
      const peer = of(simulation, 'restless');
      if (peer !== undefined) simulation.kill(peer, 100);
      else simulation.dial(simulation.add('restless'), 'n0');
    },
  },
  'a pair without a path': {
    ...{ makes: 0, size: 3, every: minute },
    happen(simulation) {
      const [a, b] = [nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2')];
      simulation.unreachable.add(pairOf('n1', 'n2'));
      if (a.interfaces.has('n2')) simulation.loseLink(a, b, 10);
    },
  },
  'a peer whose policy came to deny us': {
    ...{ makes: 0, size: 3, every: 30 * second },
    happen(simulation) {
      const peer = nodeOf(simulation, 'n2');
      simulation.restartControl(peer, { policy: { allow: [], deny: ['n1'] } });
      simulation.dial(peer, 'n0');
    },
  },
  'a peer whose dataplane can answer nothing': {
    ...{ makes: 0, size: 3, every: 10 * second },
    happen(simulation) {
      for (const id of ['n0', 'n1', 'n2']) simulation.cannotAnswer.add(id);
      simulation.loseLink(nodeOf(simulation, 'n1'), nodeOf(simulation, 'n2'), 10);
    },
  },
  'keys made up for the IDs of others': {
    ...{ makes: 1, size: 3, every: second },
    happen: (simulation, count) =>
      tell(simulation, nodeOf(simulation, 'n1'), [entryOf('n2', `thief ${count}`, 2 ** 50)]),
  },
  'keys made up for our own ID': {
    ...{ makes: 1, size: 3, every: second },
    happen: (simulation, count) =>
      tell(simulation, nodeOf(simulation, 'n1'), [entryOf('n1', `thief ${count}`, 2 ** 50)]),
  },
  'nodes made up, that are forgotten a minute later': {
    ...{ makes: 15, size: 2, every: 8 * second },
    happen: (simulation, count) =>
      tell(
        simulation,
        nodeOf(simulation, 'n1'),
        ['x', 'y', 'z'].map((each) => entryOf(`${each}${count}`, `${each}${count}`)),
      ),
  },
  'earlier epochs of a peer, told by it': {
    ...{ makes: 0, size: 3, every: second },
    happen(simulation, count) {
      const node = nodeOf(simulation, 'n1');
      const channel = [...node.mesh.neighbors].find(([, { id }]) => id === 'n0')?.[0];
      const message = { type: 'members' as const, entries: [entryOf('n0', 'n0', 1000 + count)] };
      if (channel !== undefined) simulation.happen(node, { type: 'message', channel, message });
    },
  },
};

suite('lines of control, a minute, once its quota has settled', () => {
  for (const [name, { makes, size, every, happen }] of Object.entries(faults)) {
    test(name, () => {
      const simulation = formed(5, size);
      const meters = metersOf(simulation);
      const end = simulation.now + settled + 15 * minute;
      for (let count = 0; simulation.now < end; count++) {
        happen(simulation, count);
        simulation.pass(every);
      }
      const offered = Math.max(...[...meters.values()].map(({ offeredPerMinute }) => offeredPerMinute));
      assert.ok(offered >= makes, `it makes ${offered} a minute`);
      for (const [id, meter] of meters) {
        const { perMinute } = meter;
        if (id.startsWith('n')) assert.ok(perMinute <= 1, `${id}: ${perMinute} of ${meter.offeredPerMinute}`);
      }
    });
  }
});
