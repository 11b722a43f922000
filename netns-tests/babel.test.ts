/** babeld as README has it, and as it is without that. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab/lab.ts';
import { linked } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { ping, startPing } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

/** `/etc/babeld.conf` of berlin in README. */
function recipe(): string {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  const [, section = ''] = readme.split('### Babel\n');
  const [, configuration = ''] = section.split('```');
  assert.match(configuration, /^\ndefault type tunnel\n/);
  return configuration;
}

/**
 * Two nodes that reach each other at 198.51.100.1 and .2, addresses of the overlay on their loopback interfaces.
 *
 *   berlin  bootstrap, 10.20.1.1 ──┐ switch
 *   osaka → berlin,    10.20.2.1 ──┘
 */
async function pair(lab: Lab) {
  const { hosts } = await lan(lab, ['berlin', 'osaka'], 'ipv4');
  const [one, other] = hosts as [Namespace, Namespace];
  await one.configure('addr add 10.20.1.1/32 dev lo', 'addr add fd20:1::1/128 dev lo');
  await other.configure('addr add 10.20.2.1/32 dev lo', 'addr add fd20:2::1/128 dev lo');
  const berlin = new CryonetNode(one, { listen: true }).start();
  const osaka = new CryonetNode(other, { bootstrap: [berlin] }).start();
  await linked(berlin, osaka, 30_000);
  return { one, other, berlin, osaka };
}

function startBabel(lab: Lab, host: Namespace, configuration: string): void {
  const [conf, state, pid] = ['conf', 'state', 'pid'].map((name) =>
    join(lab.directory, `${host.label}.babeld.${name}`),
  ) as [string, string, string];
  writeFileSync(conf, configuration);
  host.start('babeld', ['babeld', '-h', '1', '-H', '1', '-c', conf, '-S', state, '-I', pid]);
}

story(
  'a routing daemon that announces the addresses a link runs over takes the link down, and the status says why',
  ['babeld'],
  async (lab) => {
    const { one, other, berlin, osaka } = await pair(lab);
    startBabel(lab, one, 'interface cnosaka\n');
    startBabel(lab, other, 'interface cnberlin\n');
    const words =
      /^the route to 198\.51\.100\.[12] (goes through cn(osaka|berlin), our own tunnel|is of type unreachable): keep the addresses/;
    const [said] = await waitFor(
      'one of them to say which route goes through itself',
      60_000,
      async () => {
        const reports = await Promise.all([berlin.status(), osaka.status()]);
        return reports.flatMap(({ warnings = [] }) => warnings.filter(({ subject }) => subject === 'route'));
      },
      (warnings) => warnings.length > 0,
    );
    assert.match(said!.message, words);
    const outputs = () => `${berlin.program.output}${osaka.program.output}`;
    assert.match(
      outputs(),
      /(link lost|warning).*the route to 198\.51\.100\.[12] (goes through cn|is of type)/,
    );
  },
);

story(
  'babeld as README has it keeps a link up and carries packets for a minute, whatever the other end announces',
  ['babeld', 'ping'],
  async (lab) => {
    const { one, other, berlin, osaka } = await pair(lab);
    const own = recipe();
    startBabel(lab, one, own);
    // The other end has no filter for what it announces, the addresses of the underlay included.
    startBabel(lab, other, 'interface cnberlin\n');
    await waitFor(
      'routes of the overlay',
      30_000,
      () => ping(one, '10.20.2.1'),
      ({ received }) => received === 1,
    );
    const pings = startPing(one, '10.20.2.1', { count: 300, interval: 0.2 });
    const { received } = await pings.ends(90_000);
    lab.figures.push(`${received} of 300 pings in a minute`);
    assert.ok(received >= 299, lab.figures.at(-1));
    const routes = await one.ip<{ dst: string; dev: string }>('route', 'get', '198.51.100.2');
    assert.deepEqual(
      routes.map(({ dev }) => dev),
      ['eth0'],
    );
    for (const node of [berlin, osaka]) {
      assert.doesNotMatch(node.program.output, /link lost/);
      const { warnings = [] } = await node.status();
      assert.deepEqual(warnings, []);
    }
  },
  240_000,
);
