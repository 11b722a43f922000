/** Faults around the services that pass: the unit stays up, and says what it waits for. */
import assert from 'node:assert/strict';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { Machine } from './lab/machine.ts';
import { configure, control, dataplane, giveToken, install, socket } from './lab/pair.ts';
import { machineStory } from './lab/story.ts';

/** Waits for what `systemctl status` says. */
async function says(machine: Machine, words: RegExp): Promise<void> {
  await waitFor(
    `systemctl status to say ${words}`,
    60_000,
    async () => (await machine.show(control, 'StatusText')).StatusText,
    (text) => words.test(text),
  );
}

/** It is up, and was not started again: each start has an ID of its own, systemd.exec(5). */
async function isStillUp(machine: Machine, invocation: string): Promise<void> {
  const { ActiveState, InvocationID } = await machine.show(control, 'ActiveState', 'InvocationID');
  assert.deepEqual([ActiveState, InvocationID], ['active', invocation]);
}

/** Fills the state directory, a small disk of its own, and starts control. */
async function startOnFullDisk(machine: Machine): Promise<string> {
  await machine.$`systemctl stop ${control}`;
  const script =
    'cd /var/lib && cp -a cryonet cryonet.saved && mount -t tmpfs -o size=64k,mode=700 tmpfs cryonet && chown --reference=cryonet.saved cryonet && cp -a cryonet.saved/. cryonet && (dd if=/dev/zero of=cryonet/filler bs=4k || true)';
  await machine.$`sh -c ${script}`;
  await machine.$`systemctl start ${control}`;
  return (await machine.show(control, 'InvocationID')).InvocationID;
}

/** Leaves no inode of /run, nor any that somebody gives up, until the unit `filler` is stopped. */
async function fillRun(machine: Machine): Promise<void> {
  const inodes = async (what: string) => Number((await machine.$`df --output=${what} /run | tail -1`).stdout);
  const script =
    'mkdir /run/filler; n=0; while :; do touch /run/filler/$n 2>/dev/null && n=$((n + 1)) || sleep 0.05; done';
  await machine.$`mount -o remount,nr_inodes=${(await inodes('iused')) + 200} /run`;
  await machine.$`systemd-run --quiet --unit=filler sh -c ${script}`;
  await waitFor(
    '/run to be full',
    30_000,
    () => inodes('iavail'),
    (left) => left === 0,
  );
}

machineStory(
  'an address and a port that are not to be had yet leave the unit up, and are had later',
  [],
  async (lab) => {
    const namespace = await lab.namespace('berlin');
    const machine = await Machine.boot(namespace);
    await install(machine);
    const address = '198.51.100.77';
    await configure(machine, `listen = "${address}:2333"`);
    await giveToken(machine);
    await says(machine, /listen: listen in .*config\.toml.* 198\.51\.100\.77:2333: .*EADDRNOTAVAIL/);
    const { InvocationID } = await machine.show(control, 'InvocationID');
    const { dataplane, warnings } = await machine.status();
    assert.ok(dataplane.connected);
    assert.deepEqual(
      warnings?.map(({ subject }) => subject),
      ['listen'],
    );
    await namespace.configure(`address add ${address}/32 dev lo`);
    await says(machine, /^no peers yet$/);
    assert.deepEqual((await machine.status()).warnings, []);
    await isStillUp(machine, InvocationID);
  },
);

machineStory(
  'a full disk at the first start leaves the unit up, which has its identity when there is room',
  [],
  async (lab) => {
    const machine = await Machine.boot(await lab.namespace('berlin'));
    await install(machine);
    const waiting = await startOnFullDisk(machine);
    await giveToken(machine);
    await says(machine, /^cannot start yet: .*ENOSPC/);
    await machine.$`rm /var/lib/cryonet/filler`;
    await says(machine, /^no peers yet$/);
    const { InvocationID } = await machine.show(control, 'InvocationID');
    assert.notEqual(InvocationID, waiting, 'started again once, with its token');
    await isStillUp(machine, InvocationID);
  },
);

machineStory('a full /run at the start is waited for, by the socket and both services', [], async (lab) => {
  const machine = await Machine.boot(await lab.namespace('berlin'));
  await giveToken(machine);
  await install(machine);
  await machine.unitIs(control, 'active');
  await machine.$`systemctl stop ${control}`;
  for (const unit of [dataplane, socket]) await machine.unitIs(unit, 'inactive');
  await machine.$`rm -rf /run/cryonet-dataplane`;
  await fillRun(machine);
  await machine.$({ nothrow: true })`systemctl start ${control}`;
  await waitFor(
    'the socket to have failed more than once',
    20_000,
    () => machine.journal(socket),
    (text) => text.split('Failed with result').length > 2,
  );
  await machine.$`systemctl stop filler && rm -r /run/filler`;
  for (const unit of [socket, dataplane, control]) await machine.unitIs(unit, 'active', 30_000);
  await says(machine, /^no peers yet$/);
});

machineStory('another node in the state directory leaves the unit up, and is waited for', [], async (lab) => {
  const machine = await Machine.boot(await lab.namespace('berlin'));
  await install(machine);
  await machine.$`systemctl stop ${control}`;
  const flags = '--service --state-dir /var/lib/cryonet --runtime-dir /run/other --listen 127.0.0.1:0 other';
  await machine.$`systemd-run --unit=other --property=User=cryonet --property=RuntimeDirectory=other sh -c ${`TOKEN=token-of-the-other-2333 exec cryonet ${flags}`}`;
  await waitFor(
    'the other to run',
    30_000,
    () => machine.journal('other'),
    (text) => text.includes('node started'),
  );
  await giveToken(machine);
  await machine.$`systemctl start ${control}`;
  await says(machine, /^cannot start yet: another cryonet \(pid \d+\) uses \/var\/lib\/cryonet/);
  await machine.$`systemctl stop other`;
  await waitFor(
    'the node to run',
    30_000,
    () => machine.status(),
    ({ node }) => node.id === 'berlin',
  );
  assert.equal((await machine.show(control, 'NRestarts')).NRestarts, '0');
});
