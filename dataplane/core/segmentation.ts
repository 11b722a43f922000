/**
 * Whether records may leave together and be cut on their way (UDP_SEGMENT): some drivers and hops lose every one of what
 * was cut, while single records pass, and nothing else tells of it. A reducer over what was sealed here and what the peer
 * says in its answers that it has opened.
 *
 *               cut records vanish                single ones do not
 *     together ────────────────────► comparing ─────────────────────► singly ◄──────────────┐
 *        ▲                               │ no better: it is the path    │ after a pause,     │ cut records
 *        ├───────────────────────────────┘                              ▼ longer each time   │ vanish
 *        └──────────────────────── cut records arrive ─────────────── trying ───────────────┘
 *
 * Both counts are of all records, single ones among them, some of which are lost anywhere. So a suspicion has to be
 * confirmed by what becomes of the same traffic when it leaves singly, and a path that has become too narrow for its
 * records is none: one of full length must have passed meanwhile.
 *
 * The peer may lie about its count. It is its own link that is slowed, and pauses end.
 */

/** Records that left together, at least, before anything is said of them. */
const enough = 32;
/** Share of them that arrives at most where they vanish. */
const vanishing = 0.1;
/** How many times fewer are lost singly than together, at least. */
const better = 4;
/** Milliseconds until records leave together again, and until the next suspicion after one that was none; each time
 *  twice as long. */
const pauses = { least: 60_000, most: 3_600_000 };
/** Milliseconds without either after which pauses are short again. */
const calm = 2 * pauses.most;
/** Probes whose answers may come. */
const remembered = 8;

/** Totals of the link: sealed here when a probe was sent, and opened by the peer when it answered. */
interface Totals {
  readonly at: number;
  readonly sealed: number;
  /** Of these, left together. */
  readonly segmented: number;
}

interface Sample extends Totals {
  readonly opened: number;
}

export interface Segmentation {
  phase:
    | { readonly name: 'together' | 'trying' }
    /** `lost`: the share of all records, before. */
    | { readonly name: 'comparing'; readonly lost: number }
    | { readonly name: 'singly'; readonly until: number };
  /** What the next sample is compared with. */
  base: Sample | null;
  /** By number, of probes that were sent since. */
  readonly asked: Map<number, Totals>;
  /** Pauses so far, and when the last one ends. */
  paused: number;
  pausedUntil: number;
}

export type SegmentationEvent =
  /** A probe is sent. */
  | { readonly type: 'asked'; readonly number: number; readonly sealed: number; readonly segmented: number }
  | {
      readonly type: 'answered';
      readonly number: number;
      /** Null where the peer does not count. */
      readonly opened: number | null;
      /** When the last single record of full length was sent that has passed. Milliseconds. */
      readonly fullAt: number;
    }
  /** Records take another path. */
  | { readonly type: 'path' }
  /** Records have another length: what became of those before says nothing of them. */
  | { readonly type: 'length' }
  | { readonly type: 'tick' };

export type SegmentationEffect =
  /** Whether records leave together from now on. */
  | { readonly type: 'segment'; readonly on: boolean }
  /** Whether it is known that cut records vanish. */
  | { readonly type: 'vanish'; readonly known: boolean };

export function newSegmentation(): Segmentation {
  return {
    phase: { name: 'together' },
    base: null,
    asked: new Map(),
    paused: 0,
    pausedUntil: Number.NEGATIVE_INFINITY,
  };
}

/** When to `step` with a `tick` next; undefined where nothing is to be done. Milliseconds. */
export function nextDeadline({ phase }: Segmentation): number | undefined {
  return phase.name === 'singly' ? phase.until : undefined;
}

/** Changes `state` in place. */
export function step(state: Segmentation, event: SegmentationEvent, now: number): SegmentationEffect[] {
  const { asked, phase } = state;
  switch (event.type) {
    case 'asked':
      asked.set(event.number, { at: now, sealed: event.sealed, segmented: event.segmented });
      if (asked.size > remembered) asked.delete(asked.keys().next().value!);
      return [];
    case 'answered': {
      const totals = asked.get(event.number);
      for (const number of [...asked.keys()]) if (number <= event.number) asked.delete(number);
      if (totals === undefined || event.opened === null || phase.name === 'singly') return [];
      return take(state, { ...totals, opened: event.opened }, event.fullAt, now);
    }
    case 'path':
      forget(state);
      return phase.name === 'singly' ? attempt(state) : [];
    case 'length':
      forget(state);
      return [];
    case 'tick':
      return phase.name === 'singly' && now >= phase.until ? attempt(state) : [];
  }
}

function take(state: Segmentation, sample: Sample, fullAt: number, now: number): SegmentationEffect[] {
  const { base, phase } = state;
  // A count that goes back is that of a dataplane which started anew.
  if (base === null || sample.opened < base.opened || sample.sealed < base.sealed) {
    state.base = sample;
    return [];
  }
  const sealed = sample.sealed - base.sealed;
  const segmented = sample.segmented - base.segmented;
  const opened = sample.opened - base.opened;
  const lost = Math.max(0, sealed - opened) / Math.max(1, sealed);
  if (phase.name === 'comparing') {
    // What had left together before the change is none of what is compared.
    if (segmented > 0) state.base = sample;
    if (segmented > 0 || sealed < enough) return [];
    forget(state);
    return lost * better <= phase.lost ? giveUp(state, now) : trust(state, now);
  }
  if (segmented < enough) return [];
  if (opened - (sealed - segmented) > vanishing * segmented) {
    state.base = sample;
    return phase.name === 'trying' ? trust(state, now) : [];
  }
  if (fullAt < base.at) return [];
  forget(state);
  if (phase.name === 'trying') return giveUp(state, now);
  if (now < state.pausedUntil) return [];
  state.phase = { name: 'comparing', lost };
  return [{ type: 'segment', on: false }];
}

/** Cut records vanish. */
function giveUp(state: Segmentation, now: number): SegmentationEffect[] {
  const known = state.phase.name === 'trying';
  state.phase = { name: 'singly', until: pause(state, now) };
  return known ? [{ type: 'segment', on: false }] : [{ type: 'vanish', known: true }];
}

function attempt(state: Segmentation): SegmentationEffect[] {
  state.phase = { name: 'trying' };
  return [{ type: 'segment', on: true }];
}

function trust(state: Segmentation, now: number): SegmentationEffect[] {
  const { name } = state.phase;
  state.phase = { name: 'together' };
  if (name === 'comparing') pause(state, now);
  return name === 'trying' ? [{ type: 'vanish', known: false }] : [{ type: 'segment', on: true }];
}

function pause(state: Segmentation, now: number): number {
  if (now - state.pausedUntil > calm) state.paused = 0;
  state.pausedUntil = now + Math.min(pauses.most, pauses.least * 2 ** state.paused);
  state.paused += 1;
  return state.pausedUntil;
}

function forget(state: Segmentation): void {
  state.base = null;
  state.asked.clear();
}
