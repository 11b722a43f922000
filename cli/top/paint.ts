/** A line of a frame: pieces of text, each in one style. */
import { fitted, harmless, widthOf } from './width.ts';

/** By select graphic rendition (ECMA-48, 8.3.117). */
const renditions = {
  plain: '',
  bold: '1',
  dim: '2',
  good: '32',
  fair: '36',
  poor: '33',
  bad: '31',
  /** The first and the last row. */
  bar: '7',
  /** What must be seen. */
  alarm: '1;7;31',
} as const;

export type Style = keyof typeof renditions;

export interface Piece {
  readonly text: string;
  readonly style: Style;
}

export interface Line {
  readonly pieces: readonly Piece[];
  /** The style goes to the end of the row. */
  readonly fill?: Style;
}

export function piece(text: string, style: Style = 'plain'): Piece {
  return { text, style };
}

export function line(...pieces: readonly Piece[]): Line {
  return { pieces };
}

/** `left` and, where there is room for it, `right` at the other end of the row, which is all in one style. */
export function bar(left: string, right: string, columns: number, style: Style): Line {
  const [shown, end] = [` ${harmless(left)}`, `${right} `];
  const room = columns - widthOf(shown) - widthOf(end);
  const text = room > 0 ? `${shown}${' '.repeat(room)}${end}` : shown;
  return { pieces: [piece(text, style)], fill: style };
}

/** The line as a terminal of so many columns takes it. What the pieces say cannot steer it. */
export function painted({ pieces, fill }: Line, columns: number, color: boolean): string {
  let room = columns;
  let text = '';
  for (const { text: whole, style } of pieces) {
    const shown = fitted(harmless(whole), room);
    room -= widthOf(shown);
    text += styled(shown, style, color);
  }
  if (fill !== undefined && color) return `${text}${styled(' '.repeat(room), fill, color)}`;
  return color ? text : text.trimEnd();
}

function styled(text: string, style: Style, color: boolean): string {
  const rendition = renditions[style];
  return color && rendition !== '' && text !== '' ? `\x1b[${rendition}m${text}\x1b[0m` : text;
}
