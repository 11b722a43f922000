/** The life of the deb after its installation: other versions, disabled, removed, back again. */
import assert from 'node:assert/strict';
import { Train } from '../netns-tests/lab/train.ts';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { Machine } from './lab/machine.ts';
import { type Edition, versionOf } from './lab/packages.ts';
import {
  configFile,
  configure,
  control,
  dataplane,
  giveToken,
  install,
  linkedDirectly,
  mesh,
} from './lab/pair.ts';
import { suites } from './lab/root.ts';
import { machineStory } from './lab/story.ts';

/** Least packets that a journey must have had to count. */
const enough = 100;

/** What Debian's own tools keep when a package comes or goes. */
const kept = [
  /^\/var\/lib\/(dpkg|apt|systemd)\//,
  /^\/var\/(cache|log|backups)(\/|$)/,
  /^\/etc\/(passwd|group|shadow|gshadow)-$/,
  /^\/etc\/\.pwd\.lock$/,
];

machineStory('an upgrade loses nothing where the dataplane is the same, both ways', [], async (lab) => {
  const { berlin, osaka, osakaFromBerlin } = await mesh(lab);
  const pid = await berlin.mainPid(dataplane);
  const { stdout: edited } = await berlin.$`cat ${configFile}`;
  const train = Train.start(berlin.namespace, osakaFromBerlin);
  await train.arrives();
  for (const edition of ['next', 'first'] as const) {
    await install(berlin, edition);
    await isRunning(berlin, edition);
    await linkedDirectly(berlin, osaka);
  }
  const { lost, sent } = await train.stop();
  assert.deepEqual(lost, []);
  assert.ok(sent > enough, `${sent} packets`);
  assert.equal(await berlin.mainPid(dataplane), pid);
  assert.equal((await berlin.$`cat ${configFile}`).stdout, edited);
});

machineStory('an upgrade starts a dataplane that is another one', [], async (lab) => {
  const { berlin, osaka } = await mesh(lab);
  const pid = await berlin.mainPid(dataplane);
  await install(berlin, 'changed');
  await isRunning(berlin, 'changed');
  assert.notEqual(await berlin.mainPid(dataplane), pid);
  await linkedDirectly(berlin, osaka);
  await linkedDirectly(osaka, berlin);
});

machineStory('services that were disabled or stopped stay so over an upgrade', [], async (lab) => {
  const machine = await Machine.boot(await lab.namespace('berlin'));
  await install(machine);
  await machine.$`systemctl disable --now ${control}`;
  await install(machine, 'changed');
  assert.equal((await machine.show(control, 'UnitFileState')).UnitFileState, 'disabled');
  for (const unit of [control, dataplane, 'cryonet-dataplane.socket']) {
    assert.equal((await machine.show(unit, 'ActiveState')).ActiveState, 'inactive', unit);
  }
});

for (const suite of suites) {
  machineStory(
    `on ${suite} a removal keeps what is the user's, and a purge leaves nothing`,
    [],
    async (lab) => {
      const machine = await Machine.boot(await lab.namespace('berlin'), suite);
      const before = await machine.files();
      await install(machine);
      await configure(machine, 'check-interval = "9s"');
      await giveToken(machine);
      const { identity } = await identityOf(machine);

      await machine.$`apt-get remove -y -q cryonet`;
      for (const unit of [control, dataplane]) await machine.unitIs(unit, 'inactive');
      assert.deepEqual(added(before, await machine.files()), [
        '/etc/cryonet',
        '/etc/cryonet/config.toml',
        '/etc/cryonet/token',
        '/etc/default/cryonet',
        // Masked, and enabled again by the next installation, as Debian's own packages are.
        '/etc/systemd/system/cryonet.service',
        '/etc/systemd/system/multi-user.target.wants/cryonet.service',
        '/var/lib/cryonet',
        '/var/lib/cryonet/epoch',
        '/var/lib/cryonet/events',
        '/var/lib/cryonet/identities',
        '/var/lib/cryonet/identity.pem',
      ]);

      await install(machine);
      assert.deepEqual((await identityOf(machine)).identity, identity);
      assert.match((await machine.$`cat ${configFile}`).stdout, /check-interval = "9s"/);

      await machine.$`apt-get purge -y -q cryonet`;
      const after = await machine.files();
      assert.deepEqual(added(before, after), []);
      assert.deepEqual(added(after, before), []);
      assert.equal((await machine.$`systemctl list-units --all --no-legend 'cryonet*'`).stdout, '');

      await install(machine);
      await machine.unitIs(control, 'active');
      assert.match((await machine.show(control, 'StatusText')).StatusText, /\/etc\/cryonet\/token/);
    },
  );
}

/** Waits for control of this edition to answer, with its dataplane. */
async function isRunning(machine: Machine, edition: Edition): Promise<void> {
  await waitFor(
    `${versionOf(edition)} to run on ${machine.name}`,
    15_000,
    () => machine.status(),
    ({ version, dataplane }) => version === versionOf(edition) && dataplane.connected,
  );
}

async function identityOf(machine: Machine): Promise<{ identity: string }> {
  const report = await waitFor(
    'control to answer',
    10_000,
    () => machine.status(),
    ({ dataplane }) => dataplane.connected,
  );
  return report.node;
}

/** What the second list has and the first has not, without what is Debian's. */
function added(first: readonly string[], second: readonly string[]): string[] {
  const known = new Set(first);
  return second.filter((path) => !known.has(path) && !kept.some((pattern) => pattern.test(path)));
}
