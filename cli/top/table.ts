/** The table of peers, a row each: how the link is, or why there is none. */
import type { PeerStatus } from '../../protocol/status.ts';
import { shortened } from '../terminal.ts';
import { bytes, duration, hostPort, lossWords, rttWords } from '../words.ts';
import type { Model } from './model.ts';
import { type Line, line, type Piece, piece, type Style } from './paint.ts';
import { signOf } from './signs.ts';
import { sparkline } from './sparkline.ts';
import { samplesKept, type Track } from './track.ts';
import { cell, harmless, widthOf } from './width.ts';

interface Column {
  readonly title: string;
  readonly width: number;
  readonly side: 'left' | 'right';
  /** `time`: milliseconds since the Unix epoch. */
  text(peer: PeerStatus, track: Track | undefined, time: number): string;
  style?(peer: PeerStatus): Style;
}

/** Columns between two columns; and before the first, where the selected row has its mark. */
const gap = 1;
const margin = '  ';
/** Columns of a name and of the round trips, at least; names are wider where there is room. */
const leastName = 10;
const mostName = 32;
const leastTrend = 11;

const path: Column = {
  ...{ title: 'PATH', width: 11, side: 'left' },
  text: ({ relayed, path: by }) => (relayed ? 'relayed' : (by ?? '')),
  style: (peer) => signOf(peer).style,
};
const age: Column = {
  ...{ title: 'FOR', width: 6, side: 'left' },
  text: (peer, _, time) => downOrUp(peer, time),
};
const rtt: Column = { title: 'RTT', width: 8, side: 'right', text: rttWords, style: strained };
const loss: Column = { title: 'LOSS', width: 4, side: 'right', text: lossWords, style: strained };
const rx: Column = { title: 'RX/s', width: 9, side: 'right', text: (_, track) => rateWords(track?.rx) };
const tx: Column = { title: 'TX/s', width: 9, side: 'right', text: (_, track) => rateWords(track?.tx) };

/** Where the terminal is wider, from the most wanted on. */
const more: readonly Column[] = [
  {
    ...{ title: 'INTERFACE', width: 15, side: 'left' },
    text: ({ interface: device }) => (device === null ? '' : device.name),
  },
  {
    ...{ title: 'MTU', width: 5, side: 'right' },
    text: ({ interface: device }) => (device === null ? '' : `${device.mtu}`),
  },
  {
    ...{ title: 'THERE', width: 28, side: 'left' },
    text: ({ pair }) => (pair === null ? '' : hostPort(pair.remote)),
  },
];

/** The head of the table, and a row for each of these peers. */
export function table(model: Model, peers: readonly PeerStatus[], selected: string | undefined): Line[] {
  const { columns } = model.size;
  const time = model.last?.time ?? 0;
  const names = shortNames(peers, mostName);
  const longest = Math.max(leastName, ...names.map(widthOf));
  const fixed = [path, age, rtt, loss];
  let room = columns - margin.length - 2 - widthsOf([...fixed, rx, tx]) - leastName - leastTrend - gap * 2;
  const nameWidth = leastName + Math.max(0, Math.min(longest - leastName, room));
  room -= nameWidth - leastName;
  const aside = more.filter(({ width }, i) => widthsOf(more.slice(0, i)) + width + gap <= room);
  room -= widthsOf(aside);
  const trend: Column = {
    ...{ title: 'ROUND TRIPS', side: 'left' },
    width: leastTrend + Math.max(0, Math.min(samplesKept - leastTrend, room)),
    text: (_, track) => sparkline(track?.samples ?? [], trend.width),
    style: (peer) => signOf(peer).style,
  };
  const all = [...fixed, trend, rx, tx, ...aside];
  const shown = shortNames(peers, nameWidth);
  const head = [`${margin}${cell('', 2)}${cell('PEER', nameWidth)}`, ...all.map(titleOf)].join(' ');
  return [
    line(piece(head, 'dim')),
    ...peers.map((peer, i) => {
      const { mark, style } = signOf(peer);
      const isSelected = peer.id === selected;
      const track = model.tracks.get(peer.id);
      return line(
        piece(isSelected ? '▸ ' : margin, 'bold'),
        piece(`${mark} `, style),
        piece(cell(shown[i]!, nameWidth), isSelected ? 'bold' : 'plain'),
        ...(peer.state === 'up' ? cells(all, peer, track, time) : whyDown(peer, time)),
      );
    }),
  ];
}

function cells(
  columns: readonly Column[],
  peer: PeerStatus,
  track: Track | undefined,
  time: number,
): Piece[] {
  return columns.map(({ width, side, text, style }) =>
    piece(` ${cell(harmless(text(peer, track, time)), width, side)}`, style?.(peer) ?? 'plain'),
  );
}

/** In place of figures, which a link that is down has none of. */
function whyDown(peer: PeerStatus, time: number): Piece[] {
  const { state, reason, farReason } = peer;
  const why = reason === '' && farReason ? `the peer says: ${farReason}` : reason;
  const { style } = signOf(peer);
  return [
    piece(` ${cell(state, path.width)} ${cell(downOrUp(peer, time), age.width)} `, style),
    piece(` ${why}`, style === 'dim' ? 'dim' : 'plain'),
  ];
}

/** How long the link has been up, or down whatever was tried meanwhile. */
function downOrUp({ state, since, downSince }: PeerStatus, time: number): string {
  const start = state === 'up' ? since : (downSince ?? since);
  return start > 0 ? duration(time - start) : '';
}

function strained({ degraded }: PeerStatus): Style {
  return degraded ? 'poor' : 'plain';
}

export function rateWords(rate: number | null | undefined): string {
  return rate == null ? '-' : bytes(Math.round(rate));
}

function titleOf({ title, width, side }: Column): string {
  return cell(title, width, side);
}

function widthsOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width + gap, 0);
}

function shortNames(peers: readonly PeerStatus[], room: number): string[] {
  return shortened(
    peers.map(({ id }) => harmless(id)),
    room,
  );
}
