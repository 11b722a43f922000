/** Faults of the machine around a node that pass: a node goes on without, says so, and mends itself. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linked, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

/** A command that mounts in a mount namespace of its own, then runs the program given to it. */
function mounting(script: string): string[] {
  return ['sh', '-c', `${script}; exec "$0" "$@"`];
}

/** A path as the node sees it: its mounts are its own. */
function seenBy(node: CryonetNode, path: string): string {
  return join(`/proc/${node.program.pid}/root`, path);
}

async function warningOf(node: CryonetNode, subject: string): Promise<string | undefined> {
  return (await node.status()).warnings?.find((warning) => warning.subject === subject)?.message;
}

async function over(node: CryonetNode, subject: string): Promise<void> {
  await node.says(new RegExp(`warning is over about=${subject}`), 30_000);
}

/** A node that has its identity, and starts again behind `script`, in which $state is its state directory, just mounted,
 *  and $saved a copy of what was in it. */
async function startedAgain(node: CryonetNode, script: string, options: object): Promise<CryonetNode> {
  await node.start().ready(30_000);
  await node.stop(10_000);
  const { stateDirectory: state } = node;
  const saved = `${state}.saved`;
  await shell`cp -a ${state} ${saved}`;
  const through = mounting(`state=${state}; saved=${saved}; ${script}`);
  return new CryonetNode(node.namespace, { ...options, through }).start();
}

/*
 *   c  bootstrap ────┐
 *   a → c, late ─────┤ switch
 *   b → a ───────────┘
 */
story(
  'a node whose listen address is not there yet has its links, and listens when it is',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c'], 'ipv4');
    const late = '198.51.100.77';
    const c = new CryonetNode(hosts[2]!, { listen: true }).start();
    const a = new CryonetNode(hosts[0]!, { bootstrap: [c], options: ['--listen', `${late}:2333`] }).start();
    await meshed([a, c]);
    assert.match(
      (await warningOf(a, 'listen'))!,
      /^--listen 198\.51\.100\.77:2333: .*does not have that address/,
    );
    const device = (await a.namespace.ip<{ ifname: string }>('link')).find(({ ifname }) =>
      /^eth/.test(ifname),
    )!;
    await a.namespace.configure(`address add ${late}/24 dev ${device.ifname}`);
    const since = performance.now();
    await over(a, 'listen');
    lab.figures.push(`listening ${Math.round(performance.now() - since)} ms after the address`);
    const b = new CryonetNode(hosts[1]!, { options: ['--ws-servers', `ws://${late}:2333`] }).start();
    await meshed([a, b, c]);
    assert.equal(await warningOf(a, 'listen'), undefined);
  },
);

/*
 *   a  bootstrap, its state directory full ─┐ switch
 *   b → a ──────────────────────────────────┘
 */
story(
  'a full disk does not stop a node that has its identity, and what it could not keep is kept later',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const first = new CryonetNode(hosts[0]!, { listen: true });
    const a = await startedAgain(
      first,
      'mount -t tmpfs -o size=64k tmpfs $state; cp -a $saved/. $state; dd if=/dev/zero of=$state/filler bs=4k 2>/dev/null',
      { listen: true },
    );
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
    await linked(a, b, 60_000);
    assert.match((await warningOf(a, 'state-dir'))!, /cannot be written to: ENOSPC.*tried again/);
    const [before, now] = [
      join(`${a.stateDirectory}.saved`, 'epoch'),
      seenBy(a, join(a.stateDirectory, 'epoch')),
    ];
    assert.equal(readFileSync(now, 'utf8'), readFileSync(before, 'utf8'));
    rmSync(seenBy(a, join(a.stateDirectory, 'filler')));
    await over(a, 'state-dir');
    assert.ok(Number(readFileSync(now, 'utf8')) > Number(readFileSync(before, 'utf8')));
    assert.match(readFileSync(seenBy(a, join(a.stateDirectory, 'identities')), 'utf8'), /^b [\w-]{43}\n$/);
    assert.equal((await a.status()).peers[0]?.state, 'up');
  },
);

/*
 *   a  bootstrap, its state directory read-only ─┐ switch
 *   b → a ───────────────────────────────────────┘
 */
story('a read-only disk does not stop a node that has its identity', [], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const first = new CryonetNode(hosts[0]!, { listen: true });
  const a = await startedAgain(
    first,
    'mount -t tmpfs tmpfs $state; cp -a $saved/. $state; mount -o remount,ro tmpfs $state',
    { listen: true },
  );
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  await linked(a, b, 60_000);
  assert.match((await warningOf(a, 'state-dir'))!, /EROFS/);
  await shell`nsenter -t ${a.program.pid} -m mount -o remount,rw tmpfs ${a.stateDirectory}`;
  await over(a, 'state-dir');
  assert.match(readFileSync(seenBy(a, join(a.stateDirectory, 'identities')), 'utf8'), /^b [\w-]{43}\n$/);
});

/*
 *   a   no identity, and no room for one
 */
story('a first start on a full disk waits for room', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  const { stateDirectory: state } = new CryonetNode(hosts[0]!);
  const through = mounting(
    `mount -t tmpfs -o size=16k tmpfs ${state}; dd if=/dev/zero of=${state}/filler bs=4k 2>/dev/null`,
  );
  const a = new CryonetNode(hosts[0]!, { through }).start();
  await a.says(/cannot start yet, tried again.*ENOSPC/, 30_000);
  assert.ok(a.program.running);
  rmSync(seenBy(a, join(state, 'filler')));
  await a.ready(30_000);
  assert.ok(existsSync(seenBy(a, join(state, 'identity.pem'))));
  assert.deepEqual((await a.status()).warnings, []);
});

/*
 *   a → b, its runtime directory full ─┐ switch
 *   b  bootstrap ──────────────────────┘
 */
story(
  'a full runtime directory is waited for: the node says so, and has its links when there is room',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const b = new CryonetNode(hosts[1]!, { listen: true }).start();
    await b.ready(30_000);
    const { runtimeDirectory: run } = new CryonetNode(hosts[0]!);
    // A socket takes no room but an inode: one is the folder's.
    const through = mounting(`mount -t tmpfs -o nr_inodes=1 tmpfs ${run}`);
    const a = new CryonetNode(hosts[0]!, { bootstrap: [b], through }).start();
    await a.says(/warning about=control-socket .*ENOSPC/, 30_000);
    await a.says(/warning about=dataplane .*ENOSPC/, 30_000);
    await waitFor(
      'b to know of a',
      30_000,
      () => b.peer('a'),
      (peer) => peer !== undefined,
    );
    await shell`nsenter -t ${a.program.pid} -m mount -o remount,nr_inodes=100 tmpfs ${run}`;
    await over(a, 'control-socket');
    await over(a, 'dataplane');
    await waitFor(
      'the link',
      60_000,
      () => b.peer('a'),
      (peer) => peer?.state === 'up',
    );
  },
);

/*
 *   a   two starts that fail, and two nodes of one state directory
 */
story(
  'a start that fails says one line and leaves no process; a second node of a state directory is told whose it is',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a'], 'ipv4');
    const file = join(lab.directory, 'no-certificate');
    writeFileSync(file, 'nonsense');
    const options = ['--log-level', 'info', '--tls-cert', file, '--tls-key', file];
    const bad = new CryonetNode(hosts[0]!, { id: 'bad', listen: true, options }).start();
    assert.deepEqual(await bad.program.ends(30_000), { code: 78, signal: null });
    await waitFor(
      'its dataplane to end',
      10_000,
      () => hosts[0]!.processes(),
      (pids) => pids.length === 0,
    );
    assert.match(bad.program.output, /^cryonet: --tls-cert or --tls-key cannot be used: [^\n]*\n$/);

    const a = new CryonetNode(hosts[0]!).start();
    await a.ready(30_000);
    const second = lab.start({
      label: 'second',
      namespace: hosts[0]!.name,
      command: a.commandLine,
    });
    assert.deepEqual(await second.ends(30_000), { code: 1, signal: null });
    assert.equal(
      second.output,
      `cryonet: another cryonet (pid ${a.program.pid}) uses ${a.stateDirectory}: stop it, or give this one its own --state-dir and --runtime-dir\n`,
    );
    assert.equal((await a.status()).node.id, 'a');
    await a.killControl();
    await a.start().ready(30_000);
  },
);
