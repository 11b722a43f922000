/**
 * What `cryoc top` knows and shows, and what becomes of it when something happens. Nothing here asks, draws or has a clock.
 *
 *     no report ── report ──► connected ── unreachable ──► not connected ── report ──► connected
 */
import type { NodeEvent } from '../../protocol/events.ts';
import type { Explanation } from '../../protocol/link-view.ts';
import type { PeerStatus, StatusReport } from '../../protocol/status.ts';
import { title } from './head.ts';
import { nextOrder, type Order, ordered } from './order.ts';
import { peerPage } from './peer-page.ts';
import { type Track, tracked } from './track.ts';

/** Events of each peer that are kept to be shown with it. */
const eventsKept = 8;
/** Rows of a screen that are not of the table, about. */
const otherRows = 8;

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

type View =
  | { readonly name: 'peers' }
  | { readonly name: 'peer'; readonly id: string; readonly scroll: number }
  | { readonly name: 'help' };

export interface Model {
  readonly size: Size;
  /** Milliseconds between two reports. */
  readonly interval: number;
  /** Milliseconds by a clock that is never set. */
  readonly now: number;
  readonly last: Look | undefined;
  /** Why the node does not answer; undefined while it does. */
  readonly silence: string | undefined;
  readonly tracks: ReadonlyMap<string, Track>;
  /** The last events of each peer, the newest last. */
  readonly happened: ReadonlyMap<string, readonly NodeEvent[]>;
  /** What both ends see of the link with the peer that is open; undefined until it is known. */
  readonly explanation: Explanation | undefined;
  readonly order: Order;
  /** Undefined: whoever stands first. */
  readonly selected: { readonly id: string; readonly row: number } | undefined;
  readonly view: View;
  readonly isOver: boolean;
}

/** A report, and when it came. */
interface Look {
  readonly report: StatusReport;
  /** By the same clock as `now`. */
  readonly at: number;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  /** Which interval it came in, counted from the clock's beginning. */
  readonly turn: number;
}

export type Key =
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'first'
  | 'last'
  | 'open'
  | 'back'
  | 'order'
  | 'help'
  | 'quit';

export type Event =
  | { readonly type: 'report'; readonly report: StatusReport; readonly at: number; readonly time: number }
  | { readonly type: 'unreachable'; readonly reason: string; readonly at: number }
  | { readonly type: 'event'; readonly event: NodeEvent }
  | { readonly type: 'explained'; readonly explanation: Explanation }
  | { readonly type: 'key'; readonly key: Key }
  | { readonly type: 'resize'; readonly size: Size }
  | { readonly type: 'tick'; readonly at: number };

/** Before the first report. */
export function opened(size: Size, interval: number): Model {
  return {
    ...{ size, interval, now: 0, last: undefined, silence: undefined },
    ...{ tracks: new Map(), happened: new Map(), explanation: undefined },
    ...{ order: 'trouble', selected: undefined, view: { name: 'peers' }, isOver: false },
  };
}

export function step(model: Model, event: Event): Model {
  switch (event.type) {
    case 'report':
      return reported(model, event);
    case 'unreachable':
      return { ...model, now: event.at, silence: event.reason };
    case 'event':
      return happened(model, event.event);
    case 'explained':
      return openOf(model) === event.explanation.peer ? { ...model, explanation: event.explanation } : model;
    case 'key':
      return pressed(model, event.key);
    case 'resize':
      return { ...model, size: event.size };
    case 'tick':
      return { ...model, now: event.at };
  }
}

/** The peer that is open. */
export function openOf({ view }: Model): string | undefined {
  return view.name === 'peer' ? view.id : undefined;
}

/** The peers in the order of the table. */
export function rowsOf({ last, order, tracks }: Model): PeerStatus[] {
  return last === undefined ? [] : ordered(last.report.peers, order, tracks);
}

/** Row of the selected peer; 0 where there is none. */
export function selectedRow({ selected }: Model, rows: readonly PeerStatus[]): number {
  if (selected === undefined) return 0;
  const row = rows.findIndex(({ id }) => id === selected.id);
  return row >= 0 ? row : Math.max(0, Math.min(selected.row, rows.length - 1));
}

/** When to look again: in the middle of the next interval, so that a look that is a little late is in it still. */
export function nextLook(at: number, interval: number): number {
  return (turnOf(at, interval) + 1.5) * interval;
}

function turnOf(at: number, interval: number): number {
  return Math.floor(at / interval);
}

function reported(model: Model, { report, at, time }: Event & { type: 'report' }): Model {
  const turn = turnOf(at, model.interval);
  const before = model.last?.turn;
  const skipped = before === undefined ? 0 : turn <= before ? undefined : turn - before - 1;
  const { peers } = report;
  const tracks = new Map(
    peers.map((peer) => [peer.id, tracked(model.tracks.get(peer.id), peer, at, skipped)]),
  );
  const kept = new Map([...model.happened].filter(([id]) => tracks.has(id)));
  const next = { ...model, now: at, last: { report, at, time, turn }, silence: undefined };
  return { ...next, tracks, happened: kept };
}

function happened(model: Model, event: NodeEvent): Model {
  const { peer } = event;
  if (peer === undefined) return model;
  const events = [...(model.happened.get(peer) ?? []), event].slice(-eventsKept);
  return { ...model, happened: new Map(model.happened).set(peer, events) };
}

function pressed(model: Model, key: Key): Model {
  const { view } = model;
  if (key === 'quit') return { ...model, isOver: true };
  if (key === 'help') return { ...model, view: { name: view.name === 'help' ? 'peers' : 'help' } };
  if (key === 'back') return { ...model, view: { name: 'peers' } };
  if (view.name === 'help') return model;
  if (view.name === 'peer') {
    const page = model.size.rows - title(model).length - 1;
    const places = Math.max(1, peerPage(model, view.id).length + 2 - page);
    return { ...model, view: { ...view, scroll: moved(view.scroll, key, page - 1, places) } };
  }
  if (key === 'order') return { ...model, order: nextOrder(model.order) };
  const rows = rowsOf(model);
  const row = selectedRow(model, rows);
  const peer = rows[key === 'open' ? row : moved(row, key, model.size.rows - otherRows, rows.length)];
  if (peer === undefined) return model;
  if (key === 'open')
    return { ...model, view: { name: 'peer', id: peer.id, scroll: 0 }, explanation: undefined };
  // Whoever goes to the first row wants to see who stands first, whoever that is.
  return { ...model, selected: key === 'first' ? undefined : { id: peer.id, row: rows.indexOf(peer) } };
}

/** Of `count` places, which one a key leads to. */
function moved(from: number, key: Key, page: number, count: number): number {
  const steps: Partial<Record<Key, number>> = {
    ...{ up: -1, down: 1, pageUp: -Math.max(1, page), pageDown: Math.max(1, page) },
    ...{ first: -from, last: count - 1 - from },
  };
  return Math.max(0, Math.min(from + (steps[key] ?? 0), count - 1));
}
