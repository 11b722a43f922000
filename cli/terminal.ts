/** The terminal that is printed to, and text that fits its width. */

export interface Terminal {
  readonly color: boolean;
  /** Columns; infinite where output is no terminal, so that lines stay whole for grep. */
  readonly width: number;
}

/** Columns. A narrower terminal is treated as this wide. */
const leastWidth = 40;

/** There are colors on a terminal unless NO_COLOR is set. The width is COLUMNS if set, else the terminal's. */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const asked = /^\d{1,5}$/.test(env.COLUMNS ?? '') ? Number(env.COLUMNS) : 0;
  const width = asked || (stream.isTTY ? stream.columns : 0) || Number.POSITIVE_INFINITY;
  return { color: stream.isTTY === true && !env.NO_COLOR, width: Math.max(leastWidth, width) };
}

/** Lines of at most `width` characters, broken between words; longer words are cut. Returns at least one line. */
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

/** Rows as lines, with each column as wide as its longest cell. */
export function aligned(rows: readonly (readonly string[])[], gap: string): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join(gap)
      .trimEnd(),
  );
}

/** Shortens names to `room` characters by leaving out their middle. A name stays longer if it would otherwise look like
 *  another one. */
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
