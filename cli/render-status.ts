/** The status report as text for people: first what readers of `wg show` and `tailscale status` look for. */
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { upOf } from './peers.ts';
import { printable } from './printable.ts';
import { aligned, shortened, type Terminal, wrap } from './terminal.ts';
import { bytes, duration, lossWords, pairWords, rttWords, stateWords, whyNotDirect } from './words.ts';

const wideColumns = [
  ...(['PEER', 'STATE', 'PATH', 'RTT', 'LOSS', 'MTU', 'INTERFACE', 'ADDRESS', 'PAIR', 'RX', 'TX'] as const),
];
const narrowColumns = ['PEER', 'STATE', 'PATH', 'RTT', 'LOSS', 'RX', 'TX'] as const;

const gap = '  ';
/** Columns that a peer's ID keeps even where there is too little room. */
const leastId = 6;

/** A direct path over Ethernet leaves an MTU of 1420 or 1440 bytes. A lower one than this is mentioned, except on a
 *  datachannel, where it is 1280 anyhow. */
const usualMtu = 1400;

/** Ends with a newline. If the table is wider than the terminal, a narrower one is printed, which has the rest about a
 *  peer on a line below it. */
export function renderStatus(report: StatusReport, terminal: Terminal, now = Date.now()): string {
  const lines = facts(report, now).flatMap(([name, text]) => labelled(name, text, terminal.width));
  if (report.peers.length > 0) lines.push('', ...table(report.peers, terminal, now));
  return `${lines.join('\n')}\n`;
}

/** A name in the first column and a text in the second, wrapped to `width`. */
export function labelled(name: string, text: string, width: number): string[] {
  const indent = 11;
  return wrap(printable(text), width - indent).map(
    (line, i) => `${(i === 0 ? name : '').padEnd(indent)}${line}`,
  );
}

function facts(report: StatusReport, now: number): [name: string, text: string][] {
  const { node, dataplane, peers } = report;
  const up = upOf(peers).length;
  const { connected, engine, udpPort, pid } = dataplane;
  return [
    ['node', `${node.id}  (${node.fingerprint ?? node.identity})`],
    ['version', `${report.version}, up ${duration(node.uptime * 1000)}`],
    ['listen', node.listen],
    ...tokenFact(report),
    ['dataplane', connected ? `${engine}, UDP port ${udpPort}, pid ${pid}` : 'not connected'],
    ...report.bootstrap.map(({ url, state, id, error }): [string, string] => [
      'bootstrap',
      `${url}  ${state}${id === null ? '' : ` (${id})`}${error === null ? '' : `: ${error}`}`,
    ]),
    ['neighbors', report.neighbors.map(({ id }) => id).join(' ') || 'none'],
    ['peers', `${up} of ${peers.length} up`],
    ...(report.warnings ?? []).map(({ peer, subject, message, since }): [string, string] => [
      'warning',
      `${peer === null ? '' : `${peer}: `}${subject}: ${message} (${duration(now - since)})`,
    ]),
  ];
}

/** One token is what a mesh has; that there are more means that it is changing it. */
function tokenFact({ tokens }: StatusReport): [name: string, text: string][] {
  if (tokens === undefined || tokens.accepted < 2) return [];
  return [['tokens', `${tokens.accepted} accepted; cryoc token list tells them apart`]];
}

function table(peers: readonly PeerStatus[], { color, width }: Terminal, now: number): string[] {
  const wide = aligned([wideColumns, ...peers.map((peer) => wideCells(peer, now))], gap);
  const fits = wide.every((line) => line.length <= width);
  const [header, ...rows] = fits ? wide : narrow(peers, width, now);
  const below = peers.map((peer) => (fits ? '' : aside(peer)));
  return [
    header!,
    ...rows.flatMap((row, i) => [
      painted(row, peers[i]!, color),
      ...(below[i] === '' ? [] : wrap(printable(below[i]!), width - gap.length)).map((line) =>
        painted(`${gap}${line}`, peers[i]!, color),
      ),
    ]),
  ];
}

function wideCells(peer: PeerStatus, now: number): string[] {
  const { counters, pair, path, reason, relayed } = peer;
  const device = peer.interface;
  const why = whyNotDirect(peer);
  return [
    peer.id,
    `${stateWords(peer, now)}${reason === '' ? '' : ` (${reason})`}`,
    path === null ? '-' : `${path}${relayed ? ', relayed' : why === '' ? '' : ` (${why})`}`,
    rttWords(peer),
    lossWords(peer),
    device === null ? '-' : `${device.mtu}`,
    device === null ? '-' : device.carrier ? device.name : `${device.name} (no carrier)`,
    // Without an address of our own on the interface the peer's cannot be reached.
    device === null || device.address === '' ? '-' : device.peerAddress,
    pair === null ? '-' : pairWords(pair),
    counters === null ? '-' : bytes(counters.rxBytes),
    counters === null ? '-' : bytes(counters.txBytes),
  ].map(printable);
}

function narrow(peers: readonly PeerStatus[], width: number, now: number): string[] {
  const rest = [
    narrowColumns.slice(1),
    ...peers.map((peer) =>
      [
        stateWords(peer, now),
        peer.relayed ? 'relayed' : (peer.path ?? '-'),
        rttWords(peer),
        lossWords(peer),
        peer.counters === null ? '-' : bytes(peer.counters.rxBytes),
        peer.counters === null ? '-' : bytes(peer.counters.txBytes),
      ].map(printable),
    ),
  ];
  const lines = aligned(rest, gap);
  const room = width - gap.length - Math.max(...lines.map((line) => line.length));
  const ids = shortened(
    peers.map(({ id }) => printable(id)),
    Math.max(leastId, room),
  );
  return aligned(
    [narrowColumns[0], ...ids].map((id, i) => [id, lines[i]!]),
    gap,
  );
}

/** What the narrow table has no column for. */
function aside(peer: PeerStatus): string {
  const { path, reason } = peer;
  const why = whyNotDirect(peer);
  const mtu = peer.interface?.mtu ?? usualMtu;
  const all = [
    reason,
    why === '' ? '' : `not direct: ${why}`,
    path === 'direct' && mtu < usualMtu ? `MTU ${mtu}` : '',
  ];
  return all.filter((text) => text !== '').join('; ');
}

function painted(line: string, { state }: PeerStatus, color: boolean): string {
  if (!color) return line;
  return `\x1b[${state === 'up' ? 32 : state === 'denied' || state === 'refused' ? 31 : 33}m${line}\x1b[0m`;
}
