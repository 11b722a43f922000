/** The status report for people: what `wg show` and `tailscale status` readers look for first. */
import type { PeerStatus, StatusReport, Warning } from '../protocol/status.ts';

interface Terminal {
  readonly isTTY?: boolean;
}

const columns = ['PEER', 'STATE', 'PATH', 'RTT', 'INTERFACE', 'ADDRESS', 'PAIR', 'RX', 'TX'] as const;

/** Ends with a newline; colored on a terminal unless NO_COLOR is set. */
export function renderStatus(report: StatusReport, terminal: Terminal, now = Date.now()): string {
  const color = terminal.isTTY === true && !process.env.NO_COLOR;
  const { node, dataplane } = report;
  const up = report.peers.filter(({ state }) => state === 'up').length;
  const lines = [
    `node       ${node.id}  (${node.identity})`,
    `version    ${report.version}, up ${duration(node.uptime * 1000)}`,
    `listen     ${node.listen}`,
    `dataplane  ${dataplane.connected ? `${dataplane.engine}, UDP port ${dataplane.udpPort}, pid ${dataplane.pid}` : 'not connected'}`,
    ...report.bootstrap.map(
      ({ url, state, id, error }) =>
        `bootstrap  ${url}  ${state}${id === null ? '' : ` (${id})`}${error === null ? '' : `: ${error}`}`,
    ),
    `neighbors  ${report.neighbors.map(({ id }) => id).join(' ') || 'none'}`,
    `peers      ${up} of ${report.peers.length} up`,
    ...(report.warnings ?? []).map((warning) => warningLine(warning, now)),
  ];
  if (report.peers.length > 0) lines.push('', ...table(report.peers, now, color));
  return `${lines.join('\n')}\n`;
}

function warningLine({ subject, peer, message, since }: Warning, now: number): string {
  return `warning    ${peer === null ? '' : `${peer}: `}${subject}: ${printable(message)} (${duration(now - since)})`;
}

/** What a peer or a server wrote must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

function table(peers: readonly PeerStatus[], now: number, color: boolean): string[] {
  const rows = peers.map((peer) => cells(peer, now));
  const widths = columns.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const format = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  return [
    format(columns),
    ...rows.map((row, i) => {
      const line = format(row);
      if (!color) return line;
      const { state } = peers[i]!;
      return `\x1b[${state === 'up' ? 32 : state === 'denied' || state === 'refused' ? 31 : 33}m${line}\x1b[0m`;
    }),
  ];
}

function cells(peer: PeerStatus, now: number): string[] {
  const { pair, counters, rtt } = peer;
  const device = peer.interface;
  const since = peer.since > 0 ? ` ${duration(now - peer.since)}` : '';
  return [
    peer.id,
    `${peer.state}${since}${peer.reason === '' ? '' : ` (${peer.reason})`}`,
    pathCell(peer),
    rtt === null ? '-' : `${rtt.toFixed(1)}ms`,
    device === null ? '-' : device.carrier ? device.name : `${device.name} (no carrier)`,
    // Without an address of our own there the peer's is not reached.
    device === null || device.address === '' ? '-' : device.peerAddress,
    pair === null ? '-' : `${end(pair.local)} ↔ ${end(pair.remote)}`,
    counters === null ? '-' : bytes(counters.rxBytes),
    counters === null ? '-' : bytes(counters.txBytes),
  ];
}

/** A relayed link is not meant to be direct; any other says why it is not. */
function pathCell({ path, relayed, direct }: PeerStatus): string {
  if (path === null) return '-';
  if (relayed) return `${path}, relayed`;
  return path === 'datachannel' && direct?.reason ? `${path} (${direct.reason})` : path;
}

function end({ type, address, port }: { type: string; address: string; port: number }): string {
  return `${type} ${address.includes(':') ? `[${address}]` : address}:${port}`;
}

export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${Math.floor((seconds % 86_400) / 3600)}h`;
}

function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)}${units[unit]}`;
}
