/** How many columns text takes on a terminal, and text that takes so many. */
import { eastAsianWidth } from 'get-east-asian-width';
import { printable } from '../printable.ts';

/** Marks that are drawn over the character before them. */
const mark = /^[\p{Mn}\p{Me}]$/u;
/** Of two ways to draw a character, as text or as a picture, these choose one; terminals differ in its width. */
const variation = /[\uFE00-\uFE0F\u{E0100}-\u{E01EF}]/gu;
/** More marks than any script has over one character. They take no columns, so that their number would have no bound. */
const pile = /([\p{Mn}\p{Me}]{3})[\p{Mn}\p{Me}]+/gu;

/** What peers wrote, as text that cannot steer the terminal, and of which `widthOf` knows the columns. */
export function harmless(text: string): string {
  return printable(text).replace(variation, '').replace(pile, '$1');
}

/** Columns of harmless text. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** Of ASCII nothing is looked up. */
function characterWidth(character: string): number {
  if (character >= ' ' && character <= '~') return 1;
  return mark.test(character) ? 0 : eastAsianWidth(character.codePointAt(0)!);
}

/** At most `columns` of the text; what is cut ends with an ellipsis. */
export function fitted(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns > 0 ? `${kept}…` : '';
}

/** Exactly `columns`. */
export function cell(text: string, columns: number, side: 'left' | 'right' = 'left'): string {
  const shown = fitted(text, columns);
  const rest = ' '.repeat(Math.max(0, columns - widthOf(shown)));
  return side === 'left' ? `${shown}${rest}` : `${rest}${shown}`;
}
