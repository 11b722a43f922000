/**
 * Log lines on standard error: text on a terminal or in a file, entries of the journal or NDJSON with its level prefix under
 * systemd. A
 * line is a constant message and fields, never a secret. Lines that come too often are left out (`log-quota.ts`), except
 * at level debug.
 */
import { writeSync } from 'node:fs';
import { steadyNow } from './clock.ts';
import { journalEntry, longestEntry, priority } from './journal.ts';
import { type LogLevel, logLevels } from './log-level.ts';
import { type Line, LogQuota } from './log-quota.ts';

export type { LogLevel };

export const logFormats = ['auto', 'text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Milliseconds between two checks for left-out lines that may be logged by now. */
const lookInterval = 5000;

export interface OpenLog extends Log {
  /** The least level that is logged. */
  level: LogLevel;
}

/** `toJournal` sends an entry to the journal that has standard error, and throws where it cannot. */
export function openLog(
  program: string,
  level: LogLevel,
  format: LogFormat,
  toJournal?: (entry: string) => void,
): OpenLog {
  const journal = process.env.JOURNAL_STREAM !== undefined;
  const json = format === 'json' || (format === 'auto' && journal);
  const quota = new LogQuota();
  let looks = false;
  const printAll = (lines: readonly Line[]) => {
    for (const line of lines) {
      if (format === 'auto' && toJournal !== undefined && isTold(line, program, toJournal)) continue;
      print(json ? asJson(line, program, journal) : asText(line, program));
    }
  };
  const lookLater = () => {
    looks = true;
    setTimeout(() => {
      printAll(quota.due(steadyNow()));
      looks = false;
      if (quota.waits) lookLater();
    }, lookInterval).unref();
  };
  const write =
    (at: LogLevel) =>
    (message: string, fields: Fields = {}) => {
      if (logLevels.indexOf(at) < logLevels.indexOf(log.level)) return;
      const line = { level: at, message, fields, time: new Date() };
      if (log.level === 'debug') {
        printAll([line]);
        return;
      }
      const said = quota.offer(line, steadyNow());
      printAll(said);
      if (said.length === 0 && !looks) lookLater();
    };
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    level,
  };
  return log;
}

/** Whether the journal has the line. Where its queue is full, standard error waits for it. */
function isTold(line: Line, program: string, toJournal: (entry: string) => void): boolean {
  const entry = journalEntry(line, program, `${line.message}${readable(line.fields)}`);
  if (Buffer.byteLength(entry) > longestEntry) return false;
  try {
    toJournal(entry);
    return true;
  } catch {
    return false;
  }
}

function asJson({ time, level, message, fields }: Line, program: string, journal: boolean): string {
  const prefix = journal ? `<${priority[level]}>` : '';
  return `${prefix}${JSON.stringify({ time: time.toISOString(), level, program, message, ...fields })}`;
}

function asText({ time, level, message, fields }: Line, program: string): string {
  return `${time.toISOString()} ${level.padEnd(5)} ${program}: ${message}${readable(fields)}`;
}

function readable(fields: Fields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === '') continue;
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    text += ` ${name}=${/[\s"=]/.test(shown) ? JSON.stringify(shown) : shown}`;
  }
  return text;
}

/** Synchronous, so that the last line before an exit is not lost. A terminal that is gone does not end the process. */
function print(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // EAGAIN on a full pipe, EIO without a terminal, EPIPE without a reader: there is nobody to tell.
  }
}
