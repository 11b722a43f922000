/** Every pair of kinds of places, and how nodes there reach each other: what is expected, what is, and pictures of both. */
import type { StatusReport } from '../../protocol/status.ts';
import { type KindName, kindNames } from './kinds.ts';
import { type Outcome, outcome } from './mesh.ts';

export interface Cell {
  readonly kinds: readonly [KindName, KindName];
  /** The nodes' IDs. */
  readonly ends: readonly [string, string];
  readonly expected: Outcome;
}

export interface Seen extends Cell {
  /** What either end says. */
  readonly outcomes: readonly [Outcome, Outcome];
  /** Milliseconds from when both know of each other until both have the link up; undefined where it is not. */
  readonly firstPacket: number | undefined;
}

/** What becomes of a pair, where either is of one of these kinds: the first row that fits counts. */
const expectations: readonly (readonly [Outcome, readonly KindName[], readonly KindName[]])[] = [
  // There is no carrier but UDP.
  ['none', ['no-udp', 'proxy'], kindNames],
  // Nobody else is at port 53.
  ['relayed', ['web'], kindNames],
  // No address of a family that the other one has.
  ['relayed', ['ipv6'], kindNames.filter((name) => !['public', 'ipv6', 'nat64'].includes(name))],
  // Its port is not known before it has sent, and is let in only by who takes what comes from an address that it sent to.
  [
    'relayed',
    ['symmetric'],
    ['port-restricted', 'preserving', 'forgetful', 'symmetric', 'carrier', 'hairpin', 'nat64'],
  ],
];

function expected(one: KindName, other: KindName): Outcome {
  // What one carrier does not send back to itself, another one delivers.
  if (one === 'carrier' && other === 'carrier') return 'relayed';
  const fits = expectations.find(
    ([, some, others]) =>
      (some.includes(one) && others.includes(other)) || (some.includes(other) && others.includes(one)),
  );
  return fits?.[0] ?? 'direct';
}

/** Each unordered pair of kinds, pairs of one kind included. Of each kind there are two nodes: the first one has links with
 *  the first ones of all kinds and with the second one of its own. */
export function cells(): Cell[] {
  return kindNames.flatMap((one, index) =>
    kindNames.slice(index).map((other) => ({
      kinds: [one, other] as const,
      ends: one === other ? ([`${one}-1`, `${one}-2`] as const) : ([`${one}-1`, `${other}-1`] as const),
      expected: expected(one, other),
    })),
  );
}

/** `learned` and `up`: when a node heard of a peer, and had a link with it, in milliseconds; undefined if not. */
export interface Moments {
  readonly learned: number | undefined;
  readonly up: number | undefined;
}

/** What the nodes say of the cells, by ID. */
export function look(
  grid: readonly Cell[],
  reports: ReadonlyMap<string, StatusReport>,
  momentsOf: (node: string, peer: string) => Moments,
): Seen[] {
  return grid.map((cell) => {
    const [one, other] = cell.ends;
    const says = (node: string, peer: string) =>
      outcome(reports.get(node)?.peers.find(({ id }) => id === peer));
    const both = [momentsOf(one, other), momentsOf(other, one)];
    const latest = (moment: keyof Moments) => Math.max(...both.map((each) => each[moment] ?? Number.NaN));
    const firstPacket = latest('up') - latest('learned');
    return {
      ...cell,
      outcomes: [says(one, other), says(other, one)] as const,
      firstPacket: Number.isNaN(firstPacket) ? undefined : Math.max(0, firstPacket),
    };
  });
}

function isAsExpected({ expected, outcomes }: Seen): boolean {
  return outcomes.every((outcome) => outcome === expected);
}

/** Cells that are not as expected, a line each. */
export function surprises(seen: readonly Seen[]): string[] {
  return seen
    .filter((cell) => !isAsExpected(cell))
    .map(({ ends, expected, outcomes }) => {
      const [one, other] = outcomes;
      return `${ends.join(' – ')}: ${one === other ? one : `${one} and ${other}`}, not ${expected}`;
    });
}

/** Milliseconds within which a share of the cells of an outcome had their first packet; undefined where there are none. */
export function quantile(seen: readonly Seen[], wanted: Outcome, share: number): number | undefined {
  const times = seen
    .filter(({ expected }) => expected === wanted)
    .flatMap(({ firstPacket }) => firstPacket ?? [])
    .toSorted((one, other) => one - other);
  return times[Math.ceil(share * times.length) - 1];
}

const marks: Readonly<Record<Outcome, string>> = { direct: 'D', relayed: 'r', websocket: 'w', none: '·' };

/** The grid if all is as expected. */
export function expectedDrawing(): string {
  return drawing(
    cells().map((cell) => ({ ...cell, outcomes: [cell.expected, cell.expected], firstPacket: undefined })),
  );
}

/** A triangle of letters; a cell with an exclamation mark is not as expected. */
export function drawing(seen: readonly Seen[]): string {
  const width = Math.max(...kindNames.map(({ length }) => length));
  const rows = kindNames.map((row, index) => {
    const shown = kindNames.slice(0, index + 1).map((column) => {
      const cell = seen.find(({ kinds: [one, other] }) => one === column && other === row)!;
      return `${marks[cell.outcomes[0]]}${isAsExpected(cell) ? ' ' : '!'}`;
    });
    return `${row.padStart(width)}  ${shown.join(' ')}`.trimEnd();
  });
  const legend = Object.entries(marks).map(([outcome, mark]) => `${mark} ${outcome}`);
  return [...rows, `${' '.repeat(width)}  ${legend.join(', ')}, ! not as expected`].join('\n');
}

/** A page with the grid as a table, which needs nothing beside it. */
export function page(seen: readonly Seen[]): string {
  const head = kindNames.map((name) => `<th scope="col"><span>${name}</span></th>`).join('');
  const rows = kindNames.map((row) => {
    const boxes = kindNames.map((column) => {
      const cell = seen.find(({ kinds: [one, other] }) =>
        [`${row} ${column}`, `${column} ${row}`].includes(`${one} ${other}`),
      )!;
      const { outcomes, expected, firstPacket, ends } = cell;
      const title = `${ends.join(' – ')}: ${outcomes.join(' and ')}, expected ${expected}`;
      const time = firstPacket === undefined ? '' : `${(firstPacket / 1000).toFixed(1)} s`;
      const kind = `${outcomes[0]}${isAsExpected(cell) ? '' : ' wrong'}`;
      return `<td class="${kind}" title="${title}">${outcomes[0]}<small>${time}</small></td>`;
    });
    return `<tr><th scope="row">${row}</th>${boxes.join('')}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Who reaches whom</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 2em; color-scheme: light dark }
table { border-collapse: collapse }
td { width: 4.5em; height: 3em; text-align: center; border: 1px solid #8886 }
th { font-weight: 600; text-align: right; padding: 0 .6em }
thead th { height: 8.5em; vertical-align: bottom; text-align: left }
thead span { writing-mode: vertical-rl; transform: rotate(180deg) }
small { display: block; opacity: .7 }
.direct { background: #2a92 } .relayed { background: #c802 } .none { background: #8882 }
.wrong { outline: 3px solid #d22; outline-offset: -3px }
</style>
<h1>Who reaches whom</h1>
<p>Two nodes, by where they are: whether their link is direct, relayed, or not there; and the time from when they know of
each other until packets pass. Outlined: not as expected.</p>
<table><thead><tr><td></td>${head}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
</html>
`;
}
