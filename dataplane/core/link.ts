/**
 * The links of a dataplane: a reducer over `LinkEvent`, whose effects the shell runs.
 *
 *   connecting ──a connection is open, or the direct path up──► up ──neither is──► lost ──► up ──► …
 *
 * A connection is open once its channels are, both hellos agree and both ends are ready. The interface belongs to the link:
 * it is opened when ICE has a pair that records may go by, or when the hellos of a connection first agree; it has carrier
 * while the link is up, and goes with the link. A link is up at neither end before both interfaces are open, which `ready`
 * says, or an answer to a probe: an end that cannot open its own would else have the other one come up and begin anew, over
 * and over. Without a connection it does not come up before packets of its MTU pass: the longer ones would be lost. Of
 * several open connections the shared one carries the packets, then the newest relayed one, then that by the WebSocket.
 */
import type { Route } from '../../protocol/signaling.ts';
import { type ChannelName, type WireMessage, wireVersion } from '../../protocol/wire.ts';
import {
  type AgreedMtu,
  type AgreedMtuEvent,
  begin as beginMtu,
  leastMtu,
  nextDeadline as mtuDeadline,
  newAgreedMtu,
  step as stepMtu,
} from './agreed-mtu.ts';

/** Milliseconds for a connection to open; control gives up sooner, unless it died meanwhile. */
const connectTimeout = 60_000;

export interface LinkConfig {
  readonly packetInformation: boolean;
  /** Bytes; what our interfaces take at most. */
  readonly mtu: number;
  /** Interfaces begin at the least MTU, and follow what their paths carry. */
  readonly autoMtu: boolean;
}

export interface LinkConnection {
  readonly negotiation: string;
  readonly route: Route;
  readonly deadline: number;
  readonly channels: Set<ChannelName>;
  /** What the peer said last of the MTU, once its hello came: `theirs` of `AgreedMtu`. */
  peerMtu: number | null;
  /** The offer of the MTU that we made last. */
  offered: number | null;
  /** The peer's end is at a TURN server. */
  peerRelayed: boolean;
  /** The peer will say when its interface is open; an older one does not, and counts as ready with its hello. */
  peerSaysReady: boolean;
  peerReady: boolean;
  /** The hellos agree, and our interface is open. */
  ready: boolean;
}

export interface Link {
  readonly peer: string;
  readonly connections: Map<string, LinkConnection>;
  active: string | null;
  /** The direct path carries packets, whether a connection is open or not. */
  direct: boolean;
  /** Bytes of the longest packet that is known to pass there. */
  fits: number;
  hasInterface: boolean;
  /** Once since it has the interface. */
  wasUp: boolean;
  mtu: AgreedMtu;
  reason: string;
}

export interface Links {
  config: LinkConfig;
  readonly byPeer: Map<string, Link>;
}

export type LinkEvent =
  | {
      readonly type: 'connect';
      readonly peer: string;
      readonly negotiation: string;
      readonly route: Route;
      /** A relayed connection that stays. */
      readonly replaces?: string | undefined;
    }
  | {
      readonly type: 'open';
      readonly peer: string;
      readonly negotiation: string;
      readonly channel: ChannelName;
      /** Our end is at a TURN server. */
      readonly relayed?: boolean;
    }
  | {
      readonly type: 'wire';
      readonly peer: string;
      readonly negotiation: string;
      readonly message: WireMessage;
    }
  | { readonly type: 'ended'; readonly peer: string; readonly negotiation: string; readonly reason: string }
  /** Control wants one connection closed. */
  | {
      readonly type: 'close';
      readonly peer: string;
      readonly negotiation: string;
      /** Why it was of no use, where that is known here. */
      readonly reason?: string | undefined;
    }
  /** ICE has a pair that records may go by. `mtu`: what the peer's hello will offer, if it is a new link to it too. */
  | {
      readonly type: 'paired';
      readonly peer: string;
      readonly negotiation: string;
      readonly mtu: number;
    }
  | { readonly type: 'direct'; readonly peer: string; readonly up: boolean }
  /** The direct path takes packets of up to so many bytes; more may be found while it is searched. */
  | { readonly type: 'fits'; readonly peer: string; readonly bytes: number; readonly searching: boolean }
  | { readonly type: 'interface-failed'; readonly peer: string; readonly reason: string }
  | { readonly type: 'remove'; readonly peer: string }
  | { readonly type: 'tick' };

export type LinkEffect =
  | { readonly type: 'close-connection'; readonly peer: string; readonly negotiation: string }
  | {
      readonly type: 'send-wire';
      readonly peer: string;
      readonly negotiation: string;
      readonly message: WireMessage;
    }
  | { readonly type: 'open-interface'; readonly peer: string; readonly mtu: number }
  /** The interface is open, and both hellos of a connection agree or ICE has a pair for it: its first keys open what comes. */
  | { readonly type: 'ready'; readonly peer: string; readonly negotiation: string }
  | { readonly type: 'set-mtu'; readonly peer: string; readonly mtu: number }
  | { readonly type: 'set-carrier'; readonly peer: string; readonly up: boolean }
  | { readonly type: 'close-interface'; readonly peer: string }
  /** A connection control did not close itself is gone. */
  | {
      readonly type: 'tell-ended';
      readonly peer: string;
      readonly negotiation: string;
      readonly route: Route;
      readonly reason: string;
    }
  | { readonly type: 'tell-link'; readonly peer: string };

export function newLinks(config: LinkConfig): Links {
  return { config, byPeer: new Map() };
}

export function isUp(link: Link): boolean {
  return link.active !== null || (link.direct && (link.wasUp || link.fits >= link.mtu.mtu));
}

export function isOpen(connection: LinkConnection): boolean {
  return connection.ready && connection.peerReady;
}

/** There is one at most. */
export function sharedOf({ connections }: Link): LinkConnection | undefined {
  return [...connections.values()].find(({ route }) => route === 'shared');
}

function agrees(connection: LinkConnection): boolean {
  return connection.channels.size === 3 && connection.peerMtu !== null;
}

/** When to `step` with a `tick` next: a connection times out, or an MTU may change. Undefined where nothing is to be
 *  done. Milliseconds. */
export function nextDeadline(links: Links): number | undefined {
  return earliest([...links.byPeer.values()].map(nextDeadlineOf));
}

/** The same for one link. Events of other links do not change it. */
export function nextDeadlineOf(link: Link | undefined): number | undefined {
  if (link === undefined) return undefined;
  const opening = [...link.connections.values()].filter((connection) => !isOpen(connection));
  return earliest([mtuDeadline(link.mtu), ...opening.map(({ deadline }) => deadline)]);
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((at) => at !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** Changes `links` in place. */
export function step(links: Links, event: LinkEvent, now: number): LinkEffect[] {
  const effects: LinkEffect[] = [];
  if (event.type === 'tick') {
    for (const link of links.byPeer.values()) {
      timeOut(link, now, effects);
      takeMtu(link, { type: 'tick' }, now, effects);
    }
    return effects;
  }
  if (event.type === 'connect') {
    connect(links, event, now, effects);
    return effects;
  }
  const link = links.byPeer.get(event.peer);
  if (link === undefined) return effects;
  switch (event.type) {
    case 'open': {
      const connection = link.connections.get(event.negotiation);
      if (connection === undefined) break;
      connection.channels.add(event.channel);
      if (event.channel === 'wire') {
        connection.offered = link.mtu.offer;
        const message: WireMessage = {
          type: 'hello',
          version: wireVersion,
          packetInformation: links.config.packetInformation,
          mtu: links.config.mtu,
          saysReady: true,
          carries: link.mtu.offer,
          full: true,
          ...(event.relayed === true ? { relayed: true } : {}),
        };
        effects.push({ type: 'send-wire', peer: link.peer, negotiation: event.negotiation, message });
      }
      if (agrees(connection)) settle(link, now, effects);
      break;
    }
    case 'wire':
      receiveWire(links, link, event, now, effects);
      break;
    case 'ended':
      end(link, event, now, effects);
      break;
    case 'close':
      if (!link.connections.delete(event.negotiation)) break;
      if (event.reason !== undefined) link.reason = event.reason;
      effects.push({ type: 'close-connection', peer: link.peer, negotiation: event.negotiation });
      settle(link, now, effects);
      break;
    case 'paired':
      if (!link.connections.has(event.negotiation)) break;
      openInterface(link, event.mtu, effects);
      effects.push({ type: 'ready', peer: link.peer, negotiation: event.negotiation });
      break;
    case 'direct':
      if (link.direct === event.up) break;
      settle(link, now, effects, () => {
        link.direct = event.up;
      });
      break;
    case 'fits': {
      const { bytes, searching } = event;
      const change = () => {
        link.fits = bytes;
      };
      // Packets of its MTU may pass now, for which the link has waited.
      if (link.direct && !isUp(link)) settle(link, now, effects, change);
      else change();
      if (links.config.autoMtu) takeMtu(link, { type: 'found', bytes, searching }, now, effects);
      break;
    }
    case 'interface-failed':
      link.hasInterface = false;
      link.wasUp = false;
      link.direct = false;
      link.fits = 0;
      link.mtu = firstMtu(links.config);
      link.reason = event.reason;
      for (const { negotiation, route } of link.connections.values()) {
        effects.push({ type: 'close-connection', peer: link.peer, negotiation });
        effects.push({ type: 'tell-ended', peer: link.peer, negotiation, route, reason: event.reason });
      }
      link.connections.clear();
      settle(link, now, effects);
      break;
    case 'remove':
      for (const negotiation of link.connections.keys()) {
        effects.push({ type: 'close-connection', peer: link.peer, negotiation });
      }
      if (link.hasInterface) effects.push({ type: 'close-interface', peer: link.peer });
      links.byPeer.delete(link.peer);
  }
  return effects;
}

function connect(
  links: Links,
  event: LinkEvent & { type: 'connect' },
  now: number,
  effects: LinkEffect[],
): void {
  let link = links.byPeer.get(event.peer);
  if (link === undefined) {
    link = {
      peer: event.peer,
      connections: new Map(),
      active: null,
      direct: false,
      fits: 0,
      hasInterface: false,
      wasUp: false,
      mtu: firstMtu(links.config),
      reason: '',
    };
    links.byPeer.set(event.peer, link);
  }
  for (const old of [...link.connections.values()]) {
    if (old.route !== event.route || (old.route === 'relay' && old.negotiation === event.replaces)) continue;
    link.connections.delete(old.negotiation);
    link.reason = 'negotiated anew';
    effects.push({ type: 'close-connection', peer: link.peer, negotiation: old.negotiation });
  }
  link.connections.set(event.negotiation, {
    negotiation: event.negotiation,
    route: event.route,
    deadline: now + connectTimeout,
    channels: new Set(),
    peerMtu: null,
    offered: null,
    peerRelayed: false,
    peerSaysReady: false,
    peerReady: false,
    ready: false,
  });
  settle(link, now, effects);
}

function receiveWire(
  links: Links,
  link: Link,
  { negotiation, message }: LinkEvent & { type: 'wire' },
  now: number,
  effects: LinkEffect[],
): void {
  const connection = link.connections.get(negotiation);
  if (connection === undefined) return;
  if (message.type === 'ready' && connection.peerSaysReady && !connection.peerReady) {
    connection.peerReady = true;
    if (isOpen(connection)) settle(link, now, effects);
  }
  if (message.type === 'mtu' && connection.peerMtu !== null) {
    connection.peerMtu = message.bytes;
    if (negotiation === link.active) takeMtu(link, { type: 'offered', bytes: message.bytes }, now, effects);
  }
  // The first one counts: a peer that says it again and again has nothing done for it.
  if (message.type !== 'hello' || connection.peerMtu !== null) return;
  const mismatch =
    message.version !== wireVersion
      ? `the peer’s dataplane speaks version ${message.version}`
      : message.packetInformation !== links.config.packetInformation
        ? 'only one side has --enable-packet-information'
        : undefined;
  if (mismatch !== undefined) {
    effects.push({ type: 'close-connection', peer: link.peer, negotiation });
    end(link, { negotiation, reason: mismatch }, now, effects);
    return;
  }
  connection.peerMtu = Math.min(message.mtu, message.carries ?? message.mtu);
  connection.peerRelayed = message.relayed === true;
  connection.peerSaysReady = message.saysReady === true;
  connection.peerReady ||= !connection.peerSaysReady;
  if (agrees(connection)) settle(link, now, effects);
}

function end(
  link: Link,
  { negotiation, reason }: { readonly negotiation: string; readonly reason: string },
  now: number,
  effects: LinkEffect[],
): void {
  const connection = link.connections.get(negotiation);
  if (connection === undefined) return;
  link.connections.delete(negotiation);
  link.reason = reason;
  effects.push({ type: 'tell-ended', peer: link.peer, negotiation, route: connection.route, reason });
  settle(link, now, effects);
}

function timeOut(link: Link, now: number, effects: LinkEffect[]): void {
  for (const connection of [...link.connections.values()]) {
    const { negotiation, deadline } = connection;
    if (isOpen(connection) || now < deadline) continue;
    effects.push({ type: 'close-connection', peer: link.peer, negotiation });
    end(link, { negotiation, reason: 'timed out' }, now, effects);
  }
}

/** Opens the interface where a connection whose hellos agree has none yet, and says so. */
function prepare(link: Link, connection: LinkConnection, effects: LinkEffect[]): void {
  if (connection.ready || !agrees(connection)) return;
  connection.ready = true;
  openInterface(link, connection.peerMtu!, effects);
  const { peer } = link;
  const { negotiation } = connection;
  effects.push({ type: 'ready', peer, negotiation });
  if (!connection.peerSaysReady) return;
  effects.push({ type: 'send-wire', peer, negotiation, message: { type: 'ready' } });
}

function openInterface(link: Link, peerMtu: number, effects: LinkEffect[]): void {
  if (link.hasInterface) return;
  link.hasInterface = true;
  beginMtu(link.mtu, peerMtu);
  effects.push({ type: 'open-interface', peer: link.peer, mtu: link.mtu.mtu });
}

/** The best route that there is. */
function bestOf(open: readonly LinkConnection[]): Route | undefined {
  return (['shared', 'relay', 'websocket'] as const).find((wanted) =>
    open.some(({ route }) => route === wanted),
  );
}

/** Picks the connection that carries the packets, after what `change` does, and lets the interface follow. */
function settle(link: Link, now: number, effects: LinkEffect[], change?: () => void): void {
  const wasUp = isUp(link);
  const before = link.active;
  change?.();
  for (const connection of link.connections.values()) prepare(link, connection, effects);
  const open = [...link.connections.values()].filter(isOpen);
  const best = open.findLast(({ route }) => route === bestOf(open));
  link.active = best?.negotiation ?? null;
  // With no connection left, what both ends agreed on last stays.
  if (best !== undefined && link.active !== before)
    takeMtu(link, { type: 'offered', bytes: best.peerMtu! }, now, effects);
  const up = isUp(link);
  link.wasUp ||= up;
  // While the direct path alone holds the link up, the reason for that will be the one for its loss.
  if (link.active !== null) link.reason = '';
  if (up !== wasUp) effects.push({ type: 'set-carrier', peer: link.peer, up });
  effects.push({ type: 'tell-link', peer: link.peer });
}

function firstMtu({ mtu, autoMtu }: LinkConfig): AgreedMtu {
  return newAgreedMtu(mtu, autoMtu ? leastMtu : mtu);
}

function takeMtu(link: Link, event: AgreedMtuEvent, now: number, effects: LinkEffect[]): void {
  if (!link.hasInterface) return;
  for (const effect of stepMtu(link.mtu, event, now)) {
    if (effect.type === 'set') effects.push({ type: 'set-mtu', peer: link.peer, mtu: effect.mtu });
  }
  for (const connection of link.connections.values()) {
    const { negotiation, offered } = connection;
    if (offered === null || offered === link.mtu.offer) continue;
    connection.offered = link.mtu.offer;
    const message: WireMessage = { type: 'mtu', bytes: link.mtu.offer };
    effects.push({ type: 'send-wire', peer: link.peer, negotiation, message });
  }
}
