/** A dataplane with very many links. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { residentMegabytes } from '../bench/processes.ts';
import type { LinkReport } from '../protocol/dataplane.ts';
import type { Crowded } from './lab/crowd.ts';
import type { Namespace } from './lab/namespace.ts';
import { programs } from './lab/programs.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

const count = 300;
/** Milliseconds until all links are up: on a machine with other work to do it takes several times as long. */
const bound = 180_000;

/** How many of these links bring a ping to their other end and back. */
async function answered(host: Namespace, links: readonly LinkReport[]): Promise<number> {
  const ends = links.map(({ interface: device }) => `${device!.peerAddress}%${device!.name}`);
  const shell = host.$({ input: ends.join('\n'), nothrow: true });
  const { stdout } = await shell`xargs -n 1 -P 8 ping -n -q -c 1 -W 10 | grep -c ' 1 received'`;
  return Number(stdout);
}

/** By peer, what must be the same whoever asks. */
function interfaces(links: readonly LinkReport[]): Record<string, string> {
  return Object.fromEntries(
    links.map(({ peer, state, interface: device }) => [peer, `${state} ${device?.index} ${device?.name}`]),
  );
}

/*
 *   hub ─── 300 links ─── m0, m1, …    dataplanes all in one process, which is control to the hub
 */
story(
  'a dataplane has 300 interfaces whose links carry packets, and tells a new control of all',
  ['ping'],
  async (lab) => {
    const { hosts } = await lan(lab, ['hub', 'crowd'], 'ipv4');
    const [hub, others] = [hosts[0]!, hosts[1]!];
    const socket = join(lab.directory, 'hub.sock');
    const dataplane = hub.start('dataplane', [join(programs, 'cryonet-dataplane'), '--socket', socket]);
    await waitFor(
      'the dataplane',
      10_000,
      () => statSync(socket).isSocket(),
      (served) => served,
    );
    const before = residentMegabytes([dataplane.pid]);
    const program = join(import.meta.dirname, 'lab', 'crowd.ts');
    const crowd = others.start('crowd', [process.execPath, program, socket, `${count}`]);
    const { milliseconds, links, adopted }: Crowded = JSON.parse(await crowd.says(/^\{.*\}\n$/, bound));
    const each = (residentMegabytes([dataplane.pid]) - before) / count;
    lab.figures.push(`${count} links after ${milliseconds} ms, ${each.toFixed(2)} MB each`);
    assert.equal(links.length, count);
    assert.deepEqual(interfaces(adopted), interfaces(links));
    const present = await hub.ip<{ ifname: string; operstate: string }>('link');
    assert.equal(present.filter(({ ifname }) => ifname.startsWith('cn')).length, count);
    assert.equal(await answered(hub, links), count);
  },
  bound + 60_000,
);
