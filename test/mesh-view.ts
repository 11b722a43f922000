/** What tests look at in a simulated mesh. */
import { type Faults, reliable, type SimulatedNode } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

/** `n0` and nodes that know it alone; they dial it again when it is lost. */
export function star(seed: number, size: number, faults: Faults = reliable): Simulation {
  const simulation = new Simulation(seed, faults);
  simulation.add('n0');
  for (let i = 1; i < size; i++) simulation.dial(simulation.add(`n${i}`), 'n0');
  return simulation;
}

/** The same a second after it became a full mesh; one node starts up to `apart` milliseconds after the other. */
export function formed(seed: number, size: number, apart = 0): Simulation {
  const simulation = star(seed, 1);
  for (let i = 1; i < size; i++) {
    simulation.pass(apart * simulation.random());
    simulation.dial(simulation.add(`n${i}`), 'n0');
  }
  const took = simulation.until(() => isFullMesh(simulation), 120_000);
  if (!Number.isFinite(took)) throw new Error('no full mesh');
  simulation.pass(1000);
  return simulation;
}

export function nodeOf(simulation: Simulation, id: string): SimulatedNode {
  const node = simulation.nodes.get(id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return node;
}

/** True where one open connection, the same at both ends, makes a link of these two, and both say so. */
export function linked(a: SimulatedNode, b: SimulatedNode): boolean {
  const [ours, theirs] = [openOf(a, b), openOf(b, a)];
  return (
    ours.length === 1 &&
    theirs.length === 1 &&
    ours[0] === theirs[0] &&
    a.connections.get(b.id)!.find((c) => c.open)!.alive &&
    a.mesh.links.get(b.id)?.shown === 'up' &&
    b.mesh.links.get(a.id)?.shown === 'up'
  );
}

/** Negotiations of the open connections with `b`. */
export function openOf(a: SimulatedNode, b: SimulatedNode): string[] {
  return (a.connections.get(b.id) ?? []).filter(({ open }) => open).map(({ negotiation }) => negotiation);
}

/** The first pair that has no link, or undefined. */
export function missing(nodes: Iterable<SimulatedNode>): readonly [SimulatedNode, SimulatedNode] | undefined {
  const among = [...nodes];
  for (const a of among) for (const b of among) if (a.id < b.id && !linked(a, b)) return [a, b];
  return undefined;
}

/** Pairs that were seen without a link last: most often they still have none. */
const lastMissing = new WeakMap<Simulation, readonly [SimulatedNode, SimulatedNode]>();

/** True where every pair of nodes has a link. */
export function isFullMesh(simulation: Simulation): boolean {
  const last = lastMissing.get(simulation);
  const { nodes } = simulation;
  if (last?.every((node) => nodes.get(node.id) === node) && !linked(...last)) return false;
  const pair = missing(nodes.values());
  if (pair !== undefined) lastMissing.set(simulation, pair);
  return pair === undefined;
}

/** Every open negotiation by pair: what must not change where nothing is to be disturbed. */
export function negotiations(simulation: Simulation): string[] {
  const all: string[] = [];
  for (const a of simulation.nodes.values()) {
    for (const b of simulation.nodes.values()) if (a !== b) all.push(`${a.id} ${b.id} ${openOf(a, b)}`);
  }
  return all.sort();
}

/** Everything about a node's links and members that an outsider must not change. */
export function viewOf(node: SimulatedNode): unknown {
  const { mesh } = node;
  return structuredClone({
    members: [...mesh.membership.members].map(([id, { record }]) => [id, record.epoch, record.key]),
    former: [...mesh.membership.former].map(([id, { record, left }]) => [id, record.epoch, left]),
    epochs: mesh.epochs.own,
    pins: structuredClone(mesh.membership.pins),
    neighbors: [...mesh.neighbors],
    links: [...mesh.links],
    connections: [...node.connections],
    interfaces: [...node.interfaces],
  });
}
