/** What is printed: peers and servers had a hand in it, and must not steer the terminal. */

/** Control characters, those that turn or hide text, line and paragraph separators, halves of surrogate pairs. */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** One line for a terminal, each such character as a question mark. */
export function printable(text: string): string {
  return text.replace(steering, '?');
}

/** Ends with a newline. The same value when parsed: such characters are written as `\u` escapes. */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2).replace(steering, (character) =>
    character === '\n' ? character : escaped(character),
  );
  return `${text}\n`;
}

/** In UTF-16 code units, as JSON has it. */
function escaped(character: string): string {
  return [...Array(character.length).keys()]
    .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
    .join('');
}
