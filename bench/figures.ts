/** The figures, in the order of the table, with what they must reach. */

export interface Figure {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly digits: number;
  /** What cryonet must reach. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number };
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
  { key: 'tcp', label: 'one TCP flow (iperf3)', unit: 'Mbit/s', digits: 0 },
  {
    key: 'tcp-ratio',
    label: 'one TCP flow ÷ two bare node-datachannel processes',
    unit: '×',
    digits: 2,
    target: { atLeast: 0.7 },
    note: 'What two processes with nothing but node-datachannel move in 1200-byte messages over one unordered datachannel without retransmits, with the library’s defaults or the settings of cryonet’s engine, whichever is better; ratios are taken within each round.',
  },
  {
    key: 'tcp-ratio-wide',
    label: 'one TCP flow ÷ the same with an MTU of 1500',
    unit: '×',
    digits: 2,
    note: 'With the library’s default of 1280 a message of 1200 bytes takes two packets.',
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
