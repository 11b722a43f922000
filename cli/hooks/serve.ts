/** Runs the hooks of a folder for what happens, across restarts of the node and of this program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../protocol/errors.ts';
import { eventIdPattern } from '../../protocol/events.ts';
import { call } from '../control-client.ts';
import { type At, followOn } from '../watching.ts';
import { writeWhole } from '../whole-file.ts';
import { environmentOf, type HookEvent } from './environment.ts';
import { hooksIn } from './folder.ts';
import { HookQueue } from './queue.ts';
import { runHook } from './run.ts';

export interface HookService {
  readonly folder: string;
  /** Milliseconds for one hook and one event. */
  readonly timeout: number;
  /** Where the place among the events is kept; undefined: nowhere. */
  readonly stateDirectory: string | undefined;
  readonly at: At;
  readonly say: (line: string) => void;
}

/** Throws `version_mismatch`, and what else keeps the node from being watched for good. */
export async function serveHooks({ folder, timeout, stateDirectory, at, say }: HookService): Promise<never> {
  const queue = new HookQueue<HookEvent>();
  const place = stateDirectory === undefined ? undefined : join(stateDirectory, 'last-event');
  let refused = '';
  const runAll = async (event: HookEvent) => {
    const hooks = hooksIn(folder);
    const complaint = hooks.refused.join('\n');
    if (complaint !== refused) for (const line of hooks.refused) say(line);
    refused = complaint;
    if (hooks.paths.length === 0) return;
    const environment = environmentOf(event, { CRYONET_COST: await costOf(event, at) });
    for (const path of hooks.paths) await runHook({ path, environment, timeout, say });
  };
  const work = () => {
    for (let next = queue.next(); next !== undefined; next = queue.next()) {
      const { event, done } = next;
      void runAll(event)
        .catch((error: unknown) => say(reasonOf(error)))
        .then(() => {
          done();
          work();
        });
    }
  };
  const add = (event: HookEvent) => {
    queue.add(event);
    const leftOut = queue.takeLeftOut();
    if (leftOut > 0) say(`${leftOut} events were left out: hooks take longer than events come`);
    work();
  };
  add({ event: 'hooks.started', time: new Date().toISOString() });
  let last = placeIn(place);
  return followOn(at, { last, isPatient: true }, async ({ id, event }) => {
    if (event !== undefined) add(event);
    if (id === undefined || id === last || place === undefined) return;
    last = id;
    keep(place, id, say);
  });
}

/** What the link of the event's peer costs now, while it is up. */
async function costOf({ event, peer }: HookEvent, at: At): Promise<string | undefined> {
  if (peer === undefined || !/^(link|interface)\./.test(event)) return undefined;
  try {
    const { cost } = await at((socketPath) =>
      call(socketPath, 'GET /v1/peers/{id}', undefined, { id: peer }),
    );
    return cost == null ? undefined : String(cost);
  } catch {
    // Control ends, or has forgotten the peer: there will be other events.
    return undefined;
  }
}

function placeIn(path: string | undefined): string | undefined {
  try {
    const text = path === undefined ? '' : readFileSync(path, 'utf8').trim();
    return eventIdPattern.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function keep(path: string, id: string, say: (line: string) => void): void {
  try {
    writeWhole(path, `${id}\n`);
  } catch (error) {
    say(reasonOf(error));
  }
}
