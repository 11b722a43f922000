/**
 * The metrics of a node, a row each: name, help, labels and values. No address is a label, and labels take few values:
 * only peers that were ever linked have series of their own, the first known of them, so that nodes which a member invents
 * make none and take nobody's.
 */
import type { ProcessFigures } from '../../protocol/process-figures.ts';
import { linkStates, type PeerStatus, type StatusReport } from '../../protocol/status.ts';
import { type Outcomes, outcomes } from '../core/outcomes.ts';

/** Peers with series of their own. */
export const maxPeers = 1024;

/** What metrics are made from. */
export interface Figures {
  readonly report: StatusReport;
  /** IDs of peers that were ever linked or are named by the operator, in the order of their first links. */
  readonly known: Iterable<string>;
  readonly outcomes: Readonly<Outcomes>;
  /** What control and the dataplane refused, by cause. */
  readonly refused: Readonly<Record<'control' | 'dataplane', Readonly<Record<string, number>>>>;
  /** Missing for a dataplane that does not answer. */
  readonly processes: Readonly<{ control: ProcessFigures; dataplane?: ProcessFigures | undefined }>;
  readonly reload: Readonly<{
    /** Whether the configuration that was read last could be used. */
    ok: boolean;
    /** Milliseconds since the Unix epoch: when one was read last that could. */
    at: number;
  }>;
}

/** A value, then that of each label. */
export type Sample = readonly [value: number, ...labels: string[]];

export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  samples(figures: Figures, peers: readonly PeerStatus[]): Iterable<Sample>;
}

/** Of causes in `dropped`, those of the way out; the others are of the way in (cryoc(1)). */
const outward: ReadonlySet<string> = new Set(['queue', 'datachannel', 'socket', 'tooLong', 'keys', 'loop']);

export const metrics: readonly Metric[] = [
  gauge('build_info', 'Version of this node; always 1.', ['version'], ({ report }) => [[1, report.version]]),
  gauge('dataplane_up', 'Whether control is connected to the dataplane.', [], ({ report }) => [
    [Number(report.dataplane.connected)],
  ]),
  gauge('neighbors', 'Nodes that can be signaled directly.', [], ({ report }) => [[report.neighbors.length]]),
  gauge('peers', 'Known nodes by the state of their link.', ['state'], ({ report }) => {
    const counts = new Map<string, number>(linkStates.map((state) => [state, 0]));
    for (const { state } of report.peers) counts.set(state, counts.get(state)! + 1);
    return [...counts].map(([state, count]) => [count, state]);
  }),
  gauge('warnings', 'What an operator can mend, by subject.', ['subject'], ({ report }) =>
    [...Map.groupBy(report.warnings ?? [], ({ subject }) => subject)].map(([subject, { length }]) => [
      length,
      subject,
    ]),
  ),
  gauge(
    'peer_info',
    'A peer that was ever linked; always 1.',
    ['peer', 'interface', 'identity'],
    (_figures, peers) => peers.map((peer) => [1, peer.id, peer.interface?.name ?? '', peer.identity]),
  ),
  ofPeers('peer_up', 'Whether packets pass.', ({ state }) => Number(state === 'up')),
  gauge(
    'peer_path',
    'The path in use, direct, datachannel, relayed or websocket; 1.',
    ['peer', 'path'],
    (_figures, peers) =>
      peers.flatMap(({ id, path, relayed }) => (path === null ? [] : [[1, id, relayed ? 'relayed' : path]])),
  ),
  ofPeers('peer_cost', 'Cost of the link, for routing: round trip, loss and relay.', ({ cost }) => cost),
  ofPeers('peer_rtt_seconds', 'Smoothed round trip time.', ({ rtt }) => inSeconds(rtt)),
  ofPeers('peer_rtt_min_seconds', 'Shortest round trip of the last probes.', ({ minRtt }) =>
    inSeconds(minRtt),
  ),
  ofPeers('peer_loss_ratio', 'Share of the last probes that were not answered.', ({ loss }) => loss),
  ofPeers(
    'peer_path_mtu_bytes',
    'Largest IP packet between the nodes that is known to arrive.',
    ({ pathMtu }) => pathMtu,
  ),
  ofPeers('peer_mtu_bytes', 'MTU of the interface.', ({ interface: device }) => device?.mtu),
  counted('peer_receive_bytes_total', 'Bytes of packets from the peer.', 'rxBytes'),
  counted('peer_transmit_bytes_total', 'Bytes of packets to the peer.', 'txBytes'),
  counted('peer_receive_packets_total', 'Packets from the peer.', 'rxPackets'),
  counted('peer_transmit_packets_total', 'Packets to the peer.', 'txPackets'),
  counter(
    'peer_dropped_packets_total',
    'Packets dropped by cause, as cryoc(1) has them.',
    ['peer', 'direction', 'reason'],
    (_figures, peers) => peers.flatMap(drops),
  ),
  counter('negotiations_total', 'Attempts to connect by what became of them.', ['result'], (figures) =>
    outcomes.map((result) => [figures.outcomes[result], result]),
  ),
  counter(
    'handshake_failures_total',
    'Others than neighbors that control refused.',
    ['reason'],
    ({ refused }) => byCause(refused.control),
  ),
  counter(
    'refused_total',
    'What the dataplane refused of peers that it cut off.',
    ['reason'],
    ({ refused }) => byCause(refused.dataplane),
  ),
  gauge(
    'config_last_reload_successful',
    'Whether the configuration read last could be used.',
    [],
    ({ reload }) => [[Number(reload.ok)]],
  ),
  gauge(
    'config_last_reload_success_timestamp_seconds',
    'When a configuration was read last that could be used.',
    [],
    ({ reload }) => [[reload.at / 1000]],
  ),
  ofProcesses('counter', 'process_cpu_seconds_total', 'Processor time.', ({ cpu }) => cpu),
  ofProcesses('gauge', 'process_resident_memory_bytes', 'Resident memory.', ({ memory }) => memory),
  ofProcesses('gauge', 'process_open_fds', 'Open file descriptors.', ({ files }) => files),
];

/** Those with series of their own. */
export function peersOf({ report, known }: Figures): PeerStatus[] {
  const byId = new Map(report.peers.map((peer) => [peer.id, peer]));
  const peers: PeerStatus[] = [];
  for (const id of known) {
    if (peers.length === maxPeers) break;
    const peer = byId.get(id);
    if (peer !== undefined) peers.push(peer);
  }
  return peers;
}

function row(type: Metric['type']) {
  return (name: string, help: string, labels: readonly string[], samples: Metric['samples']): Metric => ({
    ...{ name: `cryonet_${name}`, type, help, labels, samples },
  });
}

function gauge(...parts: Parameters<ReturnType<typeof row>>): Metric {
  return row('gauge')(...parts);
}

function counter(...parts: Parameters<ReturnType<typeof row>>): Metric {
  return row('counter')(...parts);
}

/** What is not known yet has no series. */
function ofPeers(name: string, help: string, value: (peer: PeerStatus) => number | null | undefined): Metric {
  return gauge(name, help, ['peer'], (_figures, peers) => known(peers, value));
}

function counted(name: string, help: string, field: keyof NonNullable<PeerStatus['counters']>): Metric {
  return counter(name, help, ['peer'], (_figures, peers) =>
    known(peers, ({ counters }) => counters?.[field]),
  );
}

function known(
  peers: readonly PeerStatus[],
  value: (peer: PeerStatus) => number | null | undefined,
): Sample[] {
  return peers.flatMap((peer) => {
    const each = value(peer);
    return each == null ? [] : [[each, peer.id]];
  });
}

function drops({ id, dropped }: PeerStatus): Sample[] {
  return Object.entries(dropped ?? {}).map(
    ([cause, count]): Sample => [count, id, outward.has(cause) ? 'transmit' : 'receive', cause],
  );
}

function byCause(counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([cause, count]) => [count, cause]);
}

function ofProcesses(
  type: Metric['type'],
  name: string,
  help: string,
  value: (figures: ProcessFigures) => number | null,
): Metric {
  return row(type)(name, help, ['process'], ({ processes }) =>
    Object.entries(processes).flatMap(([process, figures]) => {
      const each = figures === undefined ? null : value(figures);
      return each === null ? [] : [[each, process]];
    }),
  );
}

function inSeconds(milliseconds: number | null | undefined): number | null {
  return milliseconds == null ? null : milliseconds / 1000;
}
