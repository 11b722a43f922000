/**
 * What anybody can send, many times over: each decoder takes it or refuses it in one of its ways, and nothing else
 * happens. What a decoder takes, it takes again after it was written anew.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { CommanderError } from 'commander';
import { TomlError } from 'smol-toml';
import * as ws from 'ws';
import { isLoopback, parseHostPort } from '../control/config/address.ts';
import { readConfig } from '../control/config/config.ts';
import { parseIceServer, unservedIceServer } from '../control/config/ice-server.ts';
import { controlProgram } from '../control/config/program.ts';
import { valuesOf } from '../control/config/sources.ts';
import { FrameCipher } from '../control/io/crypto.ts';
import {
  fingerprintOf,
  parseCandidate,
  remoteCandidate,
  remoteDescription,
  withoutCandidates,
} from '../dataplane/io/engine/sdp.ts';
import { readStunResponse, transactionBytes } from '../dataplane/io/stun.ts';
import { scanCommandLine } from '../protocol/command-line.ts';
import { notifications, requests } from '../protocol/dataplane.ts';
import { parseDuration } from '../protocol/duration.ts';
import { CryonetError } from '../protocol/errors.ts';
import { FrameReader, frame } from '../protocol/frame.ts';
import { matches } from '../protocol/glob.ts';
import { handshakeMessage } from '../protocol/handshake.ts';
import { decode, encode } from '../protocol/msgpack.ts';
import { check, parse } from '../protocol/schema.ts';
import { body, neighborMessage, nodeRecord } from '../protocol/signaling.ts';
import { statusReport } from '../protocol/status.ts';
import { fullPacket, fullPacketNumber, wireMessage } from '../protocol/wire.ts';
import { answeredKeys, offeredKeys } from './descriptions.ts';
import { Mutations } from './hostile/mutations.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport } from './status-example.ts';

const inputs = 1_000_000;
/** Of what takes a hundred times as long: a node's whole configuration, which is the operator's own. */
const fewInputs = 5_000;

// Most inputs end as an error; where it was made is of no interest.
Error.stackTraceLimit = 0;

const key = new Uint8Array(32).fill(7);
const signature = new Uint8Array(64).fill(9);
const record = { id: 'node-1', key, epoch: 1_764_000_000_000, turn: true };
const signedRecord = { record: encode(record), signature };
const common = { from: 'a', to: 'b', epoch: 1_764_000_000_000, toEpoch: 5, counter: 3 };
const sdp = [
  ...['v=0', 'o=- 1 0 IN IP4 127.0.0.1', 's=-', 't=0 0'],
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  ...['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=setup:actpass'],
  ...['a=ice-ufrag:abcd', 'a=ice-pwd:0123456789abcdefghijkl', 'a=end-of-candidates', ''],
].join('\r\n');
const candidates = [
  'candidate:1 1 UDP 2122317823 192.0.2.1 2333 typ host',
  'a=candidate:2 1 udp 1686109439 2001:db8::1 40000 typ srflx raddr 0.0.0.0 rport 0',
];
const attempt = { peer: 'b', negotiation: 'n-1' };
const server = { kind: 'turn', host: 'h', port: 3478, user: 'u', credential: 'c' };
const commandLines = [
  'a --token t --listen [::1]:2333 --mtu auto',
  'b --ws-servers ws://h:1 --allow x* --send-alive-interval 5s',
];
const configFiles = [
  'id = "a"\ntoken = "t"\nmtu = 1400\nallow = ["x", "y*"]\n',
  'token = """t"""\nlisten = "h:1"\n',
];
const rpc = [
  ...[
    { id: 1, method: 'offer', params: { ...attempt, identity: key, route: 'shared', iceServers: [server] } },
    { id: 2, method: 'stats', params: {} },
    { id: 3, result: { sdp, keys: offeredKeys } },
    { id: 4, error: { code: 'bad_sdp', message: 'no' } },
    { method: 'signal', params: { peer: 'b', frame: key } },
  ],
];

/** Masked by zeros, as clients send them (RFC 6455, section 5.2): a message; one of two parts, a ping between them; the
 *  end; a long message. */
const webSocketFrames = [
  '8283-010203',
  '0281-01 8981-2a 8081-02',
  '8882-03e8',
  `82fe0080-${'2a'.repeat(128)}`,
].map((frames) => Buffer.from(frames.replaceAll('-', '00000000').replaceAll(' ', ''), 'hex'));

/** Texts as the bytes that they are written with. */
const written = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text, 'latin1'));

interface Decoder {
  readonly seeds: readonly Uint8Array[];
  /** Throws one of `refusals`, or gives undefined, where it does not take the input. */
  readonly take: (input: Uint8Array) => unknown;
}

const refusals = [CryonetError, CommanderError, TomlError];

const program = controlProgram();

/** What `ws` reads a connection with, which its types leave out. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

/** To look at each would take more time than all decoders. */
let looks = 0;

/** MessagePack of a shape: what is taken is the same when it is written and taken again. */
function shaped(read: (input: Uint8Array) => unknown, ...seeds: readonly unknown[]): Decoder {
  return {
    seeds: seeds.map(encode),
    take: (input) => {
      const value = read(input);
      if (++looks % 32 === 0) assert.deepEqual(read(encode(value)), value);
      return value;
    },
  };
}

const text = (read: (input: string) => unknown, ...seeds: readonly string[]): Decoder => ({
  seeds: written(...seeds),
  take: (input) => read(Buffer.from(input.buffer, input.byteOffset, input.length).toString('latin1')),
});

const decoders: Readonly<Record<string, Decoder>> = {
  'messages of the handshake': shaped(
    (input) => parse(handshakeMessage, input),
    { type: 'hello', id: 'a', key, epoch: 5, nonce: key, dh: key },
    { type: 'proof', mac: key, signature },
    { type: 'refuse', code: 'id_in_use', key },
  ),
  'messages between neighbors': shaped(
    (input) => parse(neighborMessage, input),
    { type: 'alive', digest: key.slice(0, 8), ask: ['a', 'b'] },
    { type: 'members', entries: [{ ...signedRecord, age: 5 }] },
    { type: 'flood', from: 'a', to: '*', ttl: 9, body: key, signature, sender: signedRecord },
  ),
  'bodies of floods': shaped(
    (input) => parse(body, input),
    { ...common, kind: 'offer', negotiation: 'n-1', route: 'relay', sdp, keys: offeredKeys },
    { ...common, kind: 'answer', negotiation: 'n-1', sdp, keys: answeredKeys },
    { ...common, kind: 'candidate', negotiation: 'n-1', candidates },
    { ...common, kind: 'reject', reason: 'failed', detail: 'why' },
    { ...common, kind: 'solicit', wide: true },
    { ...common, kind: 'bye' },
  ),
  'records of members': shaped((input) => parse(nodeRecord, input), record),
  'messages on wire': shaped(
    (input) => parse(wireMessage, input),
    { type: 'hello', version: 1, packetInformation: false, mtu: 1280, carries: 1440, full: true },
    { type: 'mtu', bytes: 1500 },
    { type: 'ping', number: 1, padding: key },
    { type: 'renew', generation: 1, index: 7, x25519: key, echo: key },
    { type: 'lost' },
  ),
  'full packets on data': { seeds: [fullPacket(7, 1280)], take: fullPacketNumber },
  'requests and notifications between the processes': shaped(
    (input) => {
      const message = decode(input) as { method?: string; params?: unknown };
      const { method = '', params } = Object(message);
      if (Object.hasOwn(requests, method)) check(requests[method as 'stats'].params, params);
      if (Object.hasOwn(notifications, method)) check(notifications[method as 'signal'], params);
      return message;
    },
    ...rpc,
  ),
  'frames of a stream': {
    seeds: [Buffer.concat(rpc.map((each) => frame(encode(each))))],
    take: (input) => {
      const reader = new FrameReader(4096);
      const half = input.length >> 1;
      const parts = [...reader.push(input.subarray(0, half)), ...reader.push(input.subarray(half))];
      return parts.length > 0 ? parts : undefined;
    },
  },
  'frames of WebSockets': {
    seeds: webSocketFrames,
    take: (input) => {
      const receiver = new Receiver({ isServer: true, maxPayload: 4096 });
      let taken: unknown;
      for (const kind of ['message', 'ping', 'pong', 'conclude', 'error']) {
        receiver.on(kind, (what: unknown) => {
          taken = what;
        });
      }
      // It takes the mask off where the frame lies.
      receiver.write(Buffer.from(input));
      return receiver.errored === null ? taken : undefined;
    },
  },
  'sealed frames': {
    seeds: [new FrameCipher(key).seal(encode(record))],
    take: (input) => new FrameCipher(key).open(input),
  },
  'session descriptions': text((input) => {
    const safe = remoteDescription(input);
    if (++looks % 32 !== 0) return safe;
    assert.equal(remoteDescription(safe), safe);
    assert.equal(withoutCandidates(safe), safe);
    assert.match(fingerprintOf(safe), /^(AB|[0-9A-F]{2}:)/);
    return safe;
  }, sdp),
  candidates: text(
    (input) => {
      const rebuilt = remoteCandidate(input);
      if (rebuilt !== undefined) assert.equal(remoteCandidate(rebuilt), rebuilt);
      return parseCandidate(input);
    },
    ...candidates,
  ),
  'answers of STUN servers': {
    seeds: [
      Buffer.concat([
        Buffer.from('010100142112a442', 'hex'),
        new Uint8Array(transactionBytes),
        Buffer.from('002000080001a147e112a64300080004aabbccdd', 'hex'),
      ]),
    ],
    take: (input) => readStunResponse(Buffer.from(input), new Uint8Array(transactionBytes)),
  },
  'addresses, servers and times': text(
    (input) => {
      const address = parseHostPort(input, 2333);
      if (address !== undefined) isLoopback(address.host);
      unservedIceServer(input);
      matches(input, 'eth0');
      return address ?? parseIceServer(input) ?? parseDuration(input);
    },
    ...['[::1]:2333', '192.0.2.1:80', 'turn:h:3478|user|secret', 'stun:h', '1h30m'],
  ),
  'the status report': text(
    (input) => {
      try {
        return check(statusReport, JSON.parse(input));
      } catch (error) {
        if (error instanceof SyntaxError) return undefined;
        throw error;
      }
    },
    ...[[], exampleReport.peers.slice(0, 1)].map((peers) => JSON.stringify({ ...exampleReport, peers })),
  ),
  'words of a command line': text(
    (input) => scanCommandLine(input.split(' '), program, '--token').missing === undefined || undefined,
    ...commandLines,
  ),
  'configuration files': text((input) => valuesOf(input, 'config.toml'), ...configFiles),
};

for (const [name, { seeds, take }] of Object.entries(decoders)) {
  test(`${name}: ${inputs} that are almost right are taken or refused, and nothing else`, async () => {
    const mutations = new Mutations(seeds, Math.max(2048, ...seeds.map(({ length }) => length + 64)));
    for (const seed of seeds) assert.notEqual(take(seed), undefined);
    let taken = 0;
    for (let i = 0; i < inputs; i++) {
      // Errors of streams are told a moment later.
      if (i % 1024 === 0) await setImmediate();
      const input = mutations.next();
      if (!refusedInWords(take, input)) {
        taken++;
        mutations.accepted(input);
      }
    }
    assert.ok(taken > inputs / 1000 || name === 'sealed frames', `${taken} taken: they are not almost right`);
    assert.ok(taken < inputs, 'all taken');
  });
}

test(`${fewInputs} command lines, and as many files, are taken or refused in words`, (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'run'));
  const path = join(folder, 'config.toml');
  const read = (argv: readonly string[], env: Record<string, string>) =>
    readConfig(argv, { HOME: folder, RUNTIME_DIRECTORY: join(folder, 'run'), ...env }, 1);
  for (const [seeds, take] of [
    [
      commandLines,
      (input: Uint8Array) => read(Buffer.from(input).toString('latin1').split(' '), { TOKEN: 't' }),
    ],
    [
      configFiles,
      (input: Uint8Array) => {
        writeFileSync(path, input);
        return read(['a'], { CONFIG: path });
      },
    ],
  ] as const) {
    const mutations = new Mutations(written(...seeds), 512);
    let taken = 0;
    for (let i = 0; i < fewInputs; i++) {
      const input = mutations.next();
      if (refusedInWords(take, input)) continue;
      taken++;
      mutations.accepted(input);
    }
    assert.ok(taken > 0 && taken < fewInputs, `${taken}`);
  }
});

/** Whether the decoder refused it. Fails, with the input, where it did something else. */
function refusedInWords(take: (input: Uint8Array) => unknown, input: Uint8Array): boolean {
  try {
    return take(input) === undefined;
  } catch (error) {
    if (refusals.some((kind) => error instanceof kind)) return true;
    throw new Error(`on ${Buffer.from(input).toString('hex')}`, { cause: error });
  }
}
