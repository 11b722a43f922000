/**
 * How long after an interface has lost its carrier a watcher has the line that says so and why.
 *
 *   n1 ── ten peers, pinged over each link; what comes to the UDP port of n1 is dropped, then taken again, over and over
 *
 * Both the kernel's word and the watcher's line get the time at which they came from one process.
 */
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import type { Program } from '../../netns-tests/lab/program.ts';
import { programs } from '../../netns-tests/lab/programs.ts';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import { figure, isOwn, type Measure } from '../measure.ts';

const peers = 10;
const rounds = 10;
/** Milliseconds for all links to be lost, or to be there again. */
const limit = 60_000;

const stamped =
  'while read -r line; do echo "$EPOCHREALTIME $line"; done < <(ip -o monitor link & exec "$@")';

export const watch: Measure = {
  name: 'watch',
  about: 'from the loss of carrier to the line at a watcher',
  figures: [
    figure('watch', 'carrier lost to the line of cryoc watch, 99th percentile', 'ms', 1, { atMost: 50 }),
    figure('watch-median', 'the same, median', 'ms', 1),
  ],
  of: isOwn,
  async take(scene, contender) {
    const hosts = await scene.hosts(peers + 1);
    await scene.formed(contender, hosts);
    const [host] = hosts as [Namespace];
    const socket = join(host.lab.directory, `${host.label}.${host.label}`, 'run', 'control.sock');
    const watching = host.start('watching', [
      ...['bash', '-c', stamped, 'watching'],
      ...[join(programs, 'cryoc'), '--socket', socket, 'watch', '--past', '--json'],
    ]);
    const ping = hosts.slice(1).map(({ label }) => `ping -q -i 0.2 ff02::1%cn${label} &`);
    host.start('pinging', ['bash', '-c', `${ping.join(' ')} wait`]);
    for (let round = 1; round <= (scene.quick ? 2 : rounds); round++) {
      await told(watching, 'link.up', round * peers);
      await host.rules(
        'table inet cut { chain in { type filter hook input priority 0; iifname eth0 meta l4proto { tcp, udp } drop; }; }',
      );
      await told(watching, 'link.lost', round * peers);
      await host.$`nft delete table inet cut`;
    }
    const late = latenesses(watching.output).toSorted((one, other) => one - other);
    const share = (part: number) => late[Math.ceil(part * late.length) - 1]!;
    return { watch: share(0.99), 'watch-median': share(0.5) };
  },
};

async function told(watching: Program, event: string, times: number): Promise<void> {
  await waitFor(
    `${event} to be told ${times} times`,
    limit,
    () => watching.output.split(`"event":"${event}"`).length - 1,
    (count) => count >= times,
  );
}

/** Milliseconds between each loss of carrier and its line; 0 where the line came first. */
function latenesses(output: string): number[] {
  const lostAt = new Map<string, number[]>();
  const toldAt = new Map<string, number[]>();
  const dark = new Set<string>();
  for (const line of output.split('\n')) {
    const time = Number(line.split(' ', 1)[0]) * 1000;
    const [, device, flags] = /^\S+ \d+: (cn\w+): <([^>]*)>/.exec(line) ?? [];
    const told = /"event":"link\.lost".*"interface":"(cn\w+)"/.exec(line)?.[1];
    if (told !== undefined) append(toldAt, told, time);
    if (device === undefined || flags === undefined) continue;
    if (!flags.includes('NO-CARRIER')) dark.delete(device);
    else if (!dark.has(device)) {
      dark.add(device);
      append(lostAt, device, time);
    }
  }
  return [...toldAt].flatMap(([device, times]) =>
    times.map((time, i) => Math.max(0, time - (lostAt.get(device)?.[i] ?? time))),
  );
}

function append(times: Map<string, number[]>, device: string, time: number): void {
  times.set(device, [...(times.get(device) ?? []), time]);
}
