import type { ChannelName, ConnectionEvents, ConnectionState, IceServer, Misuse } from '../webrtc.ts';

/**
 * What stands between an engine's callbacks and a connection's owner, and keeps the promises of `ConnectionEvents`
 * whatever the engine does: nothing after `shut()` or after a final state, no state twice in a row, `paired`,
 * `unserved` and `open` once, and `open` before the first message of a channel. An owner's exception becomes an uncaught
 * one of the process; in a native callback it would end it with std::terminate.
 */
export class EventGate {
  readonly #events: ConnectionEvents;
  readonly #opened = new Set<ChannelName>();
  readonly #unserved = new Set<IceServer['kind']>();
  #state: ConnectionState | undefined;
  #paired = false;
  #shut = false;

  constructor(events: ConnectionEvents) {
    this.#events = events;
  }

  /** No event passes any more: the owner closed the connection, or was told of its end. */
  get isShut(): boolean {
    return this.#shut;
  }

  shut(): void {
    this.#shut = true;
  }

  isOpen(channel: ChannelName): boolean {
    return !this.#shut && this.#opened.has(channel);
  }

  candidate(candidate: string): void {
    this.#pass(() => this.#events.candidate(candidate));
  }

  state(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#pass(() => {
      this.#state = state;
      if (state === 'failed' || state === 'closed') this.#shut = true;
      this.#events.state(state);
    });
  }

  paired(): void {
    if (this.#paired) return;
    this.#pass(() => {
      this.#paired = true;
      this.#events.paired();
    });
  }

  open(channel: ChannelName): void {
    if (this.#opened.has(channel)) return;
    this.#pass(() => {
      this.#opened.add(channel);
      this.#events.open(channel);
    });
  }

  message(channel: ChannelName, bytes: Uint8Array): void {
    this.open(channel);
    this.#pass(() => this.#events.message(channel, bytes));
  }

  unserved(kind: IceServer['kind']): void {
    if (this.#unserved.has(kind)) return;
    this.#pass(() => {
      this.#unserved.add(kind);
      this.#events.unserved(kind);
    });
  }

  drain(): void {
    this.#pass(() => this.#events.drain());
  }

  misused(how: Misuse): void {
    this.#pass(() => this.#events.misused(how));
  }

  #pass(event: () => void): void {
    if (this.#shut) return;
    try {
      event();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
