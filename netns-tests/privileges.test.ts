/** What the processes of a node may do that was started by hand, and that it does its work with no more. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runningPair } from './lab/direct.ts';
import { linked, losses, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

/** linux/capability.h. */
const [dacOverride, netBindService, netAdmin] = [1n << 1n, 1n << 10n, 1n << 12n];

/** Root's power over files, where the checkout that the tests run from is not root's. */
const files = statSync(join(programs, 'cryonet')).uid === 0 ? 0n : dacOverride;

const sets = ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'] as const;

/** What each thread of a process may do, in words; one where all are the same. */
function privilegesOf(pid: number): string[] {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(status)![1]!;
    return privileges(...sets.map((set) => BigInt(`0x${field(`Cap${set}`)}`)), BigInt(field('NoNewPrivs')));
  });
  assert.ok(threads.length > 0);
  return [...new Set(threads)];
}

function privileges(...all: readonly bigint[]): string {
  const named = [...sets.map((set) => `Cap${set}`), 'NoNewPrivs'];
  return named.map((name, i) => `${name} ${all[i]!.toString(16)}`).join(', ');
}

/** The same set five times: none is left to be raised. */
function exactly(set: bigint): string[] {
  return [privileges(...sets.map(() => set), 1n)];
}

const nothing = exactly(files);
const needed = exactly(netAdmin | netBindService | files);

/** The processes of a node and what each may do. The broker is none that control tells of. */
async function rights(node: CryonetNode) {
  const { dataplane } = await node.status();
  const all = await node.namespace.processes();
  const brokers = all.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'cryonet-broker\n');
  return {
    control: privilegesOf(node.program.pid),
    dataplane: privilegesOf(dataplane.pid!),
    brokers: brokers.map(privilegesOf),
  };
}

const asRoot = { control: nothing, dataplane: needed, brokers: [needed] };

/** What another process of the same user without privileges learns of one: its memory and its environment are files. */
async function readable(node: CryonetNode, pid: number): Promise<string[]> {
  const stranger = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];
  const tried = ['environ', 'mem', 'maps', 'fd/0'].map(async (file) => {
    const read = node.namespace.$({ nothrow: true })`${stranger} head -c 1 /proc/${pid}/${file}`;
    return /Permission denied/.test((await read).stderr) ? [] : [`${file} of ${pid}`];
  });
  return (await Promise.all(tried)).flat();
}

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story(
  'a node that root starts works without a capability in control, and two in the dataplane',
  ['ping', 'setpriv'],
  async (lab) => {
    const { a, b } = await runningPair(lab);
    for (const node of [a, b]) assert.deepEqual(await rights(node), asRoot);
    for (const pid of [a.program.pid, (await a.status()).dataplane.pid!]) {
      assert.deepEqual(await readable(a, pid), []);
      assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
    }
    const killed = await a.killDataplane();
    await waitFor(
      'another dataplane',
      20_000,
      () => a.status(),
      ({ dataplane }) => dataplane.connected && dataplane.pid !== killed,
    );
    await linked(a, b, 30_000);
    assert.deepEqual(await rights(a), asRoot);

    const kept = (await a.status()).dataplane.pid;
    await a.killControl();
    a.start();
    assert.equal((await a.ready()).dataplane.pid, kept, 'the dataplane outlives its control');
    assert.deepEqual(await rights(a), asRoot);
    await a.killDataplane();
    await waitFor(
      'one that the second control has started',
      20_000,
      () => a.status(),
      ({ dataplane }) => dataplane.connected && dataplane.pid !== kept,
    );
    await linked(a, b, 30_000);
    assert.deepEqual(losses(await pingMesh([a, b])), []);

    for (const node of [a, b]) {
      assert.deepEqual(await node.stop(), { code: 0, signal: null });
      await waitFor(
        `nothing of ${node.id} to be left`,
        5_000,
        () => node.namespace.processes(),
        (left) => left.length === 0,
      );
    }
  },
);

/*
 *   a  bootstrap at port 80, and no IPv6 socket that takes IPv4 unless it is told to ──┐ switch
 *   b → a ─────────────────────────────────────────────────────────────────────────────┘
 */
for (const address of ['[::]', 'localhost'] as const) {
  story(`a node that root starts listens on port 80 of ${address}`, [], async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const [first, second] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
    await first.$`sysctl -qw net.ipv6.bindv6only=1`;
    const a = new CryonetNode(first, { options: ['--listen', `${address}:80`] }).start();
    const { node } = await a.ready();
    assert.equal(node.listen, `${address}:80`);
    const near = address === 'localhost' ? first : second;
    const url = near === first ? 'ws://127.0.0.1:80' : `ws://${first.address}:80`;
    const options = ['--ws-servers', url, '--listen', '127.0.0.1:2334'];
    const b = new CryonetNode(near, { id: 'b', options }).start();
    await waitFor(
      'b to know a',
      15_000,
      () => b.status(),
      ({ neighbors }) => neighbors.some(({ id }) => id === 'a'),
    );
    assert.deepEqual(privilegesOf(a.program.pid), nothing);
  });
}

/*
 *   a  bootstrap, user 65534 with CAP_NET_ADMIN alone ──┐ switch
 *   b → a ──────────────────────────────────────────────┘
 */
story('control of a user with CAP_NET_ADMIN gives it up as well', ['setpriv', 'unshare'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const nobody = 65_534;
  const device = `mknod -m 0600 /dev/net/tun c 10 200 && chown ${nobody} /dev/net/tun`;
  const own = ['unshare', '-m', 'sh', '-c', `mount -t tmpfs none /dev/net && ${device} && exec "$@"`, '-'];
  const user = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  const one = '-all,+net_admin';
  const through = [...own, ...user, `--inh-caps=${one}`, `--ambient-caps=${one}`, `--bounding-set=${one}`];
  const a = new CryonetNode(hosts[0]!, { listen: true, through: [...through, '--'] });
  chmodSync(lab.directory, 0o711);
  for (const path of [a.stateDirectory, a.runtimeDirectory, a.tokenFile, dirname(a.tokenFile)])
    chownSync(path, nobody, nobody);
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a.start()] }).start();
  await linked(a, b, 30_000);
  const { control, dataplane, brokers } = await rights(a);
  // What bounds later sets needs another capability to be changed.
  const bounded = (set: bigint) => [privileges(set, set, set, netAdmin, set, 1n)];
  assert.deepEqual(control, bounded(0n));
  assert.deepEqual([dataplane, ...brokers], [bounded(netAdmin), bounded(netAdmin)]);
  const { dataplane: running } = await a.status();
  for (const pid of [a.program.pid, running.pid!])
    assert.equal(statSync(`/proc/${pid}/environ`).uid, 0, 'what is not dumpable is not its user’s to read');
});

/*
 *   a
 */
story('a node whose broker was killed goes on, and says why it starts no dataplane', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  const a = new CryonetNode(hosts[0]!).start();
  await a.ready();
  const [broker] = (await hosts[0]!.processes()).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('cryonet\0broker\0'),
  );
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const) process.kill(broker!, signal);
  await a.killDataplane();
  const { warnings } = await waitFor(
    'its warning',
    20_000,
    () => a.status(),
    ({ warnings }) => warnings?.some(({ subject }) => subject === 'dataplane') === true,
  );
  assert.match(warnings!.find(({ subject }) => subject === 'dataplane')!.message, /broker.*has ended: start/);
});

/*
 *   a   at a terminal of its own, with what it started in one process group or not
 */
story('Ctrl-C ends a node, and what it has started', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  // A process group of its own, as a shell makes it for a command.
  const a = new CryonetNode(hosts[0]!, { through: ['setsid', '--wait'] }).start();
  const { node } = await a.ready();
  const group = Number((await shell`ps -o pgid= -p ${node.pid}`).stdout);
  process.kill(-group, 'SIGINT');
  assert.deepEqual(await a.program.ends(), { code: 0, signal: null });
  await waitFor(
    'nothing of it to be left',
    5_000,
    () => hosts[0]!.processes(),
    (left) => left.length === 0,
  );
});
