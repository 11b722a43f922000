import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { suite, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { retainedCount } from '../dataplane/io/engine/native-peer.ts';
import { type NodeDatachannelOptions, openNodeDatachannel } from '../dataplane/io/engine/node-datachannel.ts';
import { freeUdpPort } from '../dataplane/io/engine/udp-port.ts';
import { stunAttribute, stunRequest } from '../dataplane/io/stun.ts';
import type { Engine } from '../dataplane/io/webrtc.ts';
import { conformance } from './webrtc-conformance.ts';
import { connected, End, negotiate } from './webrtc-end.ts';
import { hostileServer, stunServer } from './webrtc-stun.ts';

type Attributes = readonly (readonly [number, Uint8Array])[];

const anyPort = { udpPort: 0, fixed: false };

conformance('node-datachannel with node-datachannel', async () => ({
  offerer: await openNodeDatachannel(anyPort),
  answerer: await openNodeDatachannel(anyPort),
}));

suite('the shared port of node-datachannel', () => {
  test('a fixed port is had, or refused where another program has it', async (t) => {
    const port = await freeUdpPort(0);
    const engine = await open(t, { udpPort: port, fixed: true });
    assert.equal(engine.udpPort, port);
    await assert.rejects(open(t, { udpPort: port, fixed: true }), { code: 'port_in_use' });
  });

  for (const address of ['127.0.0.1', '0.0.0.0']) {
    test(`a port that is taken on ${address} alone is taken`, async (t) => {
      const socket = dgram.createSocket('udp4').bind(0, address);
      t.after(() => socket.close());
      await once(socket, 'listening');
      const { port } = socket.address();
      await assert.rejects(open(t, { udpPort: port, fixed: true }), { code: 'port_in_use' });
      assert.notEqual((await open(t, { udpPort: port, fixed: false })).udpPort, port);
    });
  }

  test('the port is free again soon after close, twice over', async (t) => {
    const port = await freeUdpPort(0);
    for (let round = 0; round < 2; round += 1) {
      const engine = await open(t, { udpPort: port, fixed: true });
      await connected({ offerer: engine, answerer: await open(t) });
      engine.close();
      engine.close();
      await within(2000, async () => (await freeUdpPort(port)) === port);
    }
  });

  test('every connection uses it, and its candidates name it alone', async (t) => {
    const engines = { offerer: await open(t), answerer: await open(t) };
    const { offerer, answerer } = await connected(engines);
    for (const line of offerer.candidates) assert.equal(line.split(' ')[5], `${engines.offerer.udpPort}`);
    assert.equal(answerer.connection.pair()!.remote.port, engines.offerer.udpPort);
  });

  test('another port serves as long as it is used; then it is free, and the own one was never given up', async (t) => {
    const [one, other] = [await open(t), await open(t)];
    const options = { route: 'shared' as const, iceServers: [], otherPort: true };
    const first = await connected({ offerer: one, answerer: other }, { offerer: options });
    const second = await connected({ offerer: await open(t), answerer: one }, { answerer: options });
    const { port } = first.offerer.connection.pair()!.local;
    assert.notEqual(port, one.udpPort);
    assert.equal(first.answerer.connection.pair()!.remote.port, port);
    assert.equal(second.answerer.connection.pair()!.local.port, port, 'what is negotiated at once has one');
    const third = await connected({ offerer: one, answerer: await open(t) });
    assert.equal(third.offerer.connection.pair()!.local.port, one.udpPort);
    t.mock.method(performance, 'now', () => Number.MAX_SAFE_INTEGER);
    one.sweep();
    await assert.rejects(freeUdpPort(port), { code: 'port_in_use' });
    for (const { close } of [first, second]) close();
    one.sweep();
    await within(2000, async () => (await freeUdpPort(port)) === port);
    await assert.rejects(freeUdpPort(one.udpPort), { code: 'port_in_use' });
  });

  test('every address is told, also beyond what libjuice would', async (t) => {
    const many = Array.from({ length: 20 }, (_, i) => `198.18.0.${i + 1}`);
    const a = new End(await open(t, { ...anyPort, hostAddresses: () => many }));
    const b = new End(await open(t));
    await negotiate(a, b);
    await a.until('twenty candidates', () => a.candidates.length === 20);
    assert.deepEqual(
      a.candidates.map((line) => line.split(' ')[4]),
      many,
    );
  });
});

suite('node-datachannel among many', () => {
  test('one engine connects with ten others at once', async (t) => {
    const one = await open(t);
    const others = await Promise.all(Array.from({ length: 10 }, () => open(t)));
    const all = await Promise.all(
      others.map((other, i) =>
        connected(i % 2 === 0 ? { offerer: one, answerer: other } : { offerer: other, answerer: one }),
      ),
    );
    for (const { offerer, answerer } of all) {
      offerer.connection.send('signal', Buffer.from('there'));
      answerer.connection.send('signal', Buffer.from('back'));
      await answerer.until('a message', () => answerer.messages.signal.length === 1);
      await offerer.until('a message', () => offerer.messages.signal.length === 1);
    }
    for (const engine of [one, ...others]) engine.close();
    // Nothing of the closed connections is left in the library.
    await within(2000, async () => retainedCount() === 0);
  });

  test('fifty connections in a row to one peer all connect, and no first packet of DTLS is lost', async (t) => {
    const engines = { offerer: await open(t), answerer: await open(t) };
    const times: number[] = [];
    for (let i = 0; i < 50; i += 1) {
      const { ms, close } = await connected(engines);
      times.push(ms);
      close();
    }
    // A lost ClientHello costs 1000 ms, a check that went to the connection before 500 ms.
    const slow = times.filter((ms) => ms > 450).length;
    assert.ok(slow <= 10, `${slow} of 50 were slow: ${times.map(Math.round)}`);
  });
});

suite('node-datachannel and its STUN servers', () => {
  for (const route of ['shared', 'relay'] as const) {
    test(`one that does not answer delays no ${route} connection`, async (t) => {
      const stun = await stunServer(undefined);
      t.after(stun.close);
      const options = { route, iceServers: [stun.server] };
      const engines = { offerer: await open(t), answerer: await open(t) };
      const { ms } = await connected(engines, { offerer: options, answerer: options });
      assert.ok(ms < 10_000, `${ms} ms`);
      await within(5_000, async () => stun.requests() > 0);
    });
  }

  test('one whose name is never resolved delays the first connection by 300 ms, no other', async (t) => {
    const offerer = await open(t, { ...anyPort, lookup: () => new Promise(() => {}) });
    const engines = { offerer, answerer: await open(t) };
    const iceServers = [{ kind: 'stun', host: 'stun.example', port: 3478 } as const];
    const options = { offerer: { route: 'shared' as const, iceServers } };
    const first = await connected(engines, options);
    first.close();
    const second = await connected(engines, options);
    assert.ok(first.ms > 290 && first.ms < 10_000, `${first.ms} ms`);
    assert.ok(second.ms < 10_000, `${second.ms} ms`);
  });

  for (const kind of ['stun', 'turn'] as const) {
    test(`one given as ${kind} tells a shared connection its mapped address`, async (t) => {
      const stun = await stunServer({ address: '203.0.113.9', port: 4242 });
      t.after(stun.close);
      const server = { ...stun.server, kind, user: 'u', credential: 'c' };
      const options = { route: 'shared' as const, iceServers: [server] };
      const engines = { offerer: await open(t), answerer: await open(t) };
      const { offerer } = await connected(engines, { offerer: options });
      const isMapped = (line: string) => /203\.0\.113\.9 4242 typ srflx/.test(line);
      await offerer.until('the mapped address', () => offerer.candidates.some(isMapped));
    });
  }
});

const challenge: Attributes = [
  [stunAttribute.realm, Buffer.from('r')],
  [stunAttribute.nonce, Buffer.from('n')],
];
const refusal = (request: Buffer, code: number, more: Attributes) =>
  stunRequest(request.readUInt16BE(0) | 0x0110, request.subarray(8, 20), [
    [stunAttribute.errorCode, Buffer.from([0, 0, Math.floor(code / 100), code % 100])],
    ...more,
  ]);
const hostile: readonly [what: string, reply: (request: Buffer, count: number) => Uint8Array[]][] = [
  ['garbage', () => [Buffer.alloc(500, 0xa5)]],
  ['the longest datagrams', () => [Buffer.alloc(60_000, 0xa5), Buffer.alloc(60_000, 1)]],
  ['401 for ever', (request) => [refusal(request, 401, challenge)]],
  ['438 for ever', (request, count) => [refusal(request, count === 1 ? 401 : 438, challenge)]],
  [
    'an alternate server that is itself',
    (request) => [refusal(request, 300, [[0x8023, Buffer.alloc(8, 1)]])],
  ],
  [
    'a nonce of twenty thousand bytes',
    (request) => [refusal(request, 401, [challenge[0]!, [stunAttribute.nonce, Buffer.alloc(20_000, 65)]])],
  ],
];

suite('node-datachannel and a hostile TURN server', () => {
  for (const [what, reply] of hostile) {
    test(`one that answers with ${what} does not keep a connection from coming about`, async (t) => {
      const turn = await hostileServer(reply);
      t.after(turn.close);
      const engines = { offerer: await open(t), answerer: await open(t) };
      const offering = { route: 'relay' as const, iceServers: [turn.server] };
      const answering = { route: 'relay' as const, iceServers: [] };
      const { offerer, close } = await connected(engines, { offerer: offering, answerer: answering });
      await within(5_000, async () => turn.requests() > 0);
      await offerer.until('a word of it', () => offerer.unservedBy.length > 0);
      assert.deepEqual(offerer.unservedBy, ['turn']);
      close();
    });
  }
});

suite('a process with node-datachannel', () => {
  for (const [end, code] of [
    ['close', 0],
    ['exit', 0],
    ['throw', 3],
  ] as const) {
    test(`ends with ${code} after "${end}", without werift`, async () => {
      const { exitCode, stdout, stderr } = await runLoop(end);
      assert.equal(exitCode, code, stderr);
      const { loaded } = JSON.parse(stdout);
      assert.ok(loaded.includes('node-datachannel'));
      assert.ok(!loaded.includes('werift'));
    });
  }
});

test('it connects where there is nothing but loopback and IPv6 is off', { skip: needsRoot() }, async () => {
  const off = 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$@"';
  const { exitCode, stdout, stderr } = await runLoop('close', ['unshare', '-n', 'sh', '-c', off, 'sh']);
  assert.equal(exitCode, 0, stderr);
  const { pair } = JSON.parse(stdout);
  assert.deepEqual([pair.local.address, pair.remote.address], ['127.0.0.1', '127.0.0.1']);
  assert.deepEqual([pair.local.type, pair.remote.type], ['host', 'host']);
});

function needsRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root for a namespace';
}

interface Outcome {
  readonly exitCode: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `webrtc-loop.ts`, behind `command` where there is one. */
function runLoop(end: string, command: readonly string[] = []): Promise<Outcome> {
  const program = fileURLToPath(new URL('webrtc-loop.ts', import.meta.url));
  const [file, ...args] = [...command, process.execPath, program, end];
  return new Promise((resolve) => {
    execFile(file!, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : (error.code ?? error.signal), stdout, stderr });
    });
  });
}

/** An engine that is closed with the test. */
async function open(t: TestContext, options: NodeDatachannelOptions = anyPort): Promise<Engine> {
  const engine = await openNodeDatachannel(options);
  t.after(() => engine.close());
  return engine;
}

/** Tries until it is true; what it throws counts as false. */
async function within(ms: number, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await isTrue().catch(() => false))) {
    assert.ok(performance.now() < deadline, `not within ${ms} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
