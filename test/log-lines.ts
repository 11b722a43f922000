/** A log that keeps its lines for the test. */
import type { Fields, Log, LogLevel } from '../protocol/log.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Fields;
  /** By `performance.now`. */
  readonly at: number;
}

export function newLogLines(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}) => {
      lines.push({ level, message, fields, at: performance.now() });
    };
  return { log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines };
}
