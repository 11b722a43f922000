/** The rpm, by Debian's rpm: the names of what it requires are those of other distributions. */
import assert from 'node:assert/strict';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { Machine } from './lab/machine.ts';
import { type Edition, inMachine, versionOf } from './lab/packages.ts';
import { configFile, configure, control, dataplane, giveToken } from './lab/pair.ts';
import { machineStory } from './lab/story.ts';

/** What rpm and the system's own services keep when a package comes or goes. */
const kept = [
  /^\/var\/lib\/(rpm|systemd)(\/|$)/,
  /^\/root\/\.rpmdb(\/|$)/,
  /^\/var\/(cache|log)(\/|$)/,
  /^\/etc\/(passwd|group|shadow|gshadow)-$/,
  /^\/etc\/\.pwd\.lock$/,
];

machineStory('the rpm installs, upgrades with the configuration kept, and goes', [], async (lab) => {
  const machine = await Machine.boot(await lab.namespace('berlin'));
  await machine.$`rpm --initdb`;
  const before = await machine.files();
  await rpm(machine, '--install', 'first');
  await machine.$`systemctl start ${control}`;
  await machine.unitIs(control, 'active');
  assert.match((await machine.show(control, 'StatusText')).StatusText, /\/etc\/cryonet\/token/);
  assert.equal((await machine.$`rpm --verify --nodeps cryonet`).stdout, '');

  await configure(machine, 'check-interval = "9s"');
  await giveToken(machine);
  await runs(machine, 'first');
  const pid = await machine.mainPid(dataplane);
  await rpm(machine, '--upgrade', 'next');
  await runs(machine, 'next');
  assert.equal(await machine.mainPid(dataplane), pid);
  await rpm(machine, '--upgrade', 'changed');
  await runs(machine, 'changed');
  assert.notEqual(await machine.mainPid(dataplane), pid);
  assert.match((await machine.$`cat ${configFile}`).stdout, /check-interval = "9s"/);

  await machine.$`rpm --erase cryonet`;
  const known = new Set(before);
  const left = (await machine.files()).filter(
    (path) => !known.has(path) && !kept.some((pattern) => pattern.test(path)),
  );
  assert.deepEqual(left, [
    '/etc/cryonet',
    '/etc/cryonet/config.toml.rpmsave',
    '/etc/cryonet/token',
    '/var/lib/cryonet',
    '/var/lib/cryonet/epoch',
    '/var/lib/cryonet/events',
    '/var/lib/cryonet/identities',
    '/var/lib/cryonet/identity.pem',
  ]);
  assert.equal(await machine.mainPid(control), 0);
  assert.equal(await machine.mainPid(dataplane), 0);
});

async function rpm(machine: Machine, how: '--install' | '--upgrade', edition: Edition): Promise<void> {
  const { stderr } = await machine.$`rpm ${how} --nodeps ${inMachine('rpm', edition)}`;
  assert.doesNotMatch(stderr, /scriptlet failed/);
}

async function runs(machine: Machine, edition: Edition): Promise<void> {
  await waitFor(
    `${versionOf(edition)} to run`,
    15_000,
    () => machine.status(),
    ({ version, dataplane }) => version === versionOf(edition) && dataplane.connected,
  );
}
