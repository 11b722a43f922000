/**
 * Broadcast over the mesh. A node delivers what is to it, hands straight on what is to one of its neighbors, sends what
 * is to a node that it has heard of through a neighbor back that way, and passes everything else to all neighbors but
 * the one it came from. A flood is proven before it teaches a way or travels on: by its signature and by being none that
 * was here before, so that each passes a node once. What a neighbor says itself, to another neighbor, goes straight on
 * unproven: its channel vouches for who it is, one message makes one message, and the receiver looks.
 *
 * Ways may be stale or lead to who passes nothing on. What was not answered goes `wide`, by all neighbors at each node,
 * and so does the answer. At most 2 · (edges between neighbors) messages in the whole mesh, and at most one for each
 * neighbor of a node.
 */
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import {
  type Body,
  body as bodySchema,
  domain,
  everyone,
  type FloodMessage,
} from '../../protocol/signaling.ts';
import { spend } from './costs.ts';
import { prefixed } from './environment.ts';
import type { Channel } from './events.ts';
import { isSigned, type Membership, readRecord, speaksFor } from './membership.ts';
import { accept, newWindow } from './replay.ts';
import type { Turn } from './state.ts';

/** Hops. A mesh is one or two across; a chain of nodes that reach only the next may be long. */
const initialTtl = 32;

const maxWindows = 4096;

/** Nodes that we remember a way to. A node that forwards need not have heard of either end. */
const maxRoutes = 4096;

type Draft = Body extends infer B
  ? B extends Body
    ? Omit<B, 'from' | 'to' | 'epoch' | 'toEpoch' | 'counter'>
    : never
  : never;

/** Signs a body and sends it on its way to one node, or to everyone; with `wide` by all ways, whatever way is known, and
 *  with `near` to all our neighbors, which know ways of their own. */
export function sendBody(
  turn: Turn,
  to: string,
  draft: Draft,
  wide: boolean | 'near' = false,
  toEpoch?: number,
): void {
  const { mesh, env } = turn;
  const content = encode({
    ...draft,
    from: mesh.self.id,
    to,
    epoch: mesh.self.epoch,
    toEpoch: toEpoch ?? mesh.membership.members.get(to)?.record.epoch ?? 0,
    counter: ++mesh.counter,
    ...(wide === true ? { wide } : {}),
  });
  const introduces = draft.kind === 'offer' || draft.kind === 'solicit';
  const message: FloodMessage = {
    type: 'flood',
    from: mesh.self.id,
    to,
    ttl: initialTtl,
    body: content,
    signature: env.sign(prefixed(domain.body, content)),
    ...(introduces ? { sender: mesh.membership.selfSigned } : {}),
  };
  forward(turn, undefined, message, wide !== false);
}

/** Passes a flood from the neighbor `teller` on, where it is not to us alone. Returns the body of what is to us. */
export function arrive(turn: Turn, teller: string, message: FloodMessage): Body | undefined {
  const { mesh, env, effects } = turn;
  if (message.from === mesh.self.id) return undefined;
  const isOurs = message.to === mesh.self.id;
  const onward = { ...message, ttl: message.ttl - 1 };
  const straight = teller === message.from && !isOurs ? channelTo(turn, message.to) : undefined;
  if (straight !== undefined) {
    if (message.ttl > 0 && spend(mesh, teller, 'signatures', env.now)) {
      effects.push({ type: 'send', channel: straight, message: onward });
    }
    return undefined;
  }
  const sender = mesh.membership.members.has(message.from) ? message.from : '';
  if (sender !== teller && !spend(mesh, teller, 'floods', env.now, 1, sender)) return undefined;
  const body = open(turn, message);
  if (body === undefined) return undefined;
  learnRoute(turn, message.from, teller);
  if (!isOurs && message.ttl > 0) forward(turn, teller, onward, body.wide === true);
  return isOurs || message.to === everyone ? body : undefined;
}

/**
 * The body, where it is truly from whom it says, of this epoch, and new; what is to us is also to this start of us. A
 * sender that we do not know, or by an earlier start, introduces itself by the record it sends along: that counts as
 * heard of only once the body proves to be none that was sent before.
 */
function open(turn: Turn, message: FloodMessage): Body | undefined {
  const { mesh, env } = turn;
  const known = mesh.membership.members.get(message.from)?.record;
  const introduced = message.sender === undefined ? undefined : readRecord(message.sender);
  const sender = introduced ?? known;
  if (sender === undefined || sender.id !== message.from) return undefined;
  if (!speaksFor(mesh.membership, sender)) return undefined;
  if (!env.verify(sender.key, prefixed(domain.body, message.body), message.signature)) return undefined;
  const body = tryParse(message.body);
  if (body === undefined || body.from !== message.from || body.to !== message.to) return undefined;
  if (body.to === mesh.self.id && !mesh.epochs.own.includes(body.toEpoch)) return undefined;
  if (body.epoch < (known?.epoch ?? 0) || (introduced ?? body).epoch !== body.epoch) return undefined;
  const isNews = introduced !== undefined && introduced.epoch !== known?.epoch;
  if (isNews && !isSigned(introduced, message.sender!, env)) return undefined;
  let window = mesh.windows.get(body.from);
  if (window === undefined) {
    if (mesh.windows.size >= maxWindows) dropStrangers(turn, mesh.membership);
    window = newWindow();
    mesh.windows.set(body.from, window);
  }
  return accept(window, body.epoch, body.counter) ? body : undefined;
}

/** `node` is heard of through the neighbor `teller`. The way learned longest ago gives way to new ones. */
export function learnRoute({ mesh: { routes } }: Turn, node: string, teller: string): void {
  if (teller === node) return;
  routes.delete(node);
  routes.set(node, teller);
  if (routes.size <= maxRoutes) return;
  for (const oldest of routes.keys()) {
    routes.delete(oldest);
    return;
  }
}

/** `source`: the neighbor it came from. Nobody is asked for a node that nobody told of. */
function forward(turn: Turn, source: string | undefined, message: FloodMessage, wide: boolean): void {
  const { mesh, effects } = turn;
  const straight = channelTo(turn, message.to);
  // What we say by all ways may be about the very link that is the straight one.
  const isDoubtful = wide && source === undefined && straight?.startsWith('link:');
  if (straight !== undefined && isDoubtful !== true) {
    effects.push({ type: 'send', channel: straight, message });
    return;
  }
  const via = mesh.routes.get(message.to);
  if (message.to !== everyone && via === undefined && !mesh.membership.members.has(message.to)) return;
  const channels = channelsByNeighbor(turn);
  const way = via === undefined ? undefined : channels.get(via);
  if (way !== undefined && !wide) {
    // Who told us of a node has nothing to find out from us.
    if (via !== source && via !== message.from) effects.push({ type: 'send', channel: way, message });
    return;
  }
  if (source !== undefined) {
    channels.delete(source);
    channels.delete(message.from);
    const bytes = message.body.length * channels.size;
    const payer = mesh.accounts.has(message.from) ? message.from : source;
    if (!spend(mesh, payer, 'copies', turn.env.now, bytes)) return;
  }
  for (const channel of channels.values()) effects.push({ type: 'send', channel, message });
}

/** One channel for each neighbor; a WebSocket before a link, which may be lost without our knowing yet. */
export function channelsByNeighbor(turn: Turn): Map<string, Channel> {
  const channels = new Map<string, Channel>();
  for (const [channel, { id }] of turn.mesh.neighbors) {
    if (!channels.has(id) || channel.startsWith('ws:')) channels.set(id, channel);
  }
  return channels;
}

/** The same for one neighbor. */
function channelTo(turn: Turn, neighbor: string): Channel | undefined {
  let found: Channel | undefined;
  for (const [channel, { id }] of turn.mesh.neighbors) {
    if (id === neighbor && (found === undefined || channel.startsWith('ws:'))) found = channel;
  }
  return found;
}

function tryParse(bytes: Uint8Array): Body | undefined {
  try {
    return parse(bodySchema, bytes);
  } catch {
    return undefined;
  }
}

function dropStrangers(turn: Turn, membership: Membership): void {
  for (const id of turn.mesh.windows.keys()) if (!membership.members.has(id)) turn.mesh.windows.delete(id);
}
