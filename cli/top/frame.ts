/** A model as the rows of a screen. */
import { head, title } from './head.ts';
import { helpPage } from './help-page.ts';
import { type Model, rowsOf, selectedRow } from './model.ts';
import { bar, type Line, line, painted, piece } from './paint.ts';
import { peerPage } from './peer-page.ts';
import { table } from './table.ts';

/** A smaller terminal shows that it is too small. */
const least = { columns: 40, rows: 8 };

/** As many rows as the terminal has, each of its columns at most. */
export function frame(model: Model, color: boolean): string[] {
  const { columns, rows } = model.size;
  const lines = columns < least.columns || rows < least.rows ? [tooSmall(model)] : linesOf(model);
  const all = [...lines, ...Array<Line>(Math.max(0, rows - lines.length)).fill(line())].slice(0, rows);
  return all.map((each) => painted(each, columns, color));
}

/** All peers at once, however many, without what is for somebody at a keyboard. */
export function wholeFrame(model: Model, color: boolean): string[] {
  const peers = rowsOf(model);
  const lines = [...title(model), ...head(model), ...table(model, peers, undefined)];
  return lines.map((each) => painted(each, model.size.columns, color));
}

function tooSmall({ size: { columns, rows } }: Model): Line {
  return line(piece(`too small: ${columns} × ${rows}, not ${least.columns} × ${least.rows}`));
}

function linesOf(model: Model): Line[] {
  const { rows } = model.size;
  const above = title(model);
  const [body, keys] = bodyOf(model, rows - above.length - 1);
  const filled = [...above, ...body, ...Array<Line>(rows).fill(line())].slice(0, rows - 1);
  return [...filled, keys];
}

/** What fills `room` rows, and the last row below it. */
function bodyOf(model: Model, room: number): [body: Line[], keys: Line] {
  const { columns } = model.size;
  const keys = (words: string, place: string) => bar(words, place, columns, 'bar');
  const { view } = model;
  if (view.name === 'help') return [[line(), ...helpPage()].slice(0, room), keys('Esc back   q quit', '')];
  if (view.name === 'peer') {
    const page = peerPage(model, view.id);
    const from = Math.max(0, Math.min(view.scroll, page.length + 1 - room));
    const place =
      page.length + 1 > room ? `${from + 1} to ${Math.min(page.length, from + room)} of ${page.length}` : '';
    return [[line(), ...page].slice(from, from + room), keys('Esc back   ↑↓ scroll   q quit', place)];
  }
  const above = head(model);
  const peers = rowsOf(model);
  const shown = Math.max(1, room - above.length - 1);
  const row = selectedRow(model, peers);
  // The selected row stands in the middle, as far as there are rows around it.
  const from = Math.max(0, Math.min(row - Math.floor(shown / 2), peers.length - shown));
  const seen = peers.slice(from, from + shown);
  const place = peers.length > shown ? `, ${from + 1} to ${from + seen.length} of ${peers.length}` : '';
  const words = '↑↓ choose  Enter open  s sort  ? help  q quit';
  const body = [...above, ...table(model, seen, peers[row]?.id)].slice(0, room);
  return [body, keys(words, `by ${model.order}${place}`)];
}
