/** How long a program takes from its start to the socket it serves others on. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab } from '../../netns-tests/lab/lab.ts';
import { Lab as Laboratory } from '../../netns-tests/lab/lab.ts';
import { lan } from '../../netns-tests/lab/topology.ts';
import { type Contender, type Listening, monotonic, type OverlayOptions } from '../contender.ts';
import { type Measurement, milliseconds, subjects } from '../measurement.ts';

const limit = 20_000;
/** States of /proc/net/tcp and /proc/net/udp: TCP_LISTEN, and TCP_CLOSE for a UDP socket that is not connected. */
const listening = { tcp: '0A', udp: '07' };

export function startup(contenders: readonly Contender[], cached: Contender): Measurement {
  return {
    name: 'startup',
    limit: 4 * limit,
    subjects: subjects(contenders, async (contender, { lab }) => {
      const readings = { startup: await once(contender, lab, {}) };
      if (contender !== cached) return readings;
      await using other = new Laboratory();
      return { ...readings, 'startup-first': await once(contender, other, { cold: true }) };
    }),
  };
}

/** Seconds. */
async function once(contender: Contender, lab: Lab, options: OverlayOptions): Promise<number> {
  const { hosts } = await lan(lab, ['n1']);
  const overlay = await contender.prepare(hosts, options);
  // Something that lives in the namespace, for its view of the sockets there.
  const witness = hosts[0]!.start('witness', ['sleep', '60']);
  const starting = overlay.start(0);
  const end = performance.now() + limit;
  while (!listens(witness.pid, overlay.listening)) {
    if (performance.now() > end) throw new Error(`${contender.name} did not listen within ${limit} ms`);
    await pause(2);
  }
  const now = monotonic();
  return milliseconds(await starting, now) / 1000;
}

function listens(pid: number, { protocol, port }: Listening): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return [protocol, `${protocol}6`].some((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => local?.endsWith(suffix) && state === listening[protocol]),
  );
}
