/** What stands above the table: the node, how its peers are, its neighbors and its warnings. */
import type { StatusReport } from '../../protocol/status.ts';
import { wrap } from '../terminal.ts';
import { duration } from '../words.ts';
import type { Model, Size } from './model.ts';
import { type Trouble, troubleOf, troubles } from './order.ts';
import { bar, type Line, line, type Piece, piece } from './paint.ts';
import { signs } from './signs.ts';
import { rateWords } from './table.ts';
import { fitted, harmless } from './width.ts';

const labelWidth = 11;

/** Of so many rows of a screen one may be of a warning. */
const rowsForWarning = 6;
/** Rows of the longest alarm. */
const alarmRows = 3;

/** The first row, and what is wrong between us and the node. */
export function title({ last, silence, now, size, tracks }: Model): Line[] {
  const { columns } = size;
  if (last === undefined)
    return [bar('cryoc top', '', columns, 'bar'), ...alarm(silence ?? 'asking the node', columns)];
  const { node, version } = last.report;
  const sum = (way: 'rx' | 'tx') => [...tracks.values()].reduce((all, track) => all + (track[way] ?? 0), 0);
  const traffic = `in ${rateWords(sum('rx'))}/s, out ${rateWords(sum('tx'))}/s`;
  const first = bar(
    `${node.id}   cryonet ${version}, up ${duration(node.uptime * 1000)}`,
    traffic,
    columns,
    'bar',
  );
  if (silence === undefined) return [first];
  const age = duration(now - last.at);
  return [first, ...alarm(`NOT CONNECTED, what stands here is ${age} old: ${silence}`, columns)];
}

function alarm(text: string, columns: number): Line[] {
  const lines = wrap(harmless(text), columns - 2).slice(0, alarmRows);
  return lines.map((each) => bar(each, '', columns, 'alarm'));
}

export function head({ last, size }: Model): Line[] {
  if (last === undefined) return [];
  const { report, time } = last;
  return [
    peersLine(report),
    line(...labelled('neighbors', names(report, size.columns - labelWidth))),
    ...(report.dataplane.connected ? [] : [line(...labelled('dataplane', 'not connected', 'bad'))]),
    ...warnings(report, time, size),
    line(),
  ];
}

/** How many there are of each kind. */
function peersLine({ peers }: StatusReport): Line {
  const counts = new Map<Trouble, number>();
  for (const trouble of peers.map(troubleOf)) counts.set(trouble, (counts.get(trouble) ?? 0) + 1);
  const kinds = troubles.flatMap((trouble) => {
    const count = counts.get(trouble);
    return count === undefined ? [] : [piece(`${count} ${signs[trouble].counted}`, signs[trouble].style)];
  });
  const list = kinds.flatMap((kind, i) => [piece(i === 0 ? ': ' : ', '), kind]);
  return line(...labelled('peers', `${peers.length}`), ...list);
}

/** Whole, as far as they leave room for the peers. */
function warnings(report: StatusReport, time: number, { columns, rows }: Size): Line[] {
  const all = report.warnings ?? [];
  const lines = all.flatMap(({ peer, subject, message, since }) => {
    const text = `${peer === null ? '' : `${peer}: `}${subject}: ${message} (${duration(time - since)})`;
    const wrapped = wrap(harmless(text), columns - labelWidth);
    return wrapped.map((each, i) => line(...labelled(i === 0 ? 'warning' : '', each, 'poor')));
  });
  const room = Math.max(2, Math.floor(rows / rowsForWarning));
  if (lines.length <= room) return lines;
  return [...lines.slice(0, room - 1), line(...labelled('', `… cryoc status has all ${all.length}`, 'poor'))];
}

/** As many as there is room for. */
function names({ neighbors }: StatusReport, room: number): string {
  if (neighbors.length === 0) return 'none: no node can be signaled directly';
  const all = neighbors.map(({ id }) => harmless(id)).join(' ');
  return fitted(`${neighbors.length}: ${all}`, room);
}

function labelled(name: string, text: string, style: Piece['style'] = 'plain'): Piece[] {
  return [piece(name.padEnd(labelWidth), 'dim'), piece(text, style)];
}
