/** A fresh machine gets the package. */
import assert from 'node:assert/strict';
import { optionTable } from '../control/config/options.ts';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { dataplaneFlags, environmentName } from '../protocol/command-line.ts';
import { idleMemory, startTimes } from './lab/figures.ts';
import { Machine } from './lab/machine.ts';
import {
  configure,
  control,
  dataplane,
  giveToken,
  install,
  netAdmin,
  noCapability,
  rights,
} from './lab/pair.ts';
import { suites } from './lab/root.ts';
import { machineStory } from './lab/story.ts';

/** What `systemd-analyze security` may say, in tenths. */
const exposure = { [control]: 12, [dataplane]: 17 };
const memoryMegabytes = 110;
const installedMegabytes = 125;

/** Variables that systemd gives every service, systemd.exec(5). */
const ofSystemd =
  /^(PATH|LANG|HOME|USER|LOGNAME|SHELL|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|(LISTEN|WATCHDOG)_\w+|NOTIFY_SOCKET|MEMORY_PRESSURE_\w+)$/;

for (const suite of suites) {
  machineStory(`on ${suite} the services wait for a token and join when it is there`, [], async (lab) => {
    const machine = await Machine.boot(await lab.namespace('berlin'), suite);
    await install(machine);
    for (const unit of [control, dataplane]) await machine.unitIs(unit, 'active');
    const waiting = await machine.show(control, 'StatusText', 'NRestarts', 'InvocationID');
    assert.match(waiting.StatusText, /\/etc\/cryonet\/token/);
    assert.equal(waiting.NRestarts, '0');
    assert.match((await machine.$`systemctl status ${control}`).stdout, /Status: ".*token/);

    await giveToken(machine);
    const { node } = await waitFor(
      'control to have its token and the dataplane',
      10_000,
      () => machine.status(),
      ({ dataplane }) => dataplane.connected,
    );
    assert.equal(node.id, 'berlin');
    assert.doesNotMatch((await machine.show(control, 'StatusText')).StatusText, /token/);
    assert.doesNotMatch(await machine.journal(control), /packaging-tests/);
  });
}

for (const suite of suites) {
  machineStory(
    `on ${suite} each service has its user and no right that it does not need`,
    [],
    async (lab) => {
      const machine = await running(await Machine.boot(await lab.namespace('berlin'), suite));
      for (const [unit, user, set] of [
        [control, 'cryonet', noCapability],
        [dataplane, 'cryonet-dataplane', netAdmin],
      ] as const) {
        const expected = { user, environment: 'root', effective: set, bounding: set, core: '0' };
        assert.deepEqual(await rights(machine, await machine.mainPid(unit)), expected);
        assert.equal((await machine.show(unit, 'LimitCORE')).LimitCORE, '0');
      }
      for (const [unit, most] of Object.entries(exposure)) {
        const analysis = await machine.$`systemd-analyze security --no-pager ${unit}`;
        const measured = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(analysis.stdout)?.[1]);
        lab.figures.push(`exposure of ${unit}: ${measured}`);
        assert.ok(measured * 10 <= most, lab.figures.at(-1));
      }
      const units = [
        'cryonet.service',
        'cryonet-dataplane.service',
        'cryonet-dataplane.socket',
        'cryonet.slice',
      ];
      const { stdout, stderr } = await machine.$`systemd-analyze verify --man=no ${units}`;
      assert.equal(stdout + stderr, '');
    },
  );
}

machineStory('secrets are for those who need them, the control socket for its group', [], async (lab) => {
  const machine = await running(await Machine.boot(await lab.namespace('berlin')));
  const { stdout } = await machine.$`cd / && stat -c '%a %U:%G %n' ${[
    'etc/cryonet/token',
    'etc/cryonet/config.toml',
    'etc/cryonet/config.d',
    'etc/default/cryonet',
    'var/lib/cryonet',
    'var/lib/cryonet/identity.pem',
    'run/cryonet',
    'run/cryonet/control.sock',
    'run/cryonet-dataplane/dataplane.sock',
  ]}`;
  assert.deepEqual(stdout.trim().split('\n'), [
    '600 root:root etc/cryonet/token',
    '640 root:cryonet etc/cryonet/config.toml',
    '750 root:cryonet etc/cryonet/config.d',
    '640 root:root etc/default/cryonet',
    '700 cryonet:cryonet var/lib/cryonet',
    '600 cryonet:cryonet var/lib/cryonet/identity.pem',
    '750 cryonet:cryonet run/cryonet',
    '660 cryonet:cryonet run/cryonet/control.sock',
    '600 cryonet:cryonet run/cryonet-dataplane/dataplane.sock',
  ]);
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534'];
  const stranger = await machine.$({ nothrow: true })`${nobody} --clear-groups cryoc status`;
  assert.notEqual(stranger.exitCode, 0);
  const member = await machine.$`${nobody} --groups=cryonet cryoc status`;
  assert.match(member.stdout, /berlin/);

  const secret = 'of-control-alone';
  const ofControl = optionTable.filter(({ flag }) => !dataplaneFlags.some((own) => own === flag));
  const lines = ofControl.map(({ flag }) => `${environmentName(flag)}="${secret}"`);
  const own = [
    'LOG_LEVEL=debug',
    'LOG_FORMAT=json',
    'CRYONET_WEBRTC=node-datachannel',
    'TUN_DEVICE=/dev/cryonet/tun',
  ];
  await machine.write('/etc/default/cryonet', [...lines, `UNKNOWN=${secret}`, ...own, ''].join('\n'), '0640');
  await machine.$`systemctl restart ${dataplane}`;
  const pid = await machine.mainPid(dataplane);
  const environment = (await machine.$`tr '\\0' '\\n' </proc/${pid}/environ`).stdout.trim().split('\n');
  assert.deepEqual(
    own.filter((line) => !environment.includes(line)),
    [],
  );
  const others = environment.filter((line) => !own.includes(line)).map((line) => line.split('=', 1)[0]!);
  assert.deepEqual(
    others.filter((name) => !ofSystemd.test(name)),
    [],
  );
});

machineStory('a bad configuration ends control with 78, once, and says why', [], async (lab) => {
  const machine = await running(await Machine.boot(await lab.namespace('berlin')));
  await configure(machine, 'udp-port = 99999');
  await machine.$({ nothrow: true })`systemctl restart ${control}`;
  await machine.unitIs(control, 'failed');
  const { ExecMainStatus, NRestarts } = await machine.show(control, 'ExecMainStatus', 'NRestarts');
  assert.deepEqual([ExecMainStatus, NRestarts], ['78', '0']);
  assert.match(await machine.journal(control), /cryonet: .*udp-port/);
  await machine.$`sed -i '/^udp-port/d' /etc/cryonet/config.toml && systemctl start ${control}`;
  await machine.unitIs(control, 'active');
});

machineStory('the services are ready soon, and small', [], async (lab) => {
  const machine = await running(await Machine.boot(await lab.namespace('berlin')));
  const times = await startTimes(machine, 5);
  lab.figures.push(`start to ready, median of 5: control ${times.control} ms, both ${times.both} ms`);
  const memory = await idleMemory(machine);
  lab.figures.push(`both idle: ${memory} MB (PSS)`);
  assert.ok(memory <= memoryMegabytes, lab.figures.at(-1));
  const { stdout } = await machine.$`dpkg-query --show --showformat '\${Installed-Size}' cryonet`;
  const installed = Math.round((Number(stdout) * 1024) / 1e6);
  lab.figures.push(`installed: ${installed} MB`);
  assert.ok(installed <= installedMegabytes, lab.figures.at(-1));
});

/** With the package and a token. */
async function running(machine: Machine): Promise<Machine> {
  await install(machine);
  await giveToken(machine);
  await waitFor(
    'control to answer',
    10_000,
    () => machine.status(),
    ({ dataplane }) => dataplane.connected,
  );
  return machine;
}
