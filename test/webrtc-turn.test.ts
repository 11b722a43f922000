import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions, IceServer } from '../dataplane/io/webrtc.ts';
import { connected, End } from './webrtc-end.ts';
import { RemoteEngine } from './webrtc-remote.ts';

/*
 *   west ── 198.51.100.0/24 ── turn ── 203.0.113.0/24 ── east
 *    .2                      .1    .1                     .2
 *
 * The middle forwards nothing: west and east reach each other through the TURN server on it or not at all.
 */
const name = `cnturn${process.pid}${randomBytes(2).toString('hex')}`;
const [west, middle, east] = [`${name}w`, `${name}m`, `${name}e`];
const turnServer: IceServer = {
  kind: 'turn',
  host: '198.51.100.1',
  port: 3478,
  user: 'cryonet',
  credential: 'secret: with | and /',
};
const relay: ConnectionOptions = { route: 'relay', iceServers: [turnServer] };
const relayWithout: ConnectionOptions = { route: 'relay', iceServers: [] };
/** Servers of no use. Nothing answers at 192.0.2.1, to which the middle forwards nothing. */
const useless: readonly [what: string, server: IceServer][] = [
  ['has the wrong credential', { ...turnServer, credential: 'another' }],
  ['has one that does not answer', { ...turnServer, host: '192.0.2.1' }],
  ['has one whose name does not resolve', { ...turnServer, host: 'turn.invalid' }],
];

suite('node-datachannel with a TURN server', { skip: lack() }, () => {
  let engines: { offerer: RemoteEngine; answerer: RemoteEngine };
  let coturn: ChildProcess;
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-turn-'));

  before(async () => {
    await layOut();
    coturn = await startCoturn(folder);
    engines = {
      offerer: await RemoteEngine.open(['ip', 'netns', 'exec', west]),
      answerer: await RemoteEngine.open(['ip', 'netns', 'exec', east]),
    };
  });

  after(() => {
    engines?.offerer.close();
    engines?.answerer.close();
    coturn?.kill('SIGKILL');
    for (const namespace of [west, middle, east]) {
      try {
        ip('netns', 'delete', namespace);
      } catch {
        // Never made.
      }
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test('four connections are relayed at once where both sides have the server', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => relayed(relay, relay)));
    for (const one of all) one.close();
    // A ClientHello before its time costs 1000 ms, and may freeze the process.
    const slow = all.filter(({ ms }) => ms > 900).length;
    assert.ok(slow <= 1, `${slow} of 4 were slow`);
  });

  test('a connection is relayed where only the offerer has the server', async () => {
    (await relayed(relay, relayWithout)).close();
  });

  test('a connection is relayed where only the answerer has the server', async () => {
    (await relayed(relayWithout, relay)).close();
  });

  for (const [what, server] of useless) {
    const relayInVain: ConnectionOptions = { route: 'relay', iceServers: [server] };
    test(`a connection is relayed by the answerer’s server where the offerer ${what}`, async () => {
      (await relayed(relayInVain, relay)).close();
    });

    test(`a connection is relayed by the offerer’s server where the answerer ${what}`, async () => {
      (await relayed(relay, relayInVain)).close();
    });
  }

  test('an end with a TURN server tells no other candidate than the relay’s, and one whose server is of no use says so', async () => {
    const wrong: ConnectionOptions = { route: 'relay', iceServers: [useless[0]![1]] };
    const { offerer, answerer, close } = await relayed(relay, wrong);
    const typesOf = (candidates: readonly string[]) => new Set(candidates.map((line) => line.split(' ')[7]));
    assert.deepEqual(typesOf(offerer.candidates), new Set(['relay']));
    assert.deepEqual(offerer.unservedBy, []);
    assert.ok(typesOf(answerer.candidates).has('host'));
    assert.deepEqual(answerer.unservedBy, ['turn']);
    close();
  });

  test('werift, which connects only when it has gathered, says so as well', async (t) => {
    const werift = await RemoteEngine.open(['ip', 'netns', 'exec', east], 'werift');
    t.after(() => werift.close());
    (await relayed(relay, relayWithout, { ...engines, answerer: werift })).close();
    const iceServers = [useless[0]![1]];
    const offerer = new End(werift, { route: 'relay', iceServers });
    t.after(() => offerer.connection.close());
    await offerer.connection.offer();
    await offerer.until('a word of it', () => offerer.unservedBy.includes('turn'));
  });

  async function relayed(
    offererOptions: ConnectionOptions,
    answererOptions: ConnectionOptions,
    between = engines,
  ) {
    const ends = await connected(between, { offerer: offererOptions, answerer: answererOptions });
    const { offerer, answerer } = ends;
    for (const [from, to] of [
      [offerer, answerer],
      [answerer, offerer],
    ] as const) {
      for (let size = 100; size <= 12_800; size *= 2) from.connection.send('wire', new Uint8Array(size));
      await to.until('eight messages', () => to.messages.wire.length === 8);
    }
    // An end that is not relayed itself may see the relay by an address that it was not told.
    const pairs = [offerer.connection.pair()!, answerer.connection.pair()!];
    const types = pairs.flatMap(({ local, remote }) => [local.type, remote.type]);
    assert.ok(types.includes('relay'), JSON.stringify(pairs));
    return ends;
  }
});

async function layOut(): Promise<void> {
  for (const namespace of [west, middle, east]) {
    ip('netns', 'add', namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  for (const [namespace, near, network] of [
    [west, 'w', '198.51.100'],
    [east, 'e', '203.0.113'],
  ] as const) {
    ip('-n', middle, 'link', 'add', near, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', namespace);
    ip('-n', middle, 'addr', 'add', `${network}.1/24`, 'dev', near);
    ip('-n', namespace, 'addr', 'add', `${network}.2/24`, 'dev', 'uplink');
    ip('-n', middle, 'link', 'set', near, 'up');
    ip('-n', namespace, 'link', 'set', 'uplink', 'up');
    ip('-n', namespace, 'route', 'add', 'default', 'via', `${network}.1`);
  }
  // Node lists an interface once the kernel says that it is running, up to a second after it is up.
  for (const deadline = performance.now() + 5000; ; await delay(20)) {
    if ([west, east].every((namespace) => /state UP/.test(ip('-n', namespace, 'link', 'show', 'uplink'))))
      return;
    assert.ok(performance.now() < deadline, 'the links do not come up');
  }
}

async function startCoturn(folder: string): Promise<ChildProcess> {
  const { host, port, user, credential } = turnServer as Extract<IceServer, { kind: 'turn' }>;
  const child = spawn(
    'ip',
    [
      ...['netns', 'exec', middle, 'turnserver', '-n', '--no-cli', '--no-tls', '--no-dtls'],
      ...['--lt-cred-mech', '--realm=test', `--user=${user}:${credential}`, '--log-file=stdout'],
      ...[`--listening-ip=${host}`, `--listening-port=${port}`, `--relay-ip=${host}`, '-v'],
      ...[`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-20_000);
    if (/UDP listener opened on/.test(said)) resolve();
  });
  child.once('exit', () => reject(new Error(`turnserver: ${said}`)));
  const timer = setTimeout(() => reject(new Error(`turnserver: ${said}`)), 10_000);
  await promise.finally(() => clearTimeout(timer));
  return child;
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function lack(): string | false {
  if (process.getuid?.() !== 0) return 'needs root for its namespaces';
  const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const has = (tool: string) => folders.some((folder) => existsSync(join(folder, tool)));
  if (!has('turnserver')) return 'needs turnserver';
  return has('ip') ? false : 'needs ip';
}
