/** Measuring: subjects in turns, each take in a laboratory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Choice } from './choice.ts';
import type { Contender } from './contender.ts';
import type { Measure, Readings } from './measure.ts';
import { Pinger } from './pinger.ts';
import type { Results } from './results.ts';
import { Scene } from './scene.ts';

/** Milliseconds that a take may last. */
const limit = 600_000;

interface Subject {
  readonly name: string;
  take(scene: Scene): Promise<Readings>;
}

/** Records what is read, and resolves with what broke. Subjects take turns within each round, first one way, then the other,
 *  so that what else the machine does falls on all alike. */
export async function inTurns(
  measures: readonly Measure[],
  contenders: readonly Contender[],
  { with: names, runs, quick }: Choice,
  results: Results,
): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'cryonet-bench-'));
  const pinger = new Pinger(directory);
  process.on('exit', () => {
    pinger.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const failures: string[] = [];
  for (const measure of measures) {
    const subjects = subjectsOf(measure, contenders).filter(({ name }) => names.includes(name));
    for (let round = 0; round < runs; round++) {
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const what = `${measure.name} of ${subject.name}, take ${round + 1} of ${runs}`;
        try {
          const readings = await take(subject, new Scene(pinger, quick), measure.name);
          console.error(`${what}: ${JSON.stringify(readings)}`);
          for (const [key, value] of Object.entries(readings))
            results.record(key, subject.name, round, value);
        } catch (error) {
          failures.push(`broke    ${what}: ${error instanceof Error ? error.message : error}`);
          console.error(failures.at(-1));
        }
      }
    }
  }
  return failures;
}

function subjectsOf(measure: Measure, contenders: readonly Contender[]): Subject[] {
  return [
    ...contenders
      .filter((contender) => measure.of?.(contender) ?? true)
      .map((contender) => ({
        name: contender.name,
        take: (scene: Scene) => measure.take(scene, contender),
      })),
    ...Object.entries(measure.baselines ?? {}).map(([name, take]) => ({ name, take })),
  ];
}

async function take(subject: Subject, opened: Scene, name: string): Promise<Readings> {
  await using scene = opened;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([subject.take(scene), late]);
  } catch (error) {
    const log = join(tmpdir(), `cryonet-bench-${name}-${subject.name}.log`);
    writeFileSync(log, scene.logs());
    console.error(`what its programs said: ${log}`);
    throw error;
  } finally {
    clearTimeout(timer);
    scene.pinger.close();
  }
}
