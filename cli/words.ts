/** Numbers and states as words for people. */
import type { NodeEvent } from '../protocol/events.ts';
import type { PeerStatus } from '../protocol/status.ts';

export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${Math.floor((seconds % 86_400) / 3600)}h`;
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)}${units[unit]}`;
}

/** `up 5m5s`. A link that is down has the time since it was last up, whatever was tried meanwhile. */
export function stateWords({ state, since, downSince }: PeerStatus, now: number): string {
  const start = state === 'up' ? since : (downSince ?? since);
  return start > 0 ? `${state} ${duration(now - start)}` : state;
}

/** The same, and why where there is a reason: `lost 4s: no path found`. */
export function stateAndReason(peer: PeerStatus, now: number): string {
  const { reason } = peer;
  return `${stateWords(peer, now)}${reason === '' ? '' : `: ${reason}`}`;
}

export function rttWords({ rtt }: PeerStatus): string {
  if (rtt === null) return '-';
  return rtt < 10_000 ? `${rtt.toFixed(1)}ms` : duration(rtt);
}

export function lossWords({ loss }: PeerStatus): string {
  return loss == null ? '-' : `${Math.round(loss * 100)}%`;
}

/** Why packets go by datachannel or WebSocket and not by direct path. Empty for a relayed link, which has no direct path. */
export function whyNotDirect({ path, relayed, direct }: PeerStatus): string {
  if (path === 'websocket') return 'no UDP passes between the two nodes';
  return path === 'datachannel' && !relayed ? (direct?.reason ?? '') : '';
}

export function pairWords(pair: NonNullable<PeerStatus['pair']>): string {
  return `${endWords(pair.local)} ↔ ${endWords(pair.remote)}`;
}

export function endWords({ type, address, port }: NonNullable<PeerStatus['pair']>['local']): string {
  return `${type} ${hostPort({ address, port })}`;
}

export function hostPort({
  address,
  port,
}: Pick<NonNullable<PeerStatus['pair']>['local'], 'address' | 'port'>): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** What an event says beside its name and the peer that it is about. */
export function eventWords(event: NodeEvent): string {
  const { interface: device, path, pathBefore, mtu, mtuBefore, address, reason, leftOut } = event;
  const { applied = [], needsRestart = [], version } = event;
  return [
    device,
    pathBefore === undefined ? path : `${pathBefore} → ${path}`,
    mtuBefore === undefined ? mtu && `MTU ${mtu}` : `MTU ${mtuBefore} → ${mtu}`,
    address,
    version,
    applied.length > 0 && `changed: ${applied.join(' ')}`,
    needsRestart.length > 0 && `after a restart: ${needsRestart.join(' ')}`,
    reason && `(${reason})`,
    leftOut && `and ${leftOut} more like this`,
  ]
    .filter((part) => part)
    .join(' ');
}
