/** Asks and listens to the node, and shows what the model says of it, until somebody quits. */
import { setTimeout as pause } from 'node:timers/promises';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { NodeEvent } from '../../protocol/events.ts';
import { call } from '../control-client.ts';
import { follow } from '../event-stream.ts';
import { frame } from './frame.ts';
import { type Event, nextLook, opened, openOf, step } from './model.ts';
import { Screen } from './screen.ts';

/** Milliseconds between an event and the question what has become of it: others mostly come with it. */
const eventPause = 100;
/** Milliseconds between two tries to hear events again. */
const retryPause = 1000;
/** A node that needs long to answer rests so many times as long before it is asked again, and no longer than this. */
const restFactor = 5;
const longestRest = 10_000;
/** Milliseconds between two frames that only count seconds. */
const tickInterval = 1000;

/** Milliseconds: the node waits three seconds for the peer. */
const explainTimeout = 6000;
/** Milliseconds from what happens to the frame that shows it: much may happen at once. */
const frameInterval = 16;

/** Every event that the node has kept. */
const fromTheBeginning = '0-0';

interface Options {
  /** Milliseconds between two reports. */
  readonly interval: number;
  readonly color: boolean;
}

/** Shows the node of that socket, which has answered already, across its restarts; until somebody quits. */
export async function watch(socketPath: string, { interval, color }: Options): Promise<void> {
  const { promise: over, resolve: finish } = Promise.withResolvers<void>();
  const screen = new Screen(process.stdin, process.stdout, {
    key: (key) => take({ type: 'key', key }),
    resize: (size) => take({ type: 'resize', size }),
    again: () => show(),
  });
  let model = opened(screen.size, interval);
  let drawing: NodeJS.Timeout | undefined;
  const show = () => {
    drawing ??= setTimeout(() => {
      drawing = undefined;
      screen.draw(frame(model, color));
    }, frameInterval);
  };
  /** The open peer, of which both ends are asked once. */
  let explained: string | undefined;
  const take = (event: Event) => {
    model = step(model, event);
    const opens = openOf(model);
    if (opens !== undefined && opens !== explained) void explain(socketPath, opens).then(take, () => {});
    explained = opens;
    if (model.isOver) finish();
    else show();
  };
  const asking = new Asking(socketPath, interval, take);
  const ticking = setInterval(() => take({ type: 'tick', at: performance.now() }), tickInterval);
  const stopped = new AbortController();
  try {
    screen.open();
    show();
    const listening = listen(socketPath, stopped.signal, (event) => {
      if (event !== undefined) take({ type: 'event', event });
      asking.soon();
    });
    await Promise.race([over, asking.run(stopped.signal), listening]);
  } finally {
    stopped.abort();
    clearInterval(ticking);
    clearTimeout(drawing);
    screen.close();
  }
}

/** Asks both ends of a link what they see of it. Rejects where there is no answer: the page does without. */
async function explain(socketPath: string, id: string): Promise<Event> {
  const route = 'POST /v1/peers/{id}/explain';
  return { type: 'explained', explanation: await call(socketPath, route, explainTimeout, { id }) };
}

/** Asks for a report each interval, and sooner where something has happened. */
class Asking {
  readonly #socketPath: string;
  readonly #interval: number;
  readonly #take: (event: Event) => void;
  #wake: () => void = () => {};
  #isWanted = false;

  constructor(socketPath: string, interval: number, take: (event: Event) => void) {
    this.#socketPath = socketPath;
    this.#interval = interval;
    this.#take = take;
  }

  soon(): void {
    this.#isWanted = true;
    this.#wake();
  }

  /** Until the signal. Rejects for a defect alone. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = performance.now();
      this.#isWanted = false;
      const event = await this.#ask();
      if (signal.aborted) return;
      this.#take(event);
      // However many events there are. A node that hangs has nothing to do with us, and may go on any moment.
      const took = event.type === 'report' ? event.at - start : 0;
      await rest(Math.min(Math.max(eventPause, took * restFactor), longestRest), signal);
      if (!this.#isWanted)
        await this.#restOrWake(nextLook(start, this.#interval) - performance.now(), signal);
    }
  }

  async #ask(): Promise<Event> {
    try {
      const report = await call(this.#socketPath, 'GET /v1/status');
      return { type: 'report', report, at: performance.now(), time: Date.now() };
    } catch (error) {
      if (!(error instanceof CryonetError)) throw error;
      return { type: 'unreachable', reason: reasonOf(error), at: performance.now() };
    }
  }

  async #restOrWake(milliseconds: number, signal: AbortSignal): Promise<void> {
    const waking = new AbortController();
    this.#wake = () => waking.abort();
    await rest(milliseconds, AbortSignal.any([signal, waking.signal]));
  }
}

/** Hears what the node tells, also after it was started again; `heard` without an event where it has gone. Rejects for a
 *  defect alone. */
async function listen(
  socketPath: string,
  signal: AbortSignal,
  heard: (event?: NodeEvent) => void,
): Promise<void> {
  let last = fromTheBeginning;
  while (!signal.aborted) {
    try {
      for await (const { id, event } of follow(socketPath, last)) {
        last = id ?? last;
        if (event !== undefined) heard(event);
      }
    } catch (error) {
      // The next question says why.
      if (!(error instanceof CryonetError)) throw error;
    }
    heard();
    await rest(retryPause, signal);
  }
}

/** Resolves also where the signal comes first. */
async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  await pause(Math.max(0, milliseconds), undefined, { signal }).catch(() => {});
}
