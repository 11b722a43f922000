/** What is known of the terminal that is printed to, and text that fits its width. */

export interface Terminal {
  readonly color: boolean;
  /** Columns; infinite where nobody looks, so that lines stay whole for grep. */
  readonly width: number;
}

/** Nobody in particular. */
export const plain: Terminal = { color: false, width: Number.POSITIVE_INFINITY };

/** Below this nothing is made narrower. */
const leastWidth = 40;

/** Colors on a terminal unless NO_COLOR is set. The width is COLUMNS where that is given, else the terminal's. */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const asked = /^\d{1,5}$/.test(env.COLUMNS ?? '') ? Number(env.COLUMNS) : 0;
  const width = asked || (stream.isTTY ? stream.columns : 0) || Number.POSITIVE_INFINITY;
  return { color: stream.isTTY === true && !env.NO_COLOR, width: Math.max(leastWidth, width) };
}

/** Words in lines of at most `width`; a longer word is cut. At least one line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    while (word.length > width) {
      lines.push(word.slice(0, width));
      word = word.slice(width);
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Columns of text of a width each: the longest cell's. */
export function aligned(rows: readonly (readonly string[])[], gap: string): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join(gap)
      .trimEnd(),
  );
}

/** Names of at most `room` characters, their middle left out where they are longer, but each as long as it takes to
 *  tell it from all others. */
export function shortened(names: readonly string[], room: number): string[] {
  const least = Math.max(3, room);
  const result = names.map((name) => middleOut(name, least));
  for (let size = least + 1; new Set(result).size < new Set(names).size; size++) {
    const seen = new Map<string, Set<string>>();
    for (const [i, short] of result.entries()) seen.set(short, (seen.get(short) ?? new Set()).add(names[i]!));
    for (const [i, short] of result.entries()) {
      if (seen.get(short)!.size > 1) result[i] = middleOut(names[i]!, size);
    }
  }
  return result;
}

function middleOut(name: string, room: number): string {
  if (name.length <= room) return name;
  const head = Math.ceil((room - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (room - 1 - head))}`;
}
