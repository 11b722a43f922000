/** Everything about one peer, as text for people. */
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { labelled } from './render-status.ts';
import type { Terminal } from './terminal.ts';
import { bytes, duration, endWords, lossWords, rttWords, stateAndReason, whyNotDirect } from './words.ts';

/** One fact a line; ends with a newline. */
export function renderPeer(
  peer: PeerStatus,
  report: StatusReport,
  { width }: Terminal,
  now = Date.now(),
): string {
  const facts = factsOf(peer, report, now).flatMap(([name, text]) => labelled(name, text, width));
  return `${facts.join('\n')}\n`;
}

function factsOf(peer: PeerStatus, report: StatusReport, now: number): [name: string, text: string][] {
  const { counters, farReason, pair, relayed, rtt, minRtt, pathMtu } = peer;
  const device = peer.interface;
  const why = whyNotDirect(peer);
  const via = report.neighbors.find(({ id }) => id === peer.id)?.via;
  const facts: [name: string, text: string][] = [
    ['peer', `${peer.id}  (${peer.fingerprint ?? peer.identity})`],
    ['state', `${stateAndReason(peer, now)}${peer.degraded ? ', degraded' : ''}`],
    ...(farReason ? [['far end', `says: ${farReason}`] as [string, string]] : []),
    ['offers', peer.offerer === 'self' ? 'this node' : 'the peer'],
    ['signaled', via === undefined ? 'by way of others' : `by ${via.join(' and ')}`],
  ];
  if (peer.path !== null) {
    facts.push(['path', `${peer.path}${relayed ? ', relayed' : why === '' ? '' : `: not direct, ${why}`}`]);
  }
  if (rtt !== null) {
    const least = minRtt == null ? '' : `, at least ${minRtt.toFixed(1)}ms`;
    facts.push(['round trip', `${rttWords(peer)}${least}, loss ${lossWords(peer)}`]);
  }
  if (pair !== null) facts.push(['here', endWords(pair.local)], ['there', endWords(pair.remote)]);
  if (device !== null) {
    const path = pathMtu == null ? '' : `; the path carries ${pathMtu}`;
    facts.push(
      ['interface', `${device.name}, index ${device.index}${device.carrier ? '' : ', no carrier'}`],
      ['addresses', `${device.address || 'none'} here, ${device.peerAddress || 'none'} there`],
      ['MTU', `${device.mtu}${path}`],
    );
  }
  if (counters !== null) {
    facts.push(
      ['received', `${bytes(counters.rxBytes)}, ${counters.rxPackets} packets`],
      ['sent', `${bytes(counters.txBytes)}, ${counters.txPackets} packets`],
    );
  }
  const dropped = Object.entries(peer.dropped ?? {}).map(([cause, packets]) => `${cause} ${packets}`);
  if (dropped.length > 0) facts.push(['dropped', dropped.join(', ')]);
  for (const { subject, message, since, peer: about } of report.warnings ?? []) {
    if (about === peer.id) facts.push(['warning', `${subject}: ${message} (${duration(now - since)})`]);
  }
  return facts;
}
