/**
 * Who watches the events of this node, by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * A watcher is a place in the ring: it is written to while it takes what is written, and else lags behind, at no cost. One
 * that has fallen out of the ring is told so. One that takes nothing for long is cut off, and may come again.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type EventId, eventIdText, streamType, timed } from '../../protocol/events.ts';
import type { EventRing } from './event-ring.ts';

/** One more closes the oldest, which goes on where it was when it comes again. */
export const maxWatchers = 32;

/** Milliseconds between two comments to a watcher, by which it knows that the node is there. Who took nothing of what waits
 *  between two of them is cut off. */
const aliveInterval = 15_000;

/** Milliseconds after which a watcher that lost the connection is to come again. */
const retryPause = 1000;

interface Watcher {
  readonly response: ServerResponse;
  place: number;
  /** It has not taken what was written before the last comment. */
  stalled: boolean;
}

export class EventStreams {
  readonly #ring: EventRing;
  readonly #watchers = new Map<Socket, Watcher>();
  readonly #changed = () => {
    for (const watcher of this.#watchers.values()) this.#feed(watcher);
  };
  #timer: NodeJS.Timeout | undefined;

  constructor(ring: EventRing) {
    this.#ring = ring;
  }

  isWatched(socket: Socket): boolean {
    return this.#watchers.has(socket);
  }

  /** Tells what comes from now on, or all after an event. */
  open(response: ServerResponse, after: EventId | undefined): void {
    const { socket } = response;
    if (socket === null || socket.destroyed) return;
    const from = after === undefined ? { place: this.#ring.end, missed: false } : this.#ring.after(after);
    const watcher: Watcher = { response, place: from.place, stalled: false };
    if (this.#watchers.size === 0) this.#begin();
    this.#watchers.set(socket, watcher);
    response.on('close', () => this.#drop(socket));
    response.on('drain', () => {
      watcher.stalled = false;
      this.#feed(watcher);
    });
    response.writeHead(200, { 'Content-Type': streamType, 'Cache-Control': 'no-store' });
    // With the ID of the last event, so that a watcher that is told nothing knows where it was, too.
    const last = after ?? this.#ring.last;
    response.write(`${last === undefined ? '' : `id: ${eventIdText(last)}\n`}retry: ${retryPause}\n\n`);
    if (from.missed) response.write(missedNote());
    this.#feed(watcher);
    const [oldest] = this.#watchers.keys();
    if (this.#watchers.size > maxWatchers) oldest!.destroy();
  }

  #begin(): void {
    this.#ring.listen(this.#changed);
    this.#timer = setInterval(() => this.#lookAround(), aliveInterval).unref();
  }

  #drop(socket: Socket): void {
    if (!this.#watchers.delete(socket) || this.#watchers.size > 0) return;
    clearInterval(this.#timer);
    this.#ring.unlisten(this.#changed);
  }

  #feed(watcher: Watcher): void {
    const { response } = watcher;
    while (!response.writableNeedDrain) {
      const next = this.#ring.at(watcher.place);
      if (next === undefined) return;
      const { entry, place, missed } = next;
      if (missed) response.write(missedNote());
      response.write(`id: ${eventIdText(entry.id)}\nevent: ${entry.name}\ndata: ${entry.json}\n\n`);
      watcher.place = place + 1;
    }
  }

  #lookAround(): void {
    for (const [socket, watcher] of this.#watchers) {
      const waits = watcher.response.writableNeedDrain;
      if (waits && watcher.stalled) socket.destroy();
      else if (!waits) watcher.response.write(':\n\n');
      watcher.stalled = waits;
    }
  }
}

/** Has no ID, because it is not in the ring. */
function missedNote(): string {
  const note = timed({ event: 'events.missed' }, Date.now());
  return `event: ${note.event}\ndata: ${JSON.stringify(note)}\n\n`;
}
