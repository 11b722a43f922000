/**
 * How nodes learn of each other. News of a node is gathered for a moment and goes to every neighbor once. `alive` carries
 * a digest of the known nodes, and the full list follows only where digests differ. In a full mesh every node hears every
 * other, so that the steady state is one `alive` per neighbor and interval.
 */
import {
  type MemberEntry,
  membersPerMessage,
  type NeighborMessage,
  recordBytesPerMessage,
} from '../../protocol/signaling.ts';
import type { StatementDigests } from '../../protocol/statement.ts';
import { refuse, spend } from './costs.ts';
import { hex } from './environment.ts';
import { climb, correct, hearSelf, passClone, passToNode } from './epoch.ts';
import type { Channel } from './events.ts';
import { channelsByNeighbor, learnRoute } from './flood.ts';
import { dispute, exile, limitedNotice, refuseSecond } from './identity.ts';
import { isUp } from './link.ts';
import { entryOf, learn, membersDigest, readRecord } from './membership.ts';
import { isFormer, pinOf } from './pins.ts';
import { within } from './quotas.ts';
import { closeAttempt, crowdOf, ensureLink, notice, publish, type Turn } from './state.ts';
import { digestsOf } from './statements.ts';
import { meetTwin } from './twin.ts';

/** Milliseconds for which news is gathered, because a mesh that forms brings many nodes at once. */
const newsDelay = 30;

/** Starts of one node that are passed on at once, in so many milliseconds. */
const startsAtOnce = 4;
const startsWindow = 40_000;

/** Tells a new neighbor of all nodes that we know. */
export function welcome(turn: Turn, channel: Channel): void {
  const ids = [turn.mesh.self.id, ...turn.mesh.membership.members.keys()];
  tell(turn, channel, ids, ourDigests(turn));
}

/** What we have of our operators; nothing where we have none. */
function ourDigests({ mesh, env }: Turn): { statementDigests?: StatementDigests } {
  const { statements } = mesh.membership;
  return statements.shelves.size === 0 ? {} : { statementDigests: digestsOf(statements, env.digest) };
}

/** Sends every neighbor a digest, and the IDs of nodes that we have not heard of for half an interval. */
export function sayAlive(turn: Turn): void {
  const { mesh, env } = turn;
  const digest = membersDigest(mesh.membership, env);
  const digests = ourDigests(turn);
  const channels = channelsByNeighbor(turn);
  const ask: string[] = [];
  for (const [id, member] of mesh.membership.members) {
    if (!channels.has(id) && env.now - member.heardAt >= mesh.config.aliveInterval / 2) ask.push(id);
  }
  for (const channel of channels.values()) {
    turn.effects.push({
      type: 'send',
      channel,
      message: { type: 'alive', digest, ask: ask.slice(0, membersPerMessage), ...digests },
    });
  }
}

export function receiveAlive(
  turn: Turn,
  channel: Channel,
  message: NeighborMessage & { type: 'alive' },
): void {
  const { mesh, env } = turn;
  const { id: neighbor } = mesh.neighbors.get(channel)!;
  if (!spend(mesh, neighbor, 'alives', env.now)) return;
  const digest = membersDigest(mesh.membership, env);
  if (digest.some((byte, i) => byte !== message.digest[i])) {
    if (spend(mesh, neighbor, 'lists', env.now)) welcome(turn, channel);
    return;
  }
  const channels = channelsByNeighbor(turn);
  const heard = message.ask.filter((id) => channels.has(id) || hasNewsOf(turn, id));
  if (heard.length > 0) tell(turn, channel, heard);
}

export function receiveMembers(
  turn: Turn,
  channel: Channel,
  message: NeighborMessage & { type: 'members' },
): void {
  const teller = turn.mesh.neighbors.get(channel)?.id ?? '';
  for (const entry of message.entries) takeRecord(turn, entry, teller, channel);
}

/** Takes in a node's record, told by `teller` over `channel`. A new node or start gets a link and is passed on. */
export function takeRecord(turn: Turn, entry: MemberEntry, teller: string, channel: Channel): void {
  const { mesh, env } = turn;
  const { outcome, id, apart = 0 } = learn(mesh.membership, entry, entry.age, env, teller);
  const payer = mesh.neighbors.get(channel)?.id ?? teller;
  switch (outcome) {
    case 'new':
    case 'newer': {
      const isTooSoon = !within(mesh.quotas, `starts ${id}`, startsAtOnce, startsWindow, env.now);
      if (isTooSoon) refuse(mesh, payer, 'starts', env.now);
      const member = mesh.membership.members.get(id)!;
      const link = ensureLink(turn, id);
      if (link !== undefined) {
        if (outcome === 'new') link.introducer = payer;
        link.shared.failures = 0;
        link.denied = false;
        for (const attempt of [...link.attempts.values()]) {
          // The new start of the node counts its bodies from 1 again.
          attempt.heardCounter = 0;
          // It will not answer an offer that was made to the start before.
          if (attempt.state.phase === 'offered') closeAttempt(turn, link, attempt);
        }
        // The other side offers as soon as it hears of us. A solicit sent at once would only cross that offer.
        link.shared.retryAt =
          env.now +
          (link.offerer ? 0 : (solicitDelay + solicitDelayPerNode * crowdOf(mesh)) * (1 + env.random()));
      }
      if (outcome === 'new') {
        notice(turn, 'debug', 'peer learned', { peer: id, epoch: member.record.epoch });
        publish(turn, { event: 'peer.learned', peer: id });
      }
      if (!mesh.routes.has(id)) learnRoute(turn, id, teller);
      // Neighbors that have not heard of it learn it by the next lists.
      if (isTooSoon) return;
      spread(turn, id, teller);
      if (outcome === 'newer' && teller !== id) passToNode(turn, id, entry, channel);
      else if (outcome === 'newer' && hasOther(turn, id, channel)) passClone(turn, id, entry, channel, apart);
      return;
    }
    case 'past':
      passToNode(turn, id, entry, channel);
      return;
    case 'behind':
      correct(turn, entry, channel, mesh.neighbors.get(channel)?.id);
      passClone(turn, id, entry, channel, apart);
      return;
    case 'ahead':
      climb(turn, entry, teller);
      return;
    case 'known':
      if (id === mesh.self.id) hearSelf(turn, entry, teller);
      mesh.news.get(id)?.add(teller);
      return;
    case 'conflict':
      if (id === mesh.self.id) {
        refuse(mesh, payer, 'id_in_use', env.now);
        meetTwin(turn, readRecord(entry)!.key, teller);
      } else if (givesWay(turn, id)) {
        exile(turn, id);
        takeRecord(turn, entry, teller, channel);
      } else tellOfOther(turn, entry, id, teller, payer);
      return;
    case 'revoked':
      refuse(mesh, payer, 'revoked', env.now);
      return;
    case 'second':
      refuse(mesh, payer, 'key_in_use', env.now);
      refuseSecond(turn, id, teller);
      return;
    case 'full':
      refuse(mesh, payer, 'nodes', env.now);
      limitedNotice(turn, 'too many nodes: one more was not taken in', { peer: id, by: teller });
  }
}

/** Nodes that do not know yet that a node was installed again still tell of its former key. */
function tellOfOther(turn: Turn, entry: MemberEntry, id: string, teller: string, payer: string): void {
  const { mesh, env } = turn;
  const key = hex(readRecord(entry)!.key);
  if (isFormer(mesh.membership.pins, id, key) && teller !== id) return;
  refuse(mesh, payer, 'identity_mismatch', env.now);
  dispute(turn, id, key, teller, entry, entry.age);
}

/** Whether a neighbor of that ID has another channel than this one. */
function hasOther({ mesh }: Turn, id: string, channel: Channel): boolean {
  return [...mesh.neighbors].some(([other, neighbor]) => neighbor.id === id && other !== channel);
}

/** Whether an unproven key of `id` gives way to another one, because no link came up with it. So nobody can block the ID
 *  of a real node by inventing one of that name first. */
function givesWay({ mesh }: Turn, id: string): boolean {
  const link = mesh.links.get(id);
  if (link === undefined || isUp(link) || pinOf(mesh.membership.pins, id) !== undefined) return false;
  return link.shared.failures >= 2;
}

/** Milliseconds to wait for an offer before a solicit, and more for each node, since in a mesh that forms all at once
 *  every node makes offers to every other. A solicit that comes too soon undoes a negotiation that is only slow. */
const solicitDelay = 1000;
const solicitDelayPerNode = 60;

/** Sends the gathered news to every neighbor that did not bring it. */
export function flushNews(turn: Turn): void {
  const { mesh } = turn;
  mesh.newsAt = null;
  for (const [id, channel] of channelsByNeighbor(turn)) {
    const ids: string[] = [];
    for (const [subject, knowers] of mesh.news) if (subject !== id && !knowers.has(id)) ids.push(subject);
    if (ids.length > 0) tell(turn, channel, ids);
  }
  mesh.news.clear();
}

function spread(turn: Turn, id: string, teller: string): void {
  const { mesh } = turn;
  const knowers = mesh.news.get(id);
  if (knowers !== undefined) knowers.add(teller);
  else mesh.news.set(id, new Set([teller]));
  tellSoon(turn);
}

/** Has what is gathered sent. */
export function tellSoon({ mesh, env }: Turn): void {
  mesh.newsAt ??= env.now + newsDelay * (0.5 + env.random());
}

function hasNewsOf(turn: Turn, id: string): boolean {
  const member = turn.mesh.membership.members.get(id);
  return member !== undefined && turn.env.now - member.heardAt < turn.mesh.config.aliveInterval * 2;
}

/** `first`: what the first message says beside that. */
function tell(turn: Turn, channel: Channel, ids: readonly string[], first = {}): void {
  const entries: MemberEntry[] = [];
  for (const id of ids) {
    const entry = entryOf(turn.mesh.membership, id, turn.env.now);
    if (entry !== undefined && entry.age < turn.mesh.config.forgetAfter) entries.push(entry);
  }
  for (const [at, part] of partsOf(entries).entries())
    turn.effects.push({
      type: 'send',
      channel,
      message: { type: 'members', entries: part, ...(at === 0 ? first : {}) },
    });
}

function partsOf(entries: readonly MemberEntry[]): MemberEntry[][] {
  const parts: MemberEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const last = parts.at(-1);
    bytes += entry.record.length;
    if (last !== undefined && last.length < membersPerMessage && bytes <= recordBytesPerMessage) {
      last.push(entry);
      continue;
    }
    parts.push([entry]);
    bytes = entry.record.length;
  }
  return parts;
}
