/** The packaged pair on machines with every kind of /dev/net/tun, and what the dataplane says where it has none. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../netns-tests/lab/lab.ts';
import { ping } from '../netns-tests/lab/ping.ts';
import { lan } from '../netns-tests/lab/topology.ts';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { Machine, type MachineOptions, tunModes } from './lab/machine.ts';
import {
  configure,
  control,
  dataplane,
  giveToken,
  install,
  linkedDirectly,
  netAdmin,
  noCapability,
  rights,
} from './lab/pair.ts';
import { machineStory } from './lab/story.ts';

const device = '/dev/net/tun';

/** Of the image; it is not in the package. */
const entry = join(import.meta.dirname, '..', 'packaging', 'container-entry');

/** As a container is that is not privileged: it can make no device node. */
const container: MachineOptions = { without: ['CAP_MKNOD'] };

/*
 *   berlin  bookworm, the mode, bootstrap ──┐ switch
 *   osaka   trixie, the mode → berlin ──────┘
 */
for (const tunMode of tunModes) {
  machineStory(
    `with ${device} at ${tunMode} two machines are linked, and it is as before`,
    [],
    async (lab) => {
      const { hosts } = await lan(lab, ['berlin', 'osaka'], 'ipv4');
      const [berlin, osaka] = await Promise.all([
        Machine.boot(hosts[0]!, 'bookworm', { tunMode }),
        Machine.boot(hosts[1]!, 'trixie', { tunMode }),
      ]);
      const machines = [berlin, osaka];
      await Promise.all(machines.map((machine) => install(machine)));
      await configure(berlin, `listen = "${hosts[0]!.address}:2333"`);
      await configure(osaka, `ws-servers = ["ws://${hosts[0]!.address}:2333"]`);
      await Promise.all(machines.map((machine) => giveToken(machine)));
      const peer = await linkedDirectly(berlin, osaka);
      await linkedDirectly(osaka, berlin);
      const target = `${peer.interface!.peerAddress}%${peer.interface!.name}`;
      assert.equal((await ping(berlin.namespace, target)).received, 1);
      const shown = `${tunMode.slice(1)} root:root -`;
      for (const machine of machines) {
        assert.equal(await nodeOf(machine), shown);
        assert.equal(await nodeOf(machine, '/dev/cryonet/tun'), '600 cryonet-dataplane:cryonet-dataplane -');
        await machine.$`systemctl stop ${control}`;
        await machine.unitIs(dataplane, 'inactive');
        assert.equal(await nodeOf(machine), shown);
        assert.equal(await nodeOf(machine, '/dev/cryonet'), '');
      }
    },
  );
}

for (const options of [{}, { ...container, tunMode: '0666' }] as const) {
  const kind = 'without' in options ? 'one that can make no node' : 'one that can make a node';
  machineStory(
    `the entry of a container gives its user the TUN device, and control no capability, in ${kind}`,
    [],
    async (lab) => {
      const machine = await Machine.boot(await lab.namespace('berlin'), 'bookworm', options);
      await install(machine);
      await machine.$`systemctl disable --now ${control}`;
      // It ends by itself as well, some time later, and with it its folder in /dev.
      await machine.$`systemctl stop cryonet-dataplane.socket cryonet-dataplane.service`;
      await machine.write('/usr/lib/cryonet/container-entry', readFileSync(entry, 'utf8'), '0755');
      const environment = {
        TOKEN: 'packaging-tests',
        STATE_DIR: '/var/lib/cryonet',
        RUNTIME_DIR: '/run/cryonet',
      };
      const settings = Object.entries(environment).map(([name, value]) => `--setenv=${name}=${value}`);
      await machine.$`systemd-run --quiet --unit=container ${settings} /usr/lib/cryonet/container-entry berlin`;
      await running(machine);
      const of = { user: 'cryonet', environment: 'root', bounding: netAdmin, core: '0' };
      const main = await machine.mainPid('container');
      assert.deepEqual(await rights(machine, main), { ...of, effective: noCapability });
      const { dataplane: started } = await machine.status();
      assert.deepEqual(await rights(machine, started.pid!), { ...of, effective: netAdmin });
    },
  );
}

machineStory(`without ${device} the dataplane has one of its own all the same`, [], async (lab) => {
  await running(await boot(lab, { tunMode: 'none' }));
});

for (const tunMode of ['0666', '0600'] as const) {
  machineStory(
    `in a container that can make no node the machine's is used, at ${tunMode}`,
    [],
    async (lab) => {
      const machine = await boot(lab, { ...container, tunMode });
      if (tunMode === '0666') return await running(machine);
      await saysAndWaits(machine, /may not open the TUN device.*mode 0600, uid 0, gid 0/);
      await machine.$`chgrp cryonet-dataplane ${device} && chmod 0660 ${device}`;
      await recovers(machine);
    },
  );
}

machineStory('in a container without the device the dataplane says so', [], async (lab) => {
  const machine = await boot(lab, { ...container, tunMode: 'none' });
  await saysAndWaits(
    machine,
    /the TUN device is not there: load the module with `modprobe tun`.*restart the dataplane/,
  );
  await machine.$`mknod -m 0666 ${device} c 10 200`;
  await machine.$`systemctl restart ${dataplane}`;
  await running(machine);
});

machineStory('a control group that refuses the device is named', [], async (lab) => {
  const machine = await boot(lab, { tunMode: '0666' }, 'DeviceAllow=');
  await saysAndWaits(machine, /the control group may not open the TUN device: .*DeviceAllow=/);
});

machineStory('a dataplane without CAP_NET_ADMIN says so', [], async (lab) => {
  const machine = await boot(lab, {}, 'AmbientCapabilities=\nCapabilityBoundingSet=');
  await saysAndWaits(machine, /no permission to make network interfaces here: needs root or CAP_NET_ADMIN/);
});

/** With the package and a token. `settings`: of the dataplane's unit, above its own. */
async function boot(lab: Lab, options: MachineOptions, settings?: string): Promise<Machine> {
  const machine = await Machine.boot(await lab.namespace('berlin'), 'bookworm', options);
  if (settings !== undefined)
    await machine.write(`/etc/systemd/system/${dataplane}.d/settings.conf`, `[Service]\n${settings}\n`);
  await giveToken(machine);
  await install(machine);
  return machine;
}

async function running(machine: Machine): Promise<void> {
  const { warnings } = await waitFor(
    'control to have the dataplane',
    15_000,
    () => machine.status(),
    ({ dataplane }) => dataplane.connected,
  );
  assert.deepEqual(warnings?.filter(isOfTun), []);
}

/** In its journal once, in `systemctl status` of both and in `cryoc status`; and neither is started again. */
async function saysAndWaits(machine: Machine, why: RegExp): Promise<void> {
  const { warnings } = await waitFor(
    'control to say why there will be no interface',
    15_000,
    () => machine.status(),
    ({ warnings }) => warnings?.some(isOfTun) === true,
  );
  assert.match(warnings!.find(isOfTun)!.message, why);
  assert.match((await machine.$`cryoc status`).stdout, why);
  for (const unit of [control, dataplane]) {
    const { StatusText, NRestarts, ActiveState } = await machine.show(
      unit,
      ...(['StatusText', 'NRestarts', 'ActiveState'] as const),
    );
    assert.match(StatusText, why);
    assert.deepEqual([NRestarts, ActiveState], ['0', 'active'], unit);
  }
  const lines = (await machine.journal(dataplane)).split('\n').filter((line) => why.test(line));
  assert.equal(lines.length, 1, lines.join('\n'));
}

/** By itself. */
async function recovers(machine: Machine): Promise<void> {
  await waitFor(
    'the warning to go',
    20_000,
    () => machine.status(),
    ({ warnings }) => warnings?.some(isOfTun) === false,
  );
  assert.equal((await machine.show(dataplane, 'NRestarts')).NRestarts, '0');
}

function isOfTun({ subject }: { readonly subject: string }): boolean {
  return subject === 'tun';
}

/** Mode, owner, group, and whether there is an ACL; '' where it is not there. */
async function nodeOf(machine: Machine, path = device): Promise<string> {
  const { stdout } = await machine.$({ nothrow: true })`stat -c '%a %U:%G' ${path} 2>/dev/null`;
  if (stdout === '') return '';
  const listed = (await machine.$`ls -l ${path}`).stdout;
  return `${stdout.trim()} ${listed.charAt(10) === '+' ? '+' : '-'}`;
}
