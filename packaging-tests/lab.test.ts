/** The machines prove themselves before they judge anything else. */
import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { ping } from '../netns-tests/lab/ping.ts';
import { lan } from '../netns-tests/lab/topology.ts';
import { waitFor } from '../netns-tests/lab/wait.ts';
import { Machine } from './lab/machine.ts';
import { suites } from './lab/root.ts';
import { machineStory } from './lab/story.ts';

/*
 *   bookworm ──┐ switch
 *   trixie ────┘
 */
machineStory(
  'a machine boots whole, reboots with what was written, and is reached by others',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, suites, 'ipv4');
    for (const [index, suite] of suites.entries()) {
      const machine = await Machine.boot(hosts[index]!, suite);
      const { stdout: failed } = await machine.$`systemctl list-units --state=failed --plain --no-legend`;
      assert.equal(failed, '');
      assert.equal((await machine.$`hostname`).stdout.trim(), suite);
      await machine.write('/etc/kept', 'kept\n', '0600');
      const { stdout: before } = await machine.$`systemctl show --property UserspaceTimestampMonotonic`;
      await machine.reboot();
      const { stdout: after } = await machine.$`systemctl show --property UserspaceTimestampMonotonic`;
      assert.notEqual(after, before);
      assert.equal((await machine.$`stat -c %a /etc/kept`).stdout.trim(), '600');
    }
    assert.equal((await ping(hosts[0]!, hosts[1]!.address)).received, 1);
  },
);

machineStory('a machine that is torn down leaves no process, mount or cgroup', [], async (lab) => {
  const namespace = await lab.namespace('gone');
  const machine = await Machine.boot(namespace);
  await machine.$`systemd-run --quiet sleep 600`;
  const cgroups = () => globSync(join('/sys/fs/cgroup/{,unified/}', `${namespace.name}*`));
  const alive = [cgroups().length, existsSync(`/proc/${machine.pid}`)];
  lab.close();
  await waitFor(
    'everything to be gone',
    5_000,
    () => [...lab.leftovers(), ...cgroups(), existsSync(`/proc/${machine.pid}`)],
    (left) => left.length === 1 && left[0] === false,
  );
  assert.deepEqual(alive, [1, true]);
});
