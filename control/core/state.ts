/** The state that one node keeps of the mesh, and helpers that all parts of `step` use. */
import type { Untimed } from '../../protocol/events.ts';
import type { Refusal } from '../../protocol/handshake.ts';
import type { LogLevel } from '../../protocol/log-level.ts';
import type { NodeRecord } from '../../protocol/signaling.ts';
import type { SignedStatement } from '../../protocol/statement.ts';
import type { MeshConfig } from './config.ts';
import type { Account } from './costs.ts';
import type { Environment } from './environment.ts';
import { type Epochs, newEpochs } from './epoch.ts';
import type { Channel, Effect } from './events.ts';
import type { Dispute } from './identity.ts';
import { type Attempt, isUp, type Link, newLink, stateOf } from './link.ts';
import { linkChanges } from './link-changes.ts';
import { isOut, type Membership, newMembership } from './membership.ts';
import { newOfferWindow, type OfferWindow } from './offer-window.ts';
import { newOutcomes, type Outcomes } from './outcomes.ts';
import { acceptKey, newPins } from './pins.ts';
import { pathTo, permits } from './policy.ts';
import type { Quotas } from './quotas.ts';
import { newRecent, type Recent } from './recent.ts';
import type { ReplayWindow } from './replay.ts';
import { acceptedFor, allStatements, assess, keepStatement, newStatements } from './statements.ts';

export interface Mesh {
  self: NodeRecord;
  readonly epochs: Epochs;
  /** When we last heard of another node with our ID, and of one that also has our key. */
  twinAt: number | null;
  cloneAt: number | null;
  /** By the disputed ID. */
  readonly disputes: Map<string, Dispute>;
  /** By the node that refuses us; `at` is when it last did. */
  readonly refusals: Map<string, { readonly refusal: Refusal; readonly at: number }>;
  readonly quotas: Quotas;
  config: MeshConfig;
  readonly membership: Membership;
  readonly neighbors: Map<Channel, { readonly id: string }>;
  /** What each neighbor has cost us, by its ID. */
  readonly accounts: Map<string, Account>;
  readonly links: Map<string, Link>;
  readonly windows: Map<string, ReplayWindow>;
  /** Signatures that held. */
  readonly proven: Recent;
  /** The next hop to each node that is no neighbor: the neighbor that brought its last flood or the news of it. */
  readonly routes: Map<string, string>;
  /** Counts our bodies. */
  counter: number;
  /** Counts our offers. */
  offerCounter: number;
  dataplaneUp: boolean;
  /** Milliseconds that the dataplane takes for a description, of late: each counts half as much as the next one. */
  describedIn: number;
  /** When a body of ours may go to everyone again (`reach.ts`). */
  wideAt: number;
  readonly offerWindow: OfferWindow;
  readonly outcomes: Outcomes;
  /** When there will be something to try and room for it (`tries.ts`). */
  tryAt: number;
  checkAt: number;
  aliveAt: number;
  /** IDs of nodes that neighbors will be told of, each with the neighbors that know already. */
  readonly news: Map<string, Set<string>>;
  newsAt: number | null;
  /** Statements that neighbors will be told of, each with the neighbors that know already. */
  readonly statementNews: Map<string, { readonly signed: SignedStatement; readonly knowers: Set<string> }>;
  /** What is on disk of operators is not what we have. */
  statementsChanged: boolean;
  /** Nodes that were cut off because operators revoked them. */
  readonly cutOff: Set<string>;
  stopped: boolean;
}

/** What all parts of one step need. */
export interface Turn {
  readonly mesh: Mesh;
  readonly env: Environment;
  readonly effects: Effect[];
}

/** Signatures that are remembered, since a flood comes by several ways and a record in several lists. */
const provenSignatures = 8192;

export function newMesh(
  self: NodeRecord,
  config: MeshConfig,
  /** The keys in the state directory, in hexadecimal by ID. */
  kept: ReadonlyMap<string, string>,
  env: Environment,
  /** What the state directory has of operators. */
  said: readonly SignedStatement[] = [],
): Mesh {
  const pins = newPins(config.named, kept);
  const statements = newStatements(config.operators);
  for (const signed of said) {
    const { taken, statement } = assess(statements, signed, env);
    if (taken === 'new') keepStatement(statements, statement!, signed);
  }
  for (const { statement } of allStatements(statements))
    acceptKey(pins, statement.subject, acceptedFor(statements, statement.subject), env.digest);
  return {
    self,
    epochs: newEpochs(self.epoch),
    twinAt: null,
    cloneAt: null,
    disputes: new Map(),
    refusals: new Map(),
    quotas: new Map(),
    config,
    membership: newMembership(self, pins, statements, config.forgetAfter, env),
    neighbors: new Map(),
    accounts: new Map(),
    links: new Map(),
    windows: new Map(),
    proven: newRecent(provenSignatures),
    routes: new Map(),
    counter: 0,
    offerCounter: 0,
    dataplaneUp: false,
    describedIn: 0,
    offerWindow: newOfferWindow(),
    outcomes: newOutcomes(),
    wideAt: 0,
    tryAt: Number.POSITIVE_INFINITY,
    checkAt: env.now + config.checkInterval,
    aliveAt: env.now + config.aliveInterval * env.random(),
    news: new Map(),
    newsAt: null,
    statementNews: new Map(),
    statementsChanged: false,
    cutOff: new Set(),
    stopped: false,
  };
}

/** How many nodes may be making offers to each other at this moment. At most 100 count: more may be invented ones, and are
 *  no reason to wait longer. */
export function crowdOf({ membership }: Mesh): number {
  return Math.min(membership.members.size, 100);
}

/** Milliseconds that a dataplane takes at most to describe a connection, unless the machine is overloaded: it awaits the
 *  name of an ICE server for 300, and the end of another connection for as long. */
const usualDescription = 600;

/** Milliseconds to wait longer for each that descriptions take longer. What a link waits for is several times as long, as
 *  it takes two descriptions and messages through processes that are late as well. */
const patience = 20;

/** Milliseconds that a peer has more than usual to offer or to answer. Where our dataplane is late, so is what else runs on
 *  that machine; and to ask again, of everyone, would make all of it later. */
export function latenessOf({ describedIn }: Mesh): number {
  return patience * Math.max(0, describedIn - usualDescription);
}

export function notice(turn: Turn, level: LogLevel, message: string, fields: Record<string, unknown>): void {
  turn.effects.push({ type: 'notice', level, message, fields });
}

/** Tells those who watch the node. */
export function publish({ effects }: Turn, ...events: readonly Untimed[]): void {
  for (const event of events) effects.push({ type: 'publish', event });
}

/** There is another channel to the neighbor `id`. True if there was none. */
export function addChannel(turn: Turn, channel: Channel, id: string): boolean {
  const isNew = !isNeighbor(turn.mesh, id);
  turn.mesh.neighbors.set(channel, { id });
  if (isNew) publish(turn, { event: 'neighbor.up', peer: id });
  return isNew;
}

export function dropChannel(turn: Turn, channel: Channel): void {
  const { neighbors } = turn.mesh;
  const id = neighbors.get(channel)?.id;
  neighbors.delete(channel);
  if (id !== undefined && !isNeighbor(turn.mesh, id)) publish(turn, { event: 'neighbor.down', peer: id });
}

function isNeighbor({ neighbors }: Mesh, id: string): boolean {
  for (const each of neighbors.values()) if (each.id === id) return true;
  return false;
}

/** The link with `peer`, made where policy permits one. */
export function ensureLink(turn: Turn, peer: string): Link | undefined {
  const known = turn.mesh.links.get(peer);
  if (known !== undefined) return known;
  const { policy } = turn.mesh.config;
  if (!permits(policy, peer)) return undefined;
  if (isOut(turn.mesh.membership, peer, turn.env.digest)) return undefined;
  const link = newLink(turn.mesh.self.id, peer, turn.env.now, pathTo(policy, peer));
  turn.mesh.links.set(peer, link);
  return link;
}

/** `reason`: why, for those who watch the node. */
export function removeLink(turn: Turn, peer: string, reason: string): void {
  const { mesh, effects } = turn;
  const link = mesh.links.get(peer);
  dropChannel(turn, `link:${peer}`);
  if (link === undefined) return;
  mesh.links.delete(peer);
  effects.push({ type: 'remove', peer });
  publish(turn, ...linkChanges(peer, link.report, null, reason));
}

/** Ends the links that the policy does not permit, and makes those that it does. The far end of a link that is gone asks
 *  for another, and is told then that it is denied. Nothing waits longer than it would by the intervals of now. */
export function takeConfig(turn: Turn, config: MeshConfig): void {
  const { mesh, env } = turn;
  const { policy, checkInterval, forgetAfter, aliveInterval } = config;
  mesh.config = config;
  mesh.membership.forgetAfter = forgetAfter;
  mesh.checkAt = Math.min(mesh.checkAt, env.now + checkInterval);
  mesh.aliveAt = Math.min(mesh.aliveAt, env.now + aliveInterval);
  for (const peer of [...mesh.links.keys()]) {
    if (permits(policy, peer)) continue;
    notice(turn, 'info', 'denied by our policy', { peer });
    publish(turn, { event: 'policy.denied', peer, reason: 'our policy' });
    removeLink(turn, peer, 'denied by our policy');
  }
  for (const peer of mesh.membership.members.keys()) {
    if (mesh.links.has(peer) || ensureLink(turn, peer) === undefined) continue;
    publish(turn, { event: 'policy.permitted', peer });
  }
}

export function closeAttempt(turn: Turn, link: Link, { negotiation }: Attempt): void {
  link.attempts.delete(negotiation);
  turn.effects.push({ type: 'close', peer: link.peer, negotiation });
}

/** Notes when the link's state changes, and logs that it is up. */
export function show(turn: Turn, link: Link): void {
  if (isUp(link)) link.downSince = null;
  else link.downSince ??= turn.env.now;
  const state = stateOf(link);
  if (state === link.shown) return;
  link.shown = state;
  link.since = turn.env.now;
  if (isUp(link)) {
    const { interface: device, pair } = link.report!;
    const relayed = pair?.local.type === 'relay' || pair?.remote.type === 'relay';
    notice(turn, 'info', 'link up', { peer: link.peer, interface: device?.name, relayed });
  }
}
