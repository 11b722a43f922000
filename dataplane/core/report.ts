/** What control is told of a link. */
import type { LinkReport } from '../../protocol/dataplane.ts';
import { isOpen, isUp, type Link } from './link.ts';

/** Whether the selected pair goes through a TURN server. */
export function isRelayed(pair: LinkReport['pair']): boolean {
  return pair?.local.type === 'relay' || pair?.remote.type === 'relay';
}

/** The peer knows better whether its end is at a relay: a relay with many addresses may send from any. */
export function pairOf(link: Link, selected: LinkReport['pair'] | undefined): LinkReport['pair'] {
  if (selected == null || link.active === null) return null;
  const relayed = link.connections.get(link.active)?.peerRelayed === true;
  return relayed ? { ...selected, remote: { ...selected.remote, type: 'relay' } } : selected;
}

/** What carries its packets; null while it is not up. */
export function pathOf(link: Link): LinkReport['path'] {
  if (!isUp(link)) return null;
  if (link.direct) return 'direct';
  return link.connections.get(link.active ?? '')?.route === 'websocket' ? 'websocket' : 'datachannel';
}

export function reportOf(link: Link, seen: Pick<LinkReport, 'direct' | 'pair' | 'interface'>): LinkReport {
  return {
    peer: link.peer,
    state: isUp(link) ? 'up' : link.wasUp ? 'lost' : 'connecting',
    reason: link.reason,
    active: link.active,
    connections: [...link.connections.values()].map((connection) => ({
      negotiation: connection.negotiation,
      route: connection.route,
      open: isOpen(connection),
    })),
    path: pathOf(link),
    ...seen,
  };
}
