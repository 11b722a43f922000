/**
 * Broadcast over the mesh. A node delivers a flood that is to itself, hands one to a neighbor straight on, sends one to a
 * node that it heard of through a neighbor to that next hop, and passes everything else to all neighbors but the one it
 * came from. A flood is verified before it teaches a next hop or travels on: its signature must hold, and it must be new
 * here, so that each flood passes a node once. What a neighbor itself says to another neighbor goes straight on
 * unverified: its channel vouches for the sender, one message makes one message, and the receiver verifies it.
 *
 * A next hop may be stale, or pass nothing on. A flood that was not answered is sent again as `wide`, to all neighbors at
 * each node, and so is the answer. A flood makes at most 2 · (edges between neighbors) messages in the whole mesh, and at
 * most one for each neighbor of a node.
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
import { refuse, spend } from './costs.ts';
import { prefixed } from './environment.ts';
import type { Channel } from './events.ts';
import { isSigned, type Membership, mismatchOf, readRecord } from './membership.ts';
import { keepFew, type Reach } from './reach.ts';
import { accept, newWindow } from './replay.ts';
import type { Turn } from './state.ts';

/** Hops. Most meshes are one or two hops across, but a chain of nodes that each reach only the next may be long. */
const initialTtl = 32;

const maxWindows = 4096;

/** Nodes whose next hop is remembered. They need not be members, since a node may forward between two strangers. */
const maxRoutes = 4096;

type Draft = Body extends infer B
  ? B extends Body
    ? Omit<B, 'from' | 'to' | 'epoch' | 'toEpoch' | 'counter'>
    : never
  : never;

/** Signs a body and sends it on its way to one node, or to everyone, as far as `reach` says. */
export function sendBody(
  turn: Turn,
  to: string,
  draft: Draft,
  reach: Reach = 'straight',
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
    ...(reach === 'wide' ? { wide: true } : {}),
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
  forward(turn, undefined, message, reach);
}

/** Takes in a flood from the neighbor `teller` and passes it on unless it is to us alone. Returns the body if it is to
 *  us. */
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
  const body = open(turn, message, teller);
  if (body === undefined) return undefined;
  learnRoute(turn, message.from, teller);
  if (!isOurs && message.ttl > 0) forward(turn, teller, onward, body.wide === true ? 'wide' : 'straight');
  return isOurs || message.to === everyone ? body : undefined;
}

/**
 * The body of a flood that its sender signed in its present epoch and that was not here before; one that is to us must
 * also name one of our epochs. A sender that we do not know, or know by an earlier start, is known by the record that it
 * sends along. The caller takes that record in only if the body is returned, and so is not a repeated one.
 */
function open(turn: Turn, message: FloodMessage, teller: string): Body | undefined {
  const { mesh, env } = turn;
  const known = mesh.membership.members.get(message.from)?.record;
  const introduced = message.sender === undefined ? undefined : readRecord(message.sender);
  const sender = introduced ?? known;
  if (sender === undefined || sender.id !== message.from) return undefined;
  const mismatch = mismatchOf(mesh.membership, sender, env.digest);
  if (mismatch !== undefined) {
    refuse(mesh, teller, mismatch, env.now);
    return undefined;
  }
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

/** Remembers the neighbor `teller` as the next hop to `node`. Of too many the one learned longest ago is dropped. */
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

/** Sends a flood on; `source` is the neighbor it came from, if it is not ours. A flood to a node that is unknown here goes
 *  nowhere. */
function forward(turn: Turn, source: string | undefined, message: FloodMessage, reach: Reach): void {
  const { mesh, effects } = turn;
  const straight = channelTo(turn, message.to);
  // What we repeat may be about the very link that would carry it.
  const isDoubtful = reach !== 'straight' && source === undefined && straight?.startsWith('link:');
  if (straight !== undefined && isDoubtful !== true) {
    effects.push({ type: 'send', channel: straight, message });
    return;
  }
  const via = mesh.routes.get(message.to);
  if (message.to !== everyone && via === undefined && !mesh.membership.members.has(message.to)) return;
  const channels = channelsByNeighbor(turn);
  const way = via === undefined ? undefined : channels.get(via);
  if (way !== undefined && reach === 'straight') {
    // Not back to where it came from, nor to its sender.
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
  if (reach === 'near') keepFew(channels, [message.to, via], turn.env.random);
  for (const channel of channels.values()) effects.push({ type: 'send', channel, message });
}

/** One channel for each neighbor: a WebSocket rather than a link, which may be dead without our knowing yet. */
export function channelsByNeighbor(turn: Turn): Map<string, Channel> {
  const channels = new Map<string, Channel>();
  for (const [channel, { id }] of turn.mesh.neighbors) {
    if (!channels.has(id) || channel.startsWith('ws:')) channels.set(id, channel);
  }
  return channels;
}

/** The channel that `channelsByNeighbor` has for one neighbor. */
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
