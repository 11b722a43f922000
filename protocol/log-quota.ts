/**
 * How many lines a log has about one thing (`line-quota.ts`).
 *
 * The subject of a line is its peer or, without one, its server, `about` or address; without any, its message. Each
 * subject has a store of lines for each level, and so has each kind: all peers together, or all other subjects with one
 * message, which are constants.
 */
import { LineQuota } from './line-quota.ts';
import type { Fields } from './log.ts';
import type { LogLevel } from './log-level.ts';

/** Milliseconds. A lasting fault is logged at two levels in each of two processes, which makes two lines a minute. */
const pause = 120_000;

/** A start, a restart or an outage makes fewer than 10 lines about one peer, and nobody reads lines about more than 64. */
const room = { subject: { burst: 10, pause }, kind: { burst: 64, pause } };

export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Fields;
  /** When it was logged. */
  readonly time: Date;
}

export class LogQuota extends LineQuota<Line> {
  constructor() {
    super({
      subject: (line) => `${line.level} ${subjectOf(line)}`,
      kind: (line) => `${line.level} ${peerOf(line) === undefined ? line.message : 'of a peer'}`,
      room: () => room,
      counting: (line, leftOut) => ({ ...line, fields: { ...line.fields, leftOut } }),
    });
  }
}

function peerOf({ fields }: Line): unknown {
  return fields.peer ?? fields.id;
}

function subjectOf(line: Line): unknown {
  const { about, url, address } = line.fields;
  return peerOf(line) ?? url ?? about ?? address ?? line.message;
}
