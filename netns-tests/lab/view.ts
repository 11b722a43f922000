/** What the demo shows: tables as lines of text, and a block of lines that is redrawn in place on a terminal. */
import { styleText } from 'node:util';
import type { PeerStatus, StatusReport } from '../../protocol/status.ts';
import type { Crossing } from './mesh.ts';

type Style = Parameters<typeof styleText>[0];

/** Colors where standard output shows them. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

const marks: Record<PeerStatus['state'] | 'unknown', [mark: string, style: Style]> = {
  unknown: ['·', 'dim'],
  idle: ['○', 'dim'],
  negotiating: ['◔', 'yellow'],
  connecting: ['◑', 'yellow'],
  up: ['●', 'green'],
  lost: ['✕', 'red'],
  denied: ['⊘', 'red'],
  refused: ['⊘', 'red'],
};

const legend = ['unknown', 'idle', 'negotiating', 'connecting', 'up'] as const;

export function legendLine(): string {
  return legend.map((state) => `${paint(marks[state][1], marks[state][0])} ${state}`).join('   ');
}

/** Who has which link, as a square of marks: a row is what one node says, undefined while it does not answer. */
export function linkMatrix(ids: readonly string[], reports: readonly (StatusReport | undefined)[]): string[] {
  const rows = ids.map((id, row) => {
    const report = reports[row];
    const states = ids.map((other) => report?.peers.find((peer) => peer.id === other)?.state ?? 'unknown');
    const up = states.filter((state) => state === 'up').length;
    const cells = states.map((state, column) =>
      ids[column] === id ? '' : paint(marks[state][1], marks[state][0]),
    );
    return [id, ...cells, report ? `${up} of ${ids.length - 1}` : paint('dim', 'starting')];
  });
  return columns([['', ...ids, ''], ...rows], 'center');
}

/** Round-trip times of the pings in milliseconds, rows to columns. */
export function pingMatrix(ids: readonly string[], crossings: readonly Crossing[]): string[] {
  const rows = ids.map((from) => [
    from,
    ...ids.map((to) => {
      const crossing = crossings.find((one) => one.from === from && one.to === to);
      if (!crossing) return '';
      return crossing.received > 0 ? `${crossing.average.toFixed(2)} ms` : paint('red', 'lost');
    }),
  ]);
  return columns([['', ...ids], ...rows], 'right');
}

/** One line per pair of nodes, as the first of the pair sees it. Fits into 80 columns. */
export function linkTable(reports: readonly StatusReport[]): string[] {
  const rows = reports.flatMap(({ node, peers }) =>
    peers
      .filter(({ id }) => node.id < id)
      .map((peer) => [
        `${node.id} – ${peer.id}`,
        peer.interface?.name ?? '',
        `${peer.path ?? 'none'}${peer.relayed ? ', relayed' : ''}`,
        peer.pair?.remote.address ?? '',
        `${peer.interface?.mtu ?? ''}`,
        peer.counters ? bytes(peer.counters.rxBytes + peer.counters.txBytes) : '',
      ]),
  );
  const heads = ['link', 'interface', 'path', 'peer at', 'mtu', 'carried'];
  return columns([heads.map((head) => paint('dim', head)), ...rows.sort()], 'left');
}

/** 1234567 as `1.2 MB`. */
function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), units.length - 1);
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function columns(rows: readonly (readonly string[])[], align: 'left' | 'center' | 'right'): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => width(row[column]!))));
  return rows.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column]!, column === 0 ? 'left' : align))
      .join('  ')
      .trimEnd(),
  );
}

function pad(cell: string, to: number, align: 'left' | 'center' | 'right'): string {
  const room = to - width(cell);
  const before = { left: 0, center: Math.floor(room / 2), right: room }[align];
  return `${' '.repeat(before)}${cell}${' '.repeat(room - before)}`;
}

/** Columns on a terminal: color codes take none. */
function width(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
  return [...text.replace(/\x1b\[[\d;]*m/g, '')].length;
}

/** Lines that replace what was drawn before. Where standard output is no terminal only new lines are written. */
export class Block {
  #drawn: readonly string[] = [];

  draw(lines: readonly string[]): void {
    if (process.stdout.isTTY) {
      const up = this.#drawn.length === 0 ? '' : `\x1b[${this.#drawn.length}A\x1b[J`;
      process.stdout.write(`${up}${lines.join('\n')}\n`);
    }
    this.#drawn = lines;
  }
}
