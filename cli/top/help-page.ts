/** What the keys do and what the signs mean. */
import { type Line, line, piece } from './paint.ts';
import { signs } from './signs.ts';

const keys: readonly (readonly [keys: string, meaning: string])[] = [
  ['↑ ↓  k j', 'choose a peer, or scroll'],
  ['PgUp PgDn', 'the same, a screen at a time'],
  ['Home End  g G', 'the first; the last'],
  ['Enter', 'all about the peer, as by cryoc status and cryoc explain'],
  ['Esc', 'back to all peers'],
  ['s', 'sort: trouble, then traffic; traffic; round trip; name'],
  ['?', 'this page'],
  ['q  Ctrl-C', 'quit'],
];

const columns: readonly (readonly [title: string, meaning: string])[] = [
  ['FOR', 'how long the link has been up, or down in all'],
  ['ROUND TRIPS', 'the newest at the right: the lowest bar is the shortest, the'],
  ['', 'highest twice that or the longest; · where none was measured'],
  ['RX/s  TX/s', 'bytes of packets from the peer and to it, in a second'],
];

const labelWidth = 16;

export function helpPage(): Line[] {
  const row = (label: string, meaning: string) =>
    line(piece(`  ${label.padEnd(labelWidth)}`, 'bold'), piece(meaning));
  return [
    ...keys.map(([label, meaning]) => row(label, meaning)),
    line(),
    ...Object.values(signs).map(({ mark, style, meaning }) =>
      line(piece(`  ${mark.padEnd(labelWidth)}`, style), piece(meaning)),
    ),
    line(),
    ...columns.map(([label, meaning]) => row(label, meaning)),
  ];
}
