/** The figures, in the order of the table, with what they must reach. */

/** A bound of the value itself, or of its ratio to the value of each of these subjects in the same round. */
type Target = ({ readonly atMost: number } | { readonly atLeast: number }) & {
  readonly times?: readonly string[];
};

export interface Figure {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly digits: number;
  /** What cryonet must reach. */
  readonly target?: Target;
  /** Why a contender has no value here, where it is not that it was left out. */
  readonly notes?: Readonly<Record<string, string>>;
  /** How it was measured, where the label does not say it. */
  readonly note?: string;
}

const byHand = 'Needs no time to form: every node is configured with all others’ keys and addresses.';
const wholeDaemon =
  'There is no part that could be restarted alone: the whole program is killed and started again.';
const silentStun = 'Asks no STUN server.';
const nothingCached = 'Keeps nothing between starts.';
const noDatachannels = 'Has no datachannels.';
const noJavaScript = 'Runs no JavaScript.';
const onlyOwn = 'Not measured.';
const pings =
  'One ping every 5 ms, 600 of them; a round trip ends when the kernel has the answer, and one without an answer counts as a second. The flow goes the same way as the pings.';

export const figures: readonly Figure[] = [
  {
    key: 'mesh-10',
    label: '10 nodes: last start → every pair answers ping',
    unit: 's',
    digits: 2,
    target: { atMost: 5 },
    notes: { 'wireguard-go': byHand },
  },
  {
    key: 'mesh-30',
    label: '30 nodes: the same',
    unit: 's',
    digits: 2,
    target: { atMost: 25 },
    notes: { 'wireguard-go': byHand },
  },
  {
    key: 'first-packet',
    label: 'first packet between two nodes, both up in the mesh',
    unit: 's',
    digits: 3,
    target: { atMost: 1 },
    note: 'cryonet: from joining (the last moment at which the node was not yet connected to its bootstrap node) to the first answer from a node that was there already. The others make a tunnel when there is a packet for it: from the first ping to its first answer.',
  },
  {
    key: 'first-packet-silent-stun',
    label: 'the same, with a STUN server that does not answer',
    unit: 's',
    digits: 3,
    target: { atMost: 1 },
    notes: { 'wireguard-go': silentStun, nebula: silentStun, tinc: silentStun },
  },
  {
    key: 'tcp',
    label: 'one TCP flow (iperf3)',
    unit: 'Mbit/s',
    digits: 0,
    target: { atLeast: 8, times: ['wireguard-go', 'nebula', 'tinc'] },
  },
  { key: 'tcp-reverse', label: 'the same in reverse', unit: 'Mbit/s', digits: 0 },
  {
    key: 'tcp-balance',
    label: 'the slower direction ÷ the faster',
    unit: '×',
    digits: 2,
    target: { atLeast: 0.85 },
  },
  { key: 'tcp-both', label: 'one TCP flow each way at once, the sum', unit: 'Mbit/s', digits: 0 },
  {
    key: 'tcp-both-ratio',
    label: 'the sum of both ÷ one flow alone',
    unit: '×',
    digits: 2,
    target: { atLeast: 1 },
  },
  {
    key: 'cpu-per-gb',
    label: 'CPU time per 10⁹ bytes of that flow',
    unit: 's',
    digits: 2,
    target: { atMost: 0.3, times: ['wireguard-go'] },
    note: 'User and system time of the overlay’s processes at both ends. What the kernel does in its own threads and in soft interrupts cannot be laid to a program and is left out.',
  },
  {
    key: 'tcp-datachannel',
    label: 'one TCP flow over datachannels alone',
    unit: 'Mbit/s',
    digits: 0,
    notes: { 'wireguard-go': noDatachannels, nebula: noDatachannels, tinc: noDatachannels },
  },
  {
    key: 'tcp-ratio',
    label: 'one TCP flow ÷ two bare node-datachannel processes',
    unit: '×',
    digits: 2,
    target: { atLeast: 0.7 },
    note: 'cryonet over datachannels alone. What two processes with nothing but node-datachannel move in 1200-byte messages over one unordered datachannel without retransmits, with the library’s defaults or the settings of cryonet’s engine, whichever is better; ratios are taken within each round.',
  },
  {
    key: 'tcp-ratio-wide',
    label: 'one TCP flow ÷ the same with an MTU of 1500',
    unit: '×',
    digits: 2,
    note: 'With the library’s default of 1280 a message of 1200 bytes takes two packets.',
  },
  {
    key: 'udp',
    label: 'highest rate of 1200-byte UDP packets with at most 0.1 % lost',
    unit: 'Mbit/s',
    digits: 0,
    target: { atLeast: 2, times: ['wireguard-go'] },
    note: 'Payload that arrived. Looked for in runs of two seconds of iperf3 -u -l 1200, to within 9 %; a rate at which more is lost twice in a row is too high.',
  },
  {
    key: 'wake-ups',
    label: 'wake-ups of JavaScript per packet at that rate',
    unit: '',
    digits: 3,
    target: { atMost: 0.001 },
    notes: { 'wireguard-go': noJavaScript, nebula: noJavaScript, tinc: noJavaScript },
    note: 'Context switches of the main threads of control and dataplane, voluntary or not, at both ends: timers that have nothing to do with packets are among them.',
  },
  {
    key: 'rtt-p50',
    label: 'round trip, idle: median',
    unit: 'ms',
    digits: 3,
    target: { atMost: 1, times: ['wireguard-go'] },
    note: pings,
  },
  {
    key: 'rtt-p99',
    label: 'round trip, idle: 99th percentile',
    unit: 'ms',
    digits: 3,
    target: { atMost: 1, times: ['wireguard-go'] },
  },
  {
    key: 'rtt-load-p50',
    label: 'round trip beside one TCP flow: median',
    unit: 'ms',
    digits: 2,
    target: { atMost: 1, times: ['wireguard-go'] },
    note: pings,
  },
  {
    key: 'rtt-load-p99',
    label: 'round trip beside one TCP flow: 99th percentile',
    unit: 'ms',
    digits: 2,
    target: { atMost: 1, times: ['wireguard-go'] },
  },
  { key: 'fan', label: 'one TCP flow to each of ten peers at once, the sum', unit: 'Mbit/s', digits: 0 },
  {
    key: 'fan-ratio',
    label: 'the sum to ten peers ÷ one flow to one of them',
    unit: '×',
    digits: 2,
    target: { atLeast: 0.8 },
  },
  {
    key: 'idle-cpu',
    label: 'idle node with 9 peers: CPU',
    unit: '% of a core',
    digits: 2,
    target: { atMost: 1 },
    note: 'All processes of a node, over 30 s, 15 s after the mesh was complete; the mean of ten nodes.',
  },
  {
    key: 'idle-rss',
    label: 'idle node with 9 peers: resident memory (RSS)',
    unit: 'MB',
    digits: 0,
    target: { atMost: 180 },
  },
  {
    key: 'idle-pss',
    label: 'idle node with 9 peers: its share of memory (PSS)',
    unit: 'MB',
    digits: 0,
    note: 'Pages that several processes share are divided among them; ten nodes run on the machine.',
  },
  {
    key: 'link-rss',
    label: 'idle dataplane with 100 links: resident memory per link',
    unit: 'MB',
    digits: 2,
    target: { atMost: 0.5 },
    notes: { 'wireguard-go': onlyOwn, nebula: onlyOwn, tinc: onlyOwn },
    note: 'What its resident memory grows by from none to 100 links, over 100. What the kernel keeps for sockets and interfaces is not in it.',
  },
  {
    key: 'links-rss',
    label: 'the same: resident memory of the process',
    unit: 'MB',
    digits: 0,
    notes: { 'wireguard-go': onlyOwn, nebula: onlyOwn, tinc: onlyOwn },
  },
  {
    key: 'restart',
    label: 'pings lost of 6000 (1000/s) when control is killed and started again',
    unit: '',
    digits: 0,
    target: { atMost: 0 },
    notes: { 'wireguard-go': wholeDaemon, nebula: wholeDaemon, tinc: wholeDaemon },
  },
  {
    key: 'startup',
    label: 'from starting the program to its listening socket',
    unit: 's',
    digits: 3,
    target: { atMost: 0.8 },
  },
  {
    key: 'startup-first',
    label: 'the same, the first time ever',
    unit: 's',
    digits: 3,
    target: { atMost: 0.8 },
    note: 'Nothing compiled before is at hand.',
    notes: { 'wireguard-go': nothingCached, nebula: nothingCached, tinc: nothingCached },
  },
];

/** Whether a value reaches what it must; undefined where nothing is asked. */
export function reaches({ target }: Figure, value: number): boolean | undefined {
  if (!target) return undefined;
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}
