/** The local control socket, by `cryoc` and by curl. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Finding } from '../cli/local/checks/finding.ts';
import { statusReport } from '../protocol/status.ts';
import { readExposition } from '../test/exposition.ts';
import { meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { Pane } from './lab/pane.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { assertSoon } from './lab/wait.ts';

const cryoc = join(programs, 'cryoc');
const small = { columns: 80, rows: 24 };
const large = { columns: 200, rows: 60 };

/** A terminal in which `cryoc top` shows the node, which has a peer `a`, and has shown a restart of its control. */
async function looksAtTop(node: CryonetNode): Promise<Pane> {
  const pane = await Pane.open(node.namespace, small);
  await pane.type(`echo before-0; ${cryoc} --socket ${node.controlSocket} top`);
  const shown = (await pane.shows(/^▸ ● a +direct .* \d+\.\dms +0% .*[▁-█] +\d\S+B +\d\S+B$/m)).split('\n');
  assert.equal(shown.length, small.rows);
  assert.match(shown[0]!, new RegExp(`^ ${node.id} {3}cryonet .* in \\S+B/s, out \\S+B/s$`));
  assert.match(shown.at(-1)!, /^ ↑↓ choose .* q quit +by trouble$/);

  await pane.resize(large);
  const wide = (await pane.shows(/ RX\/s +TX\/s INTERFACE +MTU THERE/)).split('\n');
  assert.equal(wide.length, large.rows);
  assert.match(wide.find((row) => row.includes('● a'))!, /B cna +1\d\d\d \S+:2333$/);
  assert.match((await pane.shows(/q quit +by trouble$/)).split('\n').at(-1)!, /q quit {100,}by trouble$/);
  await pane.press('Enter');
  await pane.shows(
    /^lately {5}[\s\S]*^why {8}packets take the direct path[\s\S]*^there {6}a says: up by direct/m,
  );
  await pane.resize(small);
  await pane.shows(/^peer {7}a {2}\(SHA256:.*\nstate {6}up \d+s$[\s\S]*^trips {6}.*[▁-█][\s\S]*^lately {5}/m);
  await pane.press('Escape');
  await pane.shows(/^▸ ● a /m);

  await node.killControl();
  await pane.shows(/^ NOT CONNECTED, what stands here is \d+s old: no cryonet runs here:[\s\S]*^▸ ● a /m);
  node.start();
  await pane.shows(/^ b [\s\S]*\npeers {6}1: 1 well\n[\s\S]*^▸ ● a /m);
  return pane;
}

/** However the program ends, the shell has its terminal again. */
async function leavesAsItWas(pane: Pane, node: CryonetNode): Promise<void> {
  const ways: readonly (readonly [end: () => Promise<unknown>, says: RegExp])[] = [
    [() => pane.press('q'), /^/],
    [async () => process.kill(await pane.running(), 'SIGTERM'), /^/],
    [() => pane.press('C-c'), /^/],
    [async () => process.kill(await pane.running(), 'SIGUSR2'), /Error: a defect/],
  ];
  const defect = 'data:text/javascript,process.on(%22SIGUSR2%22,()=>{throw(Error(%22a%20defect%22))})';
  for (const [i, [end, says]] of ways.entries()) {
    await pane.shows(/q quit +by trouble$/);
    assert.equal(await pane.is('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '1 0 0');
    await end();
    // What the shell has shown before is there again; from then on it hears what is typed.
    await pane.shows(new RegExp(`^before-${i}$`, 'm'));
    await pane.type(`echo "after-${i} $(stty -a | grep -c ' icanon .* echo ')"`);
    const shell = await pane.shows(new RegExp(`^after-${i} 1$`, 'm'));
    assert.match(shell, says);
    assert.doesNotMatch(shell, /ROUND TRIPS/);
    assert.equal(await pane.is('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
    const again = `echo before-${i + 1}; NODE_OPTIONS=--import='${defect}' ${cryoc} --socket ${node.controlSocket} top`;
    if (i + 1 < ways.length) await pane.type(again);
  }
}

/*
 *   a  bootstrap ──┐ switch; a dies at the end
 *   b → a ─────────┘
 */
story(
  'cryoc and curl tell the same of a running node, and of its link that is lost',
  ['curl', 'ping', 'nft', 'tmux'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b']);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const options = ['--metrics-listen', ':9342'];
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options }).start();
    await meshed([a, b]);

    const byCryoc = await shell`${cryoc} --runtime-dir ${b.runtimeDirectory} status --json`;
    const byCurl = await shell`curl -sS --fail --unix-socket ${b.controlSocket} http://cryonet/status`;
    const [one, other] = [byCryoc, byCurl].map(({ stdout }) => statusReport.parse(JSON.parse(stdout)));
    assert.equal(one?.node.id, 'b');
    assert.deepEqual(one?.node.pid, b.program.pid);
    assert.deepEqual(
      other?.peers.map(({ id, state, interface: device }) => [id, state, device?.name]),
      [['a', 'up', 'cna']],
    );
    assert.deepEqual(
      one?.bootstrap.map(({ state, id }) => [state, id]),
      [['connected', 'a']],
    );
    assert.deepEqual(
      one?.neighbors.map(({ id, via }) => [id, ...via.toSorted()]),
      [['a', 'link', 'websocket']],
    );

    const byTcp = await hosts[1]!.$`curl -sS --fail http://127.0.0.1:9342/metrics`;
    const bySocket = await shell`${cryoc} --runtime-dir ${b.runtimeDirectory} metrics`;
    for (const { stdout: text } of [byTcp, bySocket]) {
      const families = readExposition(text);
      const up = families.get('cryonet_peer_up')!.series.map(({ labels, value }) => [labels.peer, value]);
      assert.deepEqual(up, [['a', 1]]);
      assert.ok(families.get('cryonet_process_resident_memory_bytes')!.series.length === 2, text);
    }

    const { stdout } = await shell`${cryoc} --runtime-dir ${b.runtimeDirectory} status`;
    assert.match(stdout, /\ba\b.*\bup\b.*\bcna\b|\ba\b.*\bcna\b.*\bup\b/, stdout);
    // A firewall that forgot the port.
    await b.namespace
      .$`nft ${'add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }; add rule inet filter input ct state established accept'}`;
    const { stdout: looked } = await shell({
      nothrow: true,
    })`ip netns exec ${b.namespace.name} ${cryoc} --runtime-dir ${b.runtimeDirectory} doctor --json`;
    await b.namespace.$`nft flush ruleset`;
    const { findings } = JSON.parse(looked) as { findings: Finding[] };
    const stateOf = (subject: string) => findings.find((each) => each.subject === subject)?.state;
    for (const subject of ['control', 'dataplane', 'peers', 'device', 'rights', 'rp_filter', 'ipv6'])
      assert.equal(stateOf(subject), 'ok', looked);
    assert.match(
      findings.find(({ subject }) => subject === 'firewall')!.message,
      /^table inet filter, chain input drops what no rule accepts, and none accepts UDP 2333: nft insert rule/,
    );

    const api = (...words: readonly string[]) => shell`curl -sS --unix-socket ${b.controlSocket} ${words}`;
    const peer = JSON.parse((await api('http://cryonet/v1/peers/a')).stdout);
    assert.deepEqual([peer.id, peer.state, peer.interface.name], ['a', 'up', 'cna']);
    assert.match(peer.since, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const { openapi } = JSON.parse((await api('http://cryonet/v1/openapi.json')).stdout);
    assert.equal(openapi, '3.1.1');
    const missing =
      await shell`curl -sS --unix-socket ${b.controlSocket} -o /dev/null -w %{http_code} http://cryonet/nowhere`;
    assert.equal(missing.stdout, '404');

    // What the kernel tells and what cryoc prints, each line with the time at which it came, in seconds.
    const watching = hosts[1]!.start('watching', [
      ...[
        'bash',
        '-c',
        'while read -r line; do echo "$EPOCHREALTIME $line"; done < <(ip -o monitor link & exec "$@")',
      ],
      ...['watching', cryoc, '--socket', b.controlSocket, 'watch', '--past', '--json'],
    ]);
    // A link that carries something is known to be lost within three seconds.
    const there = (await shell`${cryoc} --socket ${b.controlSocket} ip a`).stdout.trim();
    hosts[1]!.start('pinging', ['ping', '-q', '-i', '0.1', there]);
    await watching.says(/"event":"link.up","peer":"a","interface":"cna"/);
    const pane = await looksAtTop(b);
    await a.kill();
    await pane.shows(/^▸ ✗ a .*\d+s {2}/m);
    const seen = Date.now();
    // Either may come first.
    await watching.says(/cna: .*NO-CARRIER.*\n/);
    const lines = (await watching.says(/"event":"link.lost".*\n/)).split('\n');
    const at = (pattern: RegExp) => Number(lines.findLast((line) => pattern.test(line))!.split(' ')[0]);
    const lost = lines.find((line) => line.includes('"link.lost"'))!;
    const { time, reason, ...rest } = JSON.parse(lost.slice(lost.indexOf('{')));
    assert.deepEqual(rest, { event: 'link.lost', peer: 'a', interface: 'cna' });
    assert.match(reason, /\w/);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
    const late = Math.round(1000 * (at(/"link.lost"/) - at(/cna: .*NO-CARRIER/)));
    await leavesAsItWas(pane, b);
    lab.figures.push(`cryoc top shows the lost link ${seen - Date.parse(time)} ms after it was lost`);
    assertSoon(seen - Date.parse(time), 5000, lab);
    lab.figures.push(`"${reason}" stands there ${late} ms after the carrier was lost`);
    const { stdout: stream } =
      await shell`curl -sS --max-time 1 --unix-socket ${b.controlSocket} -H ${'Last-Event-ID: 0-0'} http://cryonet/v1/events || true`;
    assert.match(stream, /^id: \d+-\d+\nevent: link\.lost\ndata: {"time":.*"peer":"a"/m);
  },
);

/*
 *   a  bootstrap ────────────┐
 *   b → a ───────────────────┤ switch
 *   c, invited by a ─────────┘
 */
story(
  'a script waits for a link and pings what cryoc says of it, and invites a third node',
  ['ping'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c']);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
    const ofB = ['--runtime-dir', b.runtimeDirectory];
    const { stdout } = await shell`${cryoc} ${ofB} wait --peer a --timeout 60s`;
    assert.equal(stdout, '1 of 1 peers are up\n');
    await shell`${cryoc} ${ofB} status --check`;
    const address = (await shell`${cryoc} ${ofB} ip a`).stdout.trim();
    assert.match(address, /^fe80::[0-9a-f:]+%cna$/);
    await b.namespace.$`ping -c 1 -W 5 ${address}`;
    const pong = (await shell`timeout 60 ${cryoc} ${ofB} ping --until-direct a`).stdout;
    assert.match(pong, /^pong from a via direct \S+:2333 in [\d.]+ ms\n\d+ asked,/m);
    assert.ok(
      a.namespace.addresses.some((each) => pong.includes(each)),
      pong,
    );

    const wish = ['--server', 'ws://127.0.0.1:1', '--server', a.url, '--id', 'c'];
    const invitation = (await shell`${cryoc} --socket ${a.controlSocket} invite ${wish}`).stdout.trim();
    assert.match(invitation, /^cryonet-join:v1:[\w-]+$/);
    const folder = join(lab.directory, 'c.c');
    const c = new CryonetNode(hosts[2]!, {
      token: 'that-of-another-mesh-1',
      options: ['--config', join(folder, 'config.toml')],
    });
    const joining = ['join', '--yes', '--force', '--config-dir', folder, invitation];
    await hosts[2]!.$`${cryoc} ${joining}`;
    await meshed([a, b, c.start()]);
    const again = await hosts[2]!.$({ nothrow: true })`${cryoc} ${joining}`;
    assert.equal(again.exitCode, 1, again.stderr);
    assert.match(
      again.stderr,
      /\ncryoc: the invitation has been used, if not by you then by somebody else: /,
    );
    const { stdout: list } = await shell`${cryoc} --socket ${a.controlSocket} invite --list`;
    assert.match(list, /^[0-9a-f]{8} +used +c +1 of 1 /m);
    for (const node of [a, c]) assert.ok(!node.program.output.includes('token-of-the-laboratory'));
  },
);

/*
 *   a   nothing runs
 */
story('cryoc without a node, and with a wrong word, is one line', [], async (lab) => {
  const silent = shell({ nothrow: true });
  const alone = await silent`${cryoc} --runtime-dir ${lab.directory} status`;
  assert.equal(alone.exitCode, 1);
  assert.equal(alone.stderr.trim().split('\n').length, 1, alone.stderr);
  assert.match(alone.stderr, /^cryoc: .*control\.sock/);
  const wrong = await silent`${cryoc} frobnicate`;
  assert.equal(wrong.exitCode, 78);
  assert.match(wrong.stderr, /^cryoc: .*frobnicate.*\n$/);
});

/*
 *   a  bootstrap ──┐ switch; a is stopped, goes on, and is killed
 *   b → a ─────────┘
 */
story(
  'cryoc fits 80 columns, and says in two seconds of a node whether it hangs or has ended',
  [],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b-with-quite-a-long-name'], 'ipv6');
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
    await meshed([a, b]);
    const ask = async (...words: string[]) => {
      const start = performance.now();
      const { exitCode, stdout, stderr } = await shell({
        nothrow: true,
        env: { ...process.env, COLUMNS: '80' },
      })`${cryoc} --runtime-dir ${a.runtimeDirectory} status ${words}`;
      return { exitCode, stdout, stderr, took: performance.now() - start };
    };
    const table = (await ask()).stdout.trimEnd().split('\n');
    for (const line of table) assert.ok(line.length <= 80, line);
    assert.match(table.at(-1)!, /^b-with-quite-a-long-name {2}up \d+s/);
    const all = (await ask('b-with-quite-a-long-name')).stdout;
    for (const line of all.split('\n')) assert.ok(line.length <= 80, line);
    assert.match(all, /^here {7}host \[2001:db8:1::1\]:2333\nthere {6}\w+ \[2001:db8:1::2\]:2333$/m);
    const nobody = await ask('c');
    assert.equal(nobody.exitCode, 78);
    assert.match(nobody.stderr, /^cryoc: no peer is called c; known are: b-with-quite-a-long-name\n$/);

    process.kill(a.program.pid, 'SIGSTOP');
    const hung = await ask();
    process.kill(a.program.pid, 'SIGCONT');
    assert.match(hung.stderr, /^cryoc: cryonet has not answered at .*control\.sock for 2 s: it hangs/);
    assert.equal(hung.exitCode, 1);
    // `test/control-client.test.ts` has the upper bound: here the program's own start may take longer than that.
    assert.ok(hung.took >= 2_000, `${hung.took} ms`);
    assert.equal((await ask()).exitCode, 0, 'it goes on');

    const { dataplane } = await a.status();
    process.kill(dataplane.pid!, 'SIGSTOP');
    const half = await ask();
    process.kill(dataplane.pid!, 'SIGCONT');
    assert.equal(half.exitCode, 0, half.stderr);
    assert.match(half.stdout, /^warning {4}dataplane-stalled: it does not answer/m);

    await a.killControl();
    const ended = await ask();
    assert.match(ended.stderr, /^cryoc: no cryonet runs here: the one that made .*control\.sock has ended/);
    lab.figures.push(
      `${Math.round(hung.took)} ms for a node that hangs, ${Math.round(ended.took)} ms for none`,
    );
  },
);
