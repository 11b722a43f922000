/** Makes text safe to print. Peers and servers chose parts of it, and must not control the terminal. */

/** Control characters, invisible and direction-changing ones, line and paragraph separators, lone surrogates. */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Replaces each such character, newlines included, by a question mark. */
export function printable(text: string): string {
  return text.replace(steering, '?');
}

/** JSON that ends with a newline. Such characters are written as `\u` escapes, so it parses to the same value. */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2).replace(steering, (character) =>
    character === '\n' ? character : escaped(character),
  );
  return `${text}\n`;
}

/** The same on one line. */
export function printableLine(value: unknown): string {
  return `${JSON.stringify(value).replace(steering, escaped)}\n`;
}

/** `\u` escapes of a character's UTF-16 code units, as in JSON. */
function escaped(character: string): string {
  return [...Array(character.length).keys()]
    .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
    .join('');
}
