/** How long a program takes from its start to the socket it serves others on. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Contender, type Listening, monotonic, type OverlayOptions } from '../contender.ts';
import { figure, isOwn, type Measure, ofOthers } from '../measure.ts';
import { type Scene, secondsBetween } from '../scene.ts';

const limit = 20_000;
/** States of /proc/net/tcp and /proc/net/udp: TCP_LISTEN, and TCP_CLOSE for a UDP socket that is not connected. */
const listening = { tcp: '0A', udp: '07' };

export const startup: Measure = {
  name: 'startup',
  about: 'from starting the program to its listening socket',
  figures: [
    figure('startup', 'from starting the program to its listening socket', 's', 3, { atMost: 0.8 }),
    figure('startup-first', 'the same, the first time ever', 's', 3, {
      atMost: 0.8,
      note: 'Nothing compiled before is at hand.',
      notes: ofOthers('Keeps nothing between starts.'),
    }),
  ],
  async take(scene, contender) {
    const readings = { startup: await once(scene, contender, {}) };
    if (!isOwn(contender)) return readings;
    return { ...readings, 'startup-first': await once(scene, contender, { cold: true }) };
  },
};

async function once(scene: Scene, contender: Contender, options: OverlayOptions): Promise<number> {
  const hosts = await scene.hosts(1);
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
  return secondsBetween(await starting, now);
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
