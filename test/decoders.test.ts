/** Decoders of messages: what neighbors, peers and the other process send. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import { FrameCipher } from '../control/io/crypto.ts';
import { readInvitation, sealedText } from '../control/io/invitation.ts';
import { carriedChannels, decodeCarried, encodeCarried } from '../protocol/carried.ts';
import { notifications, requests } from '../protocol/dataplane.ts';
import { FrameReader, frame } from '../protocol/frame.ts';
import { handshakeMessage } from '../protocol/handshake.ts';
import { welcomeMessage } from '../protocol/invitation.ts';
import { decode, encode } from '../protocol/msgpack.ts';
import { check, parse } from '../protocol/schema.ts';
import { body, neighborMessage, nodeRecord } from '../protocol/signaling.ts';
import { statement } from '../protocol/statement.ts';
import { fullPacket, fullPacketNumber, wireMessage } from '../protocol/wire.ts';
import { answeredKeys, candidates, offeredKeys, sdp } from './descriptions.ts';
import { type Decoder, shaped, testDecoders } from './hostile/decoding.ts';

const key = new Uint8Array(32).fill(7);
const signature = new Uint8Array(64).fill(9);
const record = { id: 'node-1', key, epoch: 1_764_000_000_000, turn: true };
const signedRecord = { record: encode(record), signature };
const fingerprint = `SHA256:${'+/'.repeat(21)}A`;
const revoked = { kind: 'revoke', subject: 'node-1', operator: key, time: 1_764_000_000_000 };
const statementDigests = [{ operator: key.slice(0, 8), digest: key.slice(8, 16) }];
const common = { from: 'a', to: 'b', epoch: 1_764_000_000_000, toEpoch: 5, counter: 3 };
const attempt = { peer: 'b', negotiation: 'n-1' };
const server = { kind: 'turn', host: 'h', port: 3478, user: 'u', credential: 'c' };
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

/** What `ws` reads a connection with, which its types leave out. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

const decoders: Readonly<Record<string, Decoder>> = {
  'messages of the handshake': shaped(
    (input) => parse(handshakeMessage, input),
    { type: 'hello', id: 'a', key, epoch: 5, nonce: key, dh: key },
    { type: 'proof', mac: key, signature },
    { type: 'refuse', code: 'id_in_use', key },
  ),
  'invitations and welcomes': shaped(
    (input) => {
      const text = sealedText(input);
      const { type } = Object(decode(input));
      return type === 'welcome' ? parse(welcomeMessage, input) : readInvitation(text);
    },
    {
      ...{ secret: key.slice(0, 16), inviter: 'a', fingerprint: key },
      servers: ['ws://h:1'],
      id: 'b',
      expires: 5,
    },
    { type: 'welcome', tokens: ['one', 'two'], servers: ['wss://h'], pins: [{ id: 'a', key }] },
  ),
  'messages between neighbors': shaped(
    (input) => parse(neighborMessage, input),
    { type: 'alive', digest: key.slice(0, 8), ask: ['a', 'b'], statementDigests },
    { type: 'members', entries: [{ ...signedRecord, age: 5 }], statementDigests },
    { type: 'members', entries: [], statements: [{ statement: encode(revoked), signature }] },
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
  'statements of operators': shaped(
    (input) => parse(statement, input),
    { ...revoked, kind: 'accept', fingerprint },
    revoked,
    { ...revoked, subject: fingerprint },
    { ...revoked, kind: 'forget' },
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
  'messages of links by a WebSocket': {
    seeds: carriedChannels.map((channel) =>
      encodeCarried({ negotiation: 'n-1', channel, record: channel === 'end' ? new Uint8Array() : key }),
    ),
    take: decodeCarried,
  },
  'sealed frames': {
    seeds: [new FrameCipher(key).seal(encode(record))],
    take: (input) => new FrameCipher(key).open(input),
  },
};

testDecoders(decoders);
