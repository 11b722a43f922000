/** Events of links in the dataplane, and its effects in short. */
import {
  type LinkConfig,
  type LinkEffect,
  type LinkEvent,
  type Links,
  newLinks,
  step,
} from '../dataplane/core/link.ts';
import type { Route } from '../protocol/signaling.ts';
import { type ChannelName, type WireMessage, wireVersion } from '../protocol/wire.ts';

export const config: LinkConfig = { packetInformation: false, mtu: 1500, autoMtu: false };
export const channels: readonly ChannelName[] = ['signal', 'wire', 'data'];
/** Of a peer that does not say when its interface is open, and makes no offers of the MTU. */
export const hello = {
  type: 'hello',
  version: wireVersion,
  packetInformation: false,
  mtu: 1500,
} satisfies WireMessage;
export const ourHello = { ...hello, saysReady: true, carries: 1500, full: true } satisfies WireMessage;

type Feed = (...events: readonly LinkEvent[]) => LinkEffect[];

export function newFeed(links: Links = newLinks(config)): Feed {
  let now = 0;
  return (...events) => events.flatMap((event) => step(links, event, now++));
}

export function connect(peer: string, negotiation: string, route: Route = 'shared'): LinkEvent {
  return { type: 'connect', peer, negotiation, route };
}

/** Everything that makes a connection open. */
export function opening(peer: string, negotiation: string, message: WireMessage = hello): LinkEvent[] {
  return [
    ...channels.map((channel): LinkEvent => ({ type: 'open', peer, negotiation, channel })),
    { type: 'wire', peer, negotiation, message },
  ];
}

export function ended(peer: string, negotiation: string, reason = 'no path'): LinkEvent {
  return { type: 'ended', peer, negotiation, reason };
}

/** Effects in short: what a table shows. */
export function brief(effects: readonly LinkEffect[]): string[] {
  return effects.flatMap((effect) => {
    switch (effect.type) {
      case 'tell-link':
      case 'ready':
        return [];
      case 'open-interface':
      case 'set-mtu':
        return [`${effect.type} ${effect.mtu}`];
      case 'set-carrier':
        return [`carrier ${effect.up ? 'up' : 'down'}`];
      case 'close-connection':
        return [`close ${effect.negotiation}`];
      case 'send-wire':
        return [`wire ${effect.message.type} on ${effect.negotiation}`];
      case 'tell-ended':
        return [`ended ${effect.negotiation} (${effect.reason})`];
      default:
        return [effect.type];
    }
  });
}
