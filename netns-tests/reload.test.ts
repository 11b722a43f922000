/** A node that takes another configuration while it runs. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { farEnd, interfaces, linkTo, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap, --config ──┐
 *   b → a ───────────────────┤ switch
 *   c → a ───────────────────┘
 */
story(
  'a reload denies a peer and permits it again, and no other link loses a packet',
  ['ping'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c']);
    const file = join(lab.directory, 'config.toml');
    const configure = (toml: string) => {
      writeFileSync(file, toml);
      a.program.signal('SIGHUP');
    };
    writeFileSync(file, '');
    const a = new CryonetNode(hosts[0]!, { listen: true, options: ['--config', file] }).start();
    const [b, c] = hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [a] }).start()) as [
      CryonetNode,
      CryonetNode,
    ];
    const [before] = await meshed([a, b, c]);
    const train = Train.start(hosts[0]!, farEnd(linkTo(before!, 'b')));
    await train.arrives();

    configure('deny = ["c"]\n');
    const { milliseconds } = await timed(() =>
      waitFor(
        'the interfaces of a to be that of b alone',
        30_000,
        async () => (await hosts[0]!.ip<{ ifname: string }>('link')).map(({ ifname }) => ifname),
        (names) => names.includes('cnb') && !names.includes('cnc'),
      ),
    );
    lab.figures.push(`cut off after ${milliseconds} ms`);
    assert.equal((await a.peer('c'))?.state, 'denied');
    await waitFor(
      'c to know',
      30_000,
      () => c.peer('a'),
      (peer) => peer?.state === 'denied',
    );

    configure('deny = ["c"]\nalow = ["b"]\n');
    await waitFor(
      'the warning',
      30_000,
      async () => (await a.status()).warnings?.find(({ subject }) => subject === 'reload')?.message,
      (message) => message?.endsWith('config.toml:2:1: no option "alow" (allow?)') === true,
    );
    assert.equal((await a.peer('c'))?.state, 'denied');

    const refused = await shell({
      nothrow: true,
    })`${join(programs, 'cryoc')} --socket ${a.controlSocket} reload`;
    assert.deepEqual(
      [refused.exitCode, refused.stdout, refused.stderr],
      [78, '', `${file}:2:1: no option "alow" (allow?)\n`],
    );

    const extra = join(lab.directory, 'config.d', '10.toml');
    mkdirSync(join(lab.directory, 'config.d'));
    writeFileSync(extra, '\n  alow = ["b"]\n');
    writeFileSync(file, 'mtu = 1400\n');
    const beside = await shell({
      nothrow: true,
    })`${join(programs, 'cryoc')} --socket ${a.controlSocket} reload`;
    assert.deepEqual([beside.exitCode, beside.stderr], [78, `${extra}:2:3: no option "alow" (allow?)\n`]);
    rmSync(extra);
    const { stdout } = await shell`${join(programs, 'cryoc')} --socket ${a.controlSocket} reload --json`;
    assert.deepEqual(JSON.parse(stdout), { applied: ['deny'], needsRestart: ['mtu'] });
    configure('');
    await meshed([a, b, c]);

    writeFileSync(file, '[peer."?"]\ncost = 9\n[peer.c]\ndeny = true\n');
    const cryoc = (...args: readonly string[]) =>
      shell`${join(programs, 'cryoc')} --socket ${a.controlSocket} ${args}`;
    const changed = await timed(() => cryoc('reload'));
    assert.equal(changed.value.stdout, 'changed: peer.? peer.c\n');
    lab.figures.push(`cryoc reload with one changed peer: ${changed.milliseconds} ms`);
    const verdict = await cryoc('policy', 'test', 'c');
    assert.equal(
      verdict.stdout,
      'c is denied: by [peer.c]\ncost = 9, by [peer."?"]\nits link is denied: denied by our policy\n',
    );
    configure('');
    await meshed([a, b, c]);

    const addresses = async () => {
      const shown = await hosts[0]!.ip<{ ifname: string; addr_info: { local: string; prefixlen: number }[] }>(
        'address',
      );
      const own = shown.find(({ ifname }) => ifname === 'cnc')?.addr_info ?? [];
      return own
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
        .filter((each) => !each.startsWith('fe80'));
    };
    const has = (what: string, ...expected: readonly string[]) =>
      waitFor(what, 30_000, addresses, (is) => is.toSorted().join() === expected.toSorted().join());
    configure('addresses = ["10.20.2.1/32"]\n[peer.c]\naddresses = ["10.20.2.9/32", "fd20:2::9/128"]\n');
    await has('the addresses of the section', '10.20.2.9/32', 'fd20:2::9/128');
    await hosts[0]!.$`ip address del 10.20.2.9/32 dev cnc`;
    await hosts[0]!.$`ip address add 192.0.2.9/32 dev cnc`;
    await has('what was taken away', '10.20.2.9/32', 'fd20:2::9/128', '192.0.2.9/32');
    configure('addresses = ["10.20.2.1/32"]\n');
    await has('those of all interfaces', '10.20.2.1/32', '192.0.2.9/32');
    configure('');
    await has('what others gave', '192.0.2.9/32');
    const { lost, sent } = await train.stop();
    assert.deepEqual(lost, []);
    assert.ok(sent > 100, `${sent} packets`);
    const told =
      await shell`curl -sS --max-time 1 --unix-socket ${a.controlSocket} -H ${'Last-Event-ID: 0-0'} http://cryonet/v1/events || true`;
    const names = [...told.stdout.matchAll(/^event: (?:policy|reload)\.(.*)$/gm)].map(([, name]) => name);
    assert.deepEqual(names, [
      'denied',
      'done',
      'refused',
      'refused',
      'refused',
      'permitted',
      'done',
      'done',
      'denied',
      'done',
      'permitted',
      'done',
      ...['done', 'done', 'done'],
    ]);
    const after = await a.status();
    assert.equal(interfaces(after).b, interfaces(before!).b);
    assert.deepEqual([after.node.pid, after.dataplane.pid], [before!.node.pid, before!.dataplane.pid]);
    assert.deepEqual(
      after.warnings?.filter(({ subject }) => subject === 'reload'),
      [],
    );
  },
);
