/** How many lines the logs of whole nodes have of faults that last, as if each second were a quarter of an hour. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { tokenKey } from '../control/io/crypto.ts';
import { ClientHandshake } from '../control/io/handshake.ts';
import { shakeHands } from '../control/io/neighbor-socket.ts';
import { openStateDirectory } from '../control/io/state-directory.ts';
import type { IceServer } from '../protocol/dataplane.ts';
import { subprotocol } from '../protocol/handshake.ts';
import { attemptWith, type Pairs, type Side, twoOf } from './dataplane-pair.ts';
import type { LogLine } from './log-lines.ts';
import { measured, settled } from './log-meter.ts';
import { waitFor } from './native/wait.ts';
import { Lab } from './node-lab.ts';
import { temporaryFolder } from './socket-pair.ts';

const quick = ['--check-interval', '20ms'];
const labKey = await tokenKey('the secret of the lab');

/** Fails where these lines, of a log from `from` until `now`, are more than so many a minute, or fewer than a test needs. */
function few(
  what: string,
  lines: readonly LogLine[],
  from: number,
  limit: number,
  makes = 0,
  now = performance.now(),
): void {
  const meter = measured(lines, from, now, (2 * settled) / (now - from));
  assert.ok(meter.offeredPerMinute >= makes, `${what}: it makes ${meter.offeredPerMinute} a minute`);
  assert.ok(meter.perMinute <= limit, `${what}: ${meter.perMinute} of ${meter.offeredPerMinute} a minute`);
}

/** What listens on a port and closes each connection at once. */
async function closes(context: TestContext): Promise<string> {
  const server = createServer((socket) => socket.destroy());
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** A neighbor that proves itself, sends what is no message, or leaves at once; over and over until `context` ends. */
function restless(context: TestContext, url: string, id: string, says: Uint8Array | undefined): void {
  const { identity, epoch } = openStateDirectory(temporaryFolder(context), Date.now());
  const local = { id, epoch, identity, tokenKeys: [labKey] as const };
  let ended = false;
  const again = () => {
    if (ended) return;
    const socket = new WebSocket(url, subprotocol);
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(again, 5));
    socket.once('open', () => {
      const handshake = new ClientHandshake(local);
      shakeHands(socket, handshake, handshake.start()).then(
        () => (says === undefined ? socket.close() : socket.send(says)),
        () => {},
      );
    });
  };
  context.after(() => {
    ended = true;
  });
  again();
}

test('control: whoever calls, is called or dies over and over, a node has at most two lines a minute of it', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0', [], quick);
  const n1 = await lab.add('n1', [n0], quick);
  const [called, garbled] = [await lab.add('c0'), await lab.add('g0')];
  const [alone, wrong, twin] = [
    await lab.add('a0', [], [...quick, '--ws-servers', 'ws://127.0.0.1:1']),
    await lab.add('w0', [n0], [...quick, '--token', 'another secret']),
    await lab.add('n1', [n0], quick),
  ];
  const shut = await lab.add('s0', [], [...quick, '--ws-servers', await closes(context)]);
  restless(context, called.url, 'restless', undefined);
  restless(context, garbled.url, 'restless', new Uint8Array(40));
  const killed = await lab.add('k0', [], quick);
  const from = performance.now();
  for (let i = 0; i < 6; i++) {
    await pause(250);
    await killed.replaceDataplane();
  }
  few('wrong token, at the server', n0.lines, from, 1);
  few('wrong token, at the client', wrong.lines, from, 1);
  few('ID taken', twin.lines, from, 1);
  few('ID taken, at who has it', n1.lines, from, 1);
  few('dead server', alone.lines, from, 1);
  few('a server that closes', shut.lines, from, 1);
  few('a neighbor that leaves at once', called.lines, from, 1, 0.2);
  few('a neighbor that sends garbage', garbled.lines, from, 1, 0.2);
  few('a dataplane that dies', killed.lines, from, 2, 0.3);
});

interface Fault {
  prepare?(pairs: Pairs, a: Side, b: Side): void;
  round(pairs: Pairs, a: Side, b: Side, count: number): Promise<unknown>;
}

/** Fewer links in a second than a peer's budget is for. */
const rounds = 80;

/** Another configuration is how a test has a server looked at again. */
const matters = ({ message }: LogLine) => !message.startsWith('another configuration');

/** A link that is made and taken down by the other end. */
async function once(pairs: Pairs, a: Side, b: Side): Promise<void> {
  const negotiation = await pairs.link(a, b);
  await b.shell.request('close', { peer: 'a', negotiation });
  await waitFor('the end', () => a.report('b')?.state === 'lost');
}

/** The same, and its interface goes. */
async function comesAndGoes(pairs: Pairs, a: Side, b: Side): Promise<void> {
  await once(pairs, a, b);
  await a.shell.request('remove', { peer: 'b' });
}

const turn: IceServer = { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'c' };

const faults: Readonly<Record<string, Fault>> = {
  'a peer that opens and closes all the time': { round: once },
  'a peer that comes and goes with its interface': {
    round: comesAndGoes,
  },
  'an interface that the kernel refuses': {
    prepare: (_pairs, a) => {
      a.tuns.refusal = 'tun_denied';
    },
    async round(pairs, a, b, count) {
      await pairs.negotiate(a, b);
      await waitFor('the end', () => a.ended.length > count);
    },
  },
  'an interface that is deleted over and over': {
    async round(pairs, a, b) {
      await pairs.link(a, b);
      a.tun('b')!.setCarrier = () => {
        throw new Error('no such device');
      };
      await b.shell.request('remove', { peer: 'a' });
      await waitFor('the loss', () => a.report('b')?.interface === null);
    },
  },
  'a name that is taken': {
    prepare(_pairs, a) {
      a.tuns.open(
        { name: 'cnb', alias: 'an uplink', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' },
        () => {},
      );
    },
    round: comesAndGoes,
  },
  'no interface at all': {
    prepare: (_pairs, a) => {
      a.tuns.trouble = 'tun_file_denied';
    },
    async round(pairs, a, b) {
      await a.hello();
      await assert.rejects(pairs.negotiate(a, b));
    },
  },
  'a TURN server that is down, with another reason each time': {
    prepare(pairs) {
      let number = 0;
      pairs.iceServerTrouble = () => `it refuses with error ${400 + number++}`;
    },
    async round(_pairs, a, _b, count) {
      await a.hello({ mtu: 1300 + (count % 2) });
      const offer = { ...attemptWith('b', `t-${count}`), iceServers: [turn] };
      await a.shell.request('offer', offer).catch(() => {});
      await waitFor(
        'the look',
        async () => (await a.hello({ mtu: 1300 + (count % 2) })).warnings!.length > 0,
      );
    },
  },
  'packets that cannot be marked, now and then': {
    async round(pairs, a, b, count) {
      a.tuns.markRefusal = count % 2 === 0 ? 'EPERM' : undefined;
      await a.hello({ fwmark: 7 });
      await once(pairs, a, b);
    },
  },
};

suite('lines of a dataplane, a minute', () => {
  for (const [name, { prepare, round }] of Object.entries(faults)) {
    test(name, async (context) => {
      const { pairs, a, b } = await twoOf(context);
      prepare?.(pairs, a, b);
      // Each round counts as long as another, however busy the machine is.
      const logs = new Map([a, b].map((side) => [side, [] as LogLine[]]));
      for (let count = 0; count < rounds; count++) {
        await round(pairs, a, b, count);
        for (const [{ lines }, log] of logs)
          log.push(...lines.slice(log.length).map((line) => ({ ...line, at: count })));
      }
      for (const [{ id }, log] of logs) few(id, log.filter(matters), 0, 1, 0, rounds);
    });
  }
});
