/** `cryoc` as a program, against a control socket that answers with the status of README's example. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import * as z from 'zod/mini';
import { type Pong, routes } from '../protocol/api.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { NodeEvent } from '../protocol/events.ts';
import { problemOf } from '../protocol/problem.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { answering } from './control-server.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport } from './status-example.ts';

const [lima, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const denied: PeerStatus = { ...riga, id: 'kyiv', state: 'denied', reason: 'by policy', interface: null };

function reportOf(...peers: readonly PeerStatus[]): StatusReport {
  return { ...exampleReport, peers: [...peers] };
}

/** As the API writes it. */
function written(report: StatusReport): string {
  return JSON.stringify(z.encode(routes['GET /v1/status'].reply, report));
}

async function cryoc(socket: string, ...args: readonly string[]) {
  const main = join(import.meta.dirname, '../cli/main.ts');
  const child = spawn(process.execPath, [main, '--socket', socket, ...args], { timeout: 60_000 });
  const [closed, stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  const [code]: (number | null)[] = closed;
  return { code, stdout, stderr };
}

/** What `cryoc` does with a node that has these peers; then with the next ones, the last of them for good. */
async function asked(context: TestContext, reports: readonly StatusReport[], ...args: readonly string[]) {
  let asks = 0;
  const socket = await answering(context, (_request, response) => {
    response.end(written(reports[Math.min(asks++, reports.length - 1)]!));
  });
  return { ...(await cryoc(socket, ...args)), asks };
}

const checks: readonly [args: readonly string[], peers: readonly PeerStatus[], code: number][] = [
  [['status'], [lima, riga], 0],
  [['status', '--check'], [lima, riga], 3],
  [['status', '--check', '--json'], [lima, riga], 3],
  [['status', '--check'], [lima, osaka, denied], 0],
  [['status', '--check'], [], 0],
  [['status', '--check'], [{ ...riga, state: 'refused' }], 3],
  [['status', '--check', 'lima'], [lima, riga], 0],
  [['status', '--check', 'riga'], [lima, riga], 3],
  [['status', '--check', 'oslo'], [lima, riga], 78],
];

for (const [args, peers, code] of checks) {
  const states = peers.map(({ id, state }) => `${id} ${state}`).join(', ') || 'no peer';
  test(`cryoc ${args.join(' ')} ends with ${code} at ${states}`, async (context) => {
    const result = await asked(context, [reportOf(...peers)], ...args);
    assert.equal(result.code, code, result.stderr);
    assert.equal(result.stdout === '', code === 78);
  });
}

test('cryoc ip prints what ping takes', async (context) => {
  const reports = [reportOf(osaka, riga, denied)];
  const plain = await asked(context, reports, 'ip', 'osaka');
  assert.deepEqual([plain.code, plain.stdout], [0, 'fe80::c95d:637b:76cc:48fb%cnosaka\n']);
  const { stdout } = await asked(context, reports, 'ip', '--json', 'riga');
  assert.deepEqual(JSON.parse(stdout), {
    ...{ peer: 'riga', address: 'fe80::2821:b995:3d73:793c', interface: 'cnriga' },
  });
  const none = await asked(context, reports, 'ip', 'kyiv');
  assert.deepEqual(
    [none.code, none.stderr],
    [1, 'cryoc: there is no interface for kyiv, as the link is not up: by policy\n'],
  );
  const unknown = await asked(context, reports, 'ip', 'oslo');
  assert.deepEqual(
    [unknown.code, unknown.stderr],
    [78, 'cryoc: no peer is called oslo; known are: osaka riga kyiv\n'],
  );
});

test('cryoc metrics prints what the node says, and writes it to a file in one piece', async (context) => {
  const metrics = '# HELP a a\n# TYPE a gauge\na{peer="x"} 1\n';
  const socket = await answering(context, ({ url }, response) => {
    response.statusCode = url === '/v1/metrics' ? 200 : 404;
    response.end(metrics);
  });
  assert.equal((await cryoc(socket, 'metrics')).stdout, metrics);
  const folder = temporaryFolder(context);
  const file = join(folder, 'cryonet.prom');
  writeFileSync(file, 'old');
  const written = await cryoc(socket, 'metrics', '--output', file);
  assert.deepEqual([written.code, written.stdout, readFileSync(file, 'utf8')], [0, '', metrics]);
  assert.deepEqual(readdirSync(folder), ['cryonet.prom']);
  const nowhere = await cryoc(socket, 'metrics', '--output', join(folder, 'none/cryonet.prom'));
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /^cryoc: cannot write .*none\/cryonet\.prom: ENOENT/);
});

const waits: readonly [args: readonly string[], reports: readonly StatusReport[], printed: string][] = [
  [[], [reportOf(), reportOf(riga), reportOf(riga, lima), reportOf(lima)], '1 of 1 peers are up\n'],
  [[], [reportOf(denied), reportOf(denied, lima)], '1 of 1 peers are up\n'],
  [['--peers', '2'], [reportOf(lima), reportOf(lima, osaka, riga)], '2 of 3 peers are up\n'],
  [['--peer', 'osaka'], [reportOf(lima), reportOf(osaka, riga)], '1 of 2 peers are up\n'],
  [
    ['--peer', 'osaka', '--peer', 'lima'],
    [reportOf(riga), reportOf(osaka, riga), reportOf(osaka, lima, riga)],
    '2 of 3 peers are up\n',
  ],
];

for (const [args, reports, printed] of waits) {
  test(`cryoc wait ${args.join(' ')} asks ${reports.length} times until it is so`, async (context) => {
    const { code, stdout, stderr, asks } = await asked(context, reports, 'wait', ...args);
    assert.deepEqual([code, stdout, stderr, asks], [0, printed, '', reports.length]);
  });
}

const vain: readonly [args: readonly string[], report: StatusReport, said: RegExp][] = [
  [[], reportOf(), /no peer is known yet/],
  [[], reportOf(lima, riga), /riga is negotiating .*: the peer does not answer/],
  [['--peers', '4'], reportOf(lima, osaka, riga), /2 of 4 peers are up/],
  [['--peer', 'oslo'], reportOf(lima), /oslo is not known yet/],
];

for (const [args, report, said] of vain) {
  test(`cryoc wait ${args.join(' ')} gives up and says what is missing: ${said.source}`, async (context) => {
    const { code, stdout, stderr } = await asked(context, [report], 'wait', '--timeout', '1s', ...args);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^cryoc: waited 1s in vain: .*\n$/);
    assert.match(stderr, said);
  });
}

test('cryoc wait waits for a node that is not there yet', async (context) => {
  const socket = join(temporaryFolder(context), 'control.sock');
  const waiting = cryoc(socket, 'wait', '--peers', '1');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const answer = written(reportOf(lima));
  await answering(context, (_request, response) => void response.end(answer), socket);
  assert.deepEqual(await waiting, { code: 0, stdout: '1 of 1 peers are up\n', stderr: '' });
});

for (const [args, said] of [
  [['--timeout', 'soon'], 'cryoc: --timeout takes a duration such as 30s or 2m, not soon\n'],
  [['--peers', 'all'], 'cryoc: --peers takes a number, not all\n'],
] as const) {
  test(`cryoc wait ${args.join(' ')} is refused without a word to the node`, async (context) => {
    const { code, stderr, asks } = await asked(context, [reportOf()], 'wait', ...args);
    assert.deepEqual([code, stderr, asks], [78, said, 0]);
  });
}

const happened: readonly NodeEvent[] = [
  { time: '2026-11-30T17:42:01.003Z', event: 'link.up', peer: 'rome', interface: 'cnrome', path: 'direct' },
  {
    ...{ time: '2026-11-30T17:42:02.500Z', event: 'link.path', peer: 'rome', interface: 'cnrome' },
    ...{ path: 'relayed', pathBefore: 'direct' },
  },
  { time: '2026-11-30T17:42:03.000Z', event: 'peer.learned', peer: 'oslo', leftOut: 3 },
  {
    ...{ time: '2026-11-30T17:42:04.000Z', event: 'link.lost', peer: 'rome', interface: 'cnrome' },
    reason: 'a word\u009b1m of the peer',
  },
  { time: '2026-11-30T17:42:05.000Z', event: 'reload.done', applied: ['deny'], needsRestart: ['mtu'] },
];

/** What `cryoc watch` prints of these events, which a node tells on two connections. It is ended after the last line. */
async function watched(context: TestContext, lines: number, ...args: readonly string[]) {
  const asked: (string | undefined)[] = [];
  const socket = await answering(context, (request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined);
    const [from, to] = asked.length === 1 ? [0, 2] : [2, happened.length];
    response.write(`id: 7-0\nretry: 1000\n\n`);
    for (let i = from; i < to; i++) {
      response.write(`id: 7-${i + 1}\nevent: x\ndata: ${JSON.stringify(happened[i])}\n\n`);
    }
    if (asked.length === 1) response.end(':\n\n');
  });
  const main = join(import.meta.dirname, '../cli/main.ts');
  const child = spawn(process.execPath, [main, '--socket', socket, 'watch', ...args], { timeout: 60_000 });
  let stdout = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    stdout += chunk;
    if (stdout.split('\n').length > lines) break;
  }
  child.kill();
  return { stdout, asked };
}

test('cryoc watch prints a line for each event, and goes on after the last one when the connection was lost', async (context) => {
  const { stdout, asked } = await watched(context, happened.length);
  assert.equal(
    stdout,
    `2026-11-30T17:42:01.003Z link.up           rome cnrome direct
2026-11-30T17:42:02.500Z link.path         rome cnrome direct → relayed
2026-11-30T17:42:03.000Z peer.learned      oslo and 3 more like this
2026-11-30T17:42:04.000Z link.lost         rome cnrome (a word?1m of the peer)
2026-11-30T17:42:05.000Z reload.done       changed: deny after a restart: mtu
`,
  );
  assert.deepEqual(asked, [undefined, '7-2']);
});

test('cryoc watch --json prints an object a line, of one peer where one is named', async (context) => {
  const { stdout, asked } = await watched(context, 3, '--json', '--past', 'rome');
  const lines = stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    happened.filter(({ peer }) => peer === 'rome'),
  );
  assert.match(
    lines[2]!,
    /^{"time":"2026-11-30T17:42:04.000Z","event":"link.lost","peer":"rome","interface":"cnrome",/,
  );
  assert.match(lines[2]!, /a word\\u009b1m/);
  assert.equal(asked[0], '0-0');
});

test('cryoc watch of a node that is not there ends with what is wrong', async (context) => {
  const { code, stderr } = await cryoc(join(temporaryFolder(context), 'control.sock'), 'watch');
  assert.equal(code, 1);
  assert.match(stderr, /^cryoc: no cryonet runs here: .*\n$/);
});

/** What `cryoc ping` does with a node that answers so, the last of them for good. */
async function pinged(context: TestContext, pongs: readonly Partial<Pong>[], ...args: readonly string[]) {
  let asks = 0;
  const { path, relayed, pair } = osaka;
  const socket = await answering(context, ({ url, method }, response) => {
    if (url === '/v1/peers/oslo') {
      response.statusCode = 404;
      response.end(JSON.stringify(problemOf(new CryonetError('unknown_peer', 'no peer is called oslo'))));
    } else if (method === 'GET')
      response.end(JSON.stringify(z.encode(routes['GET /v1/peers/{id}'].reply, osaka)));
    else {
      assert.equal(url, '/v1/peers/osaka/ping');
      const pong = {
        ...{ peer: 'osaka', path, relayed, pair, rtt: 38.2, reason: '' },
        ...pongs[Math.min(asks++, pongs.length - 1)],
      };
      response.end(JSON.stringify(z.encode(routes['POST /v1/peers/{id}/ping'].reply, pong)));
    }
  });
  return { ...(await cryoc(socket, 'ping', ...args)), asks };
}

const lost: Partial<Pong> = { rtt: null, reason: 'no answer within 3 s' };
const slow: Partial<Pong> = { path: 'datachannel', rtt: 0.25 };

const pings: readonly [
  args: readonly string[],
  pongs: readonly Partial<Pong>[],
  code: number,
  printed: string,
][] = [
  [
    ['-c', '2'],
    [{}, { ...slow, relayed: true, pair: lima.pair }],
    0,
    'pong from osaka via direct 198.51.100.23:61021 in 38.2 ms\n' +
      'pong from osaka via relay 203.0.113.80:49170 in 0.250 ms\n' +
      '2 asked, 2 answered; least/average/most 0.250/19.2/38.2 ms\n',
  ],
  [
    ['-c', '2'],
    [lost, { rtt: null, path: null, pair: null, reason: 'denied by our\u001b[2J policy' }],
    1,
    'no answer from osaka via direct 198.51.100.23:61021: no answer within 3 s\n' +
      'no link with osaka: denied by our?[2J policy\n' +
      '2 asked, 0 answered\n',
  ],
  [
    ['--until-direct'],
    [slow, {}],
    0,
    'pong from osaka via datachannel 198.51.100.23:61021 in 0.250 ms\n' +
      'pong from osaka via direct 198.51.100.23:61021 in 38.2 ms\n' +
      '2 asked, 2 answered; least/average/most 0.250/19.2/38.2 ms\n',
  ],
  [
    ['--until-direct', '--count', '1'],
    [slow],
    1,
    'pong from osaka via datachannel 198.51.100.23:61021 in 0.250 ms\n' +
      '1 asked, 1 answered; least/average/most 0.250/0.250/0.250 ms\n',
  ],
  [
    ['--json', '-c', '1'],
    [{}],
    0,
    `{"peer":"osaka","rtt":0.0382,"path":"direct","relayed":false,"pair":${JSON.stringify(osaka.pair)},"reason":""}\n` +
      '{"asked":1,"answered":1,"least":0.0382,"average":0.0382,"most":0.0382}\n',
  ],
];

for (const [args, pongs, code, printed] of pings) {
  test(`cryoc ping ${args.join(' ')} ends with ${code} after ${pongs.length} answers`, async (context) => {
    const result = await pinged(context, pongs, ...args, 'osaka');
    assert.deepEqual([result.stdout, result.stderr, result.code], [printed, '', code]);
    assert.equal(result.asks, pongs.length);
  });
}

test('cryoc ping of a peer that nobody knows, or so many times, is refused', async (context) => {
  const unknown = await pinged(context, [{}], 'oslo');
  assert.deepEqual([unknown.code, unknown.stderr, unknown.asks], [78, 'cryoc: no peer is called oslo\n', 0]);
  const never = await pinged(context, [{}], '-c', '0', 'osaka');
  assert.deepEqual(
    [never.code, never.stderr, never.asks],
    [78, 'cryoc: --count takes a number from 1 on, not 0\n', 0],
  );
});

test('cryoc ping that is interrupted sums up', async (context) => {
  const { path, relayed, pair } = osaka;
  const pong = { peer: 'osaka', path, relayed, pair, rtt: 1, reason: '' };
  const socket = await answering(context, ({ method }, response) => {
    const [route, reply] =
      method === 'GET'
        ? (['GET /v1/peers/{id}', osaka] as const)
        : (['POST /v1/peers/{id}/ping', pong] as const);
    response.end(JSON.stringify(z.encode(routes[route].reply as z.ZodMiniType, reply)));
  });
  const main = join(import.meta.dirname, '../cli/main.ts');
  const child = spawn(process.execPath, [main, '--socket', socket, 'ping', 'osaka'], { timeout: 60_000 });
  const closed = once(child, 'close');
  let stdout = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    if (stdout === '') child.kill('SIGINT');
    stdout += chunk;
  }
  assert.deepEqual(await closed, [0, null]);
  assert.match(stdout, /^pong from osaka .*\n(?:pong .*\n)*(\d+) asked, \1 answered; .*\n$/);
});

test('cryoc top elsewhere than on a terminal is one line, and with --once what there is to see', async (context) => {
  let asks = 0;
  const socket = await answering(context, (_request, response) => {
    const { counters } = osaka;
    const rxBytes = counters!.rxBytes + 4096 * asks++;
    response.end(written(reportOf(lima, { ...osaka, counters: { ...counters!, rxBytes } }, riga)));
  });
  const none = await cryoc(socket, 'top');
  assert.deepEqual(none, {
    ...{ code: 78, stdout: '' },
    stderr: 'cryoc: top needs a terminal; what there is to see now: cryoc top --once\n',
  });
  const often = await cryoc(socket, 'top', '--once', '--interval', '1ms');
  assert.deepEqual(
    [often.code, often.stderr],
    [78, 'cryoc: --interval takes a duration from 200ms to 1h, not 1ms\n'],
  );
  assert.equal(asks, 0);
  const { code, stdout } = await cryoc(socket, 'top', '--once', '--interval', '200ms');
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^ berlin {3}cryonet .*\npeers {6}3: 1 down, 1 relayed, 1 well\n[\s\S]*\n {2}✗ riga .*\n {2}~ lima .*\n {2}● osaka .* \d+\.\dKiB +0B\n$/,
  );
  const json = JSON.parse((await cryoc(socket, 'top', '--json', '--interval', '200ms')).stdout);
  assert.equal(json.node, 'berlin');
  const { rx, ...rest } = json.peers[2];
  assert.deepEqual(rest, {
    ...{ peer: 'osaka', trouble: 'none', state: 'up', reason: '', path: 'direct', relayed: false },
    ...{ rtt: 0.2389, loss: 0, tx: 0 },
  });
  assert.ok(rx > 0, `${rx}`);
});
