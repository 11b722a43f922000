/** What a measurement is: subjects that take turns, each take on a laboratory of its own. */
import type { Lab } from '../netns-tests/lab/lab.ts';
import type { Contender, Overlay } from './contender.ts';
import type { Pinger } from './pinger.ts';

/** Figures by their keys in figures.ts. */
export type Readings = Readonly<Record<string, number>>;

export interface Scene {
  /** Gone after the take. */
  readonly lab: Lab;
  readonly pinger: Pinger;
  /** Shorter windows, for trying things out. */
  readonly quick: boolean;
}

export interface Subject {
  readonly name: string;
  take(scene: Scene): Promise<Readings>;
}

export interface Measurement {
  /** As given to --only. */
  readonly name: string;
  readonly subjects: readonly Subject[];
  /** Milliseconds that a take may last. */
  readonly limit: number;
}

/** The same take for several contenders. */
export function subjects(
  contenders: readonly Contender[],
  take: (contender: Contender, scene: Scene) => Promise<Readings>,
): Subject[] {
  return contenders.map((contender) => ({
    name: contender.name,
    take: (scene) => take(contender, scene),
  }));
}

/** Pinger targets from every host to every other. */
function everyPair(overlay: Overlay): string[] {
  const all = [...overlay.hosts.keys()];
  return all.flatMap((from) =>
    overlay.targets(
      from,
      all.filter((to) => to !== from),
    ),
  );
}

/** Starts every host's part and waits until every pair answers. Resolves with the time of the last start and that of
 *  the last first answer. */
export async function form(
  overlay: Overlay,
  pinger: Pinger,
  bounds: { readonly interval: number; readonly limit: number },
): Promise<{ readonly lastStart: bigint; readonly formed: bigint }> {
  const { started, all } = await pinger.reach(everyPair(overlay), bounds);
  let lastStart = started;
  for (const host of overlay.hosts.keys()) lastStart = await overlay.start(host);
  return { lastStart, formed: await all };
}

/** Milliseconds between two CLOCK_MONOTONIC times in nanoseconds. */
export function milliseconds(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6;
}
