/** The events of this node: how many there may be about one thing, and where they are kept. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { byClock, steadyNow } from '../../protocol/clock.ts';
import { type EventId, type NodeEvent, timed, type Untimed } from '../../protocol/events.ts';
import { LineQuota } from '../../protocol/line-quota.ts';
import type { EventRing } from './event-ring.ts';
import { EventStreams } from './event-streams.ts';

/** Milliseconds between two checks for left-out events that may be told by now. */
const lookInterval = 2000;

/** A start, a restart or an outage makes fewer than 20 events of one kind about one peer. What others tell must not push
 *  out what is kept; of links there are as many as are kept. */
const room = {
  subject: { burst: 20, pause: 10_000 },
  kind: { burst: 1024, pause: 500 },
  hearsay: { burst: 256, pause: 5000 },
};

/** Kinds that a member can make any number of by its word alone. */
const byHearsay: ReadonlySet<string> = new Set(['peer', 'policy', 'trust']);

export class NodeEvents {
  readonly #ring: EventRing;
  readonly #streams: EventStreams;
  readonly #quota = new LineQuota<NodeEvent>({
    room: (line) => ({ subject: room.subject, kind: byHearsay.has(kindOf(line)) ? room.hearsay : room.kind }),
    subject: (line) => `${kindOf(line)} ${line.peer ?? ''}`,
    kind: kindOf,
    counting: (line, leftOut) => ({ ...line, leftOut }),
  });
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(ring: EventRing) {
    this.#ring = ring;
    this.#streams = new EventStreams(ring);
  }

  publish(event: Untimed): void {
    const now = steadyNow();
    const told = this.#quota.offer(timed(event, byClock(now)), now);
    for (const each of told) this.#ring.append(each);
    if (told.length === 0) this.#lookLater();
  }

  /** Tells what comes from now on, or all after an event. */
  watch(response: ServerResponse, after: EventId | undefined): void {
    this.#streams.open(response, after);
  }

  isWatched(socket: Socket): boolean {
    return this.#streams.isWatched(socket);
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const each of this.#quota.due(steadyNow())) this.#ring.append(each);
      if (this.#quota.waits) this.#lookLater();
    }, lookInterval).unref();
  }
}

/** `link` of `link.lost`. */
function kindOf({ event }: NodeEvent): string {
  return event.slice(0, event.indexOf('.'));
}
