/** Who is let in, and what an onlooker learns. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Capture } from './lab/capture.ts';
import { farEnd, linked, linkTo, meshed } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap, token one ──┬ capture
 *   b → a, token one ─────────┤ switch
 *   c → a, --token two ───────┘
 */
story('a wrong token is refused on both sides and no token leaks', ['tcpdump'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c']);
  const tokens = ['correct-horse-battery-staple', 'incorrect-donkey-paperclip'] as const;
  const capture = await Capture.start(hosts[0]!, 'eth0');
  const last = Buffer.from('0ddba115eed5', 'hex');
  const a = new CryonetNode(hosts[0]!, { listen: true, token: tokens[0] }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], token: tokens[0] }).start();
  const c = new CryonetNode(hosts[2]!, { bootstrap: [a], options: ['--token', tokens[1]] }).start();
  await linked(a, b, 30_000);

  for (const node of [a, c]) await node.says(/(warn|error).*\btoken\b/i);
  const refused = await waitFor(
    'c to say why it is alone',
    10_000,
    () => c.status(),
    ({ bootstrap }) => /token/.test(bootstrap[0]?.error ?? ''),
  );
  assert.deepEqual(refused.peers, []);
  assert.deepEqual(refused.neighbors, []);
  const members = (await a.status()).peers.map(({ id }) => id);
  assert.deepEqual(members, ['b']);

  await c.namespace.$`ping -c 1 -p ${last.toString('hex')} ${a.namespace.address}`;
  await capture.holds(Buffer.concat([last, last]));
  const pids = (await Promise.all(hosts.map((host) => host.processes()))).flat();
  assert.ok(pids.length >= 6, 'a control and a dataplane each');
  const reports = await Promise.all([a, b, c].map((node) => node.status()));
  const places: [string, Buffer][] = [
    ...pids.map((pid): [string, Buffer] => [`command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`)]),
    ...reports.map((report): [string, Buffer] => ['a status', Buffer.from(JSON.stringify(report))]),
    ...lab.programs.map(({ label, output }): [string, Buffer] => [`log of ${label}`, Buffer.from(output)]),
    ['the capture', await capture.stop()],
  ];
  assert.ok(places.at(-1)![1].includes(Buffer.from('cryonet.2')), 'the capture has seen the handshakes');
  const leaks = places.flatMap(([place, bytes]) =>
    tokens
      .flatMap((token) => [token, Buffer.from(token).toString('base64'), Buffer.from(token).toString('hex')])
      .filter((form) => bytes.includes(form))
      .map((form) => `${form} in ${place}`),
  );
  assert.deepEqual(leaks, []);
});

/*
 *   a  bootstrap ─────────┐
 *   b-1 → a ──────────────┤ switch
 *   c → a, --deny b-* ────┘
 */
for (const [denier, side] of [
  ['c', 'would be offered'],
  ['c-with-the-longer-id', 'would offer'],
] as const) {
  story(`a peer denied by the side that ${side} a link gets no interface`, [], async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b', 'c']);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { id: 'b-1', bootstrap: [a] }).start();
    const c = new CryonetNode(hosts[2]!, { id: denier, bootstrap: [a], options: ['--deny', 'b-*'] }).start();
    await linked(a, b, 30_000);
    await linked(a, c, 30_000);
    const [fromC, fromB] = await waitFor(
      'both to know that they are not to be linked',
      20_000,
      async () => [await c.peer(b.id), await b.peer(c.id)] as const,
      ([own, told]) => own?.state === 'denied' && told?.state === 'denied',
    );
    assert.equal(fromC?.interface, null);
    assert.equal(fromB?.interface, null);
    for (const { namespace } of [b, c]) {
      const links = await namespace.ip<{ ifname: string }>('link');
      assert.deepEqual(
        links.map(({ ifname }) => ifname),
        ['lo', 'eth0', 'cna'],
      );
    }
  });
}

/*
 *   a  bootstrap ───────────────┐
 *   b → a, --allow a ───────────┤ switch; all heed one operator, who works at b
 *   c → a ──────────────────────┘
 */
const title =
  'whoever is not on a list of allowed peers is denied; an operator revokes a node under traffic, and accepts it anew, once for all';
story(title, ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b', 'c']);
  const key = join(lab.directory, 'operator.pem');
  const cryoc = async (...words: readonly string[]) =>
    (await shell`${join(programs, 'cryoc')} ${words}`).stdout;
  const made = JSON.parse(await cryoc('operator', 'generate', key, '--no-passphrase', '--json'));
  const heeding = ['--operators', made.operator];
  const a = new CryonetNode(hosts[0]!, { listen: true, options: heeding }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options: ['--allow', 'a', ...heeding] }).start();
  const c = new CryonetNode(hosts[2]!, { bootstrap: [a], options: heeding }).start();
  await meshed([a, b]);
  await meshed([a, c]);
  await waitFor(
    'b to have denied c',
    20_000,
    async () => (await b.peer('c'))?.state,
    (state) => state === 'denied',
  );
  assert.equal((await c.peer('b'))?.interface, null);

  const train = Train.start(a.namespace, farEnd(linkTo(await a.status(), 'b')));
  await train.arrives();
  const say = (...words: readonly string[]) => cryoc('--socket', b.controlSocket, ...words, '--key', key);
  const { milliseconds } = await timed(async () => {
    await say('revoke', 'c');
    await waitFor(
      'a to have no interface to c',
      30_000,
      async () => (await a.namespace.ip<{ ifname: string }>('link')).map(({ ifname }) => ifname),
      (names) => names.includes('cnb') && !names.includes('cnc'),
    );
  });
  lab.figures.push(`cut off ${milliseconds} ms after cryoc revoke was started`);
  assert.match(
    await cryoc('--socket', a.controlSocket, 'status'),
    /\bc\s+denied\b.*\n?.*revoked by an operator/,
  );
  await waitFor(
    'c to say so',
    30_000,
    async () => (await c.status()).warnings?.map(({ message }) => message).join() ?? '',
    (said) => /has revoked this (ID|node)/.test(said),
  );

  await c.stop();
  rmSync(c.stateDirectory, { recursive: true });
  c.start();
  const { fingerprint } = (await c.ready()).node;
  await say('accept', 'c', '--fingerprint', fingerprint!);
  await meshed([a, c]);
  const { lost, sent } = await train.stop();
  assert.deepEqual(lost, []);
  lab.figures.push(`the link of others: ${sent} pings, none lost`);
  const { statements } = JSON.parse(await cryoc('--socket', a.controlSocket, 'statements', '--json'));
  assert.deepEqual(
    statements.map(({ kind, subject, fingerprint: of }: Record<string, string>) => [kind, subject, of]),
    [['accept', 'c', fingerprint]],
  );
});
