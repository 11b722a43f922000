/** One example, or more, of every message between nodes; `vectors/messages.json` has their bytes. */
import type * as z from 'zod/mini';
import { handshakeMessage } from '../protocol/handshake.ts';
import { invitationPayload, welcomeMessage } from '../protocol/invitation.ts';
import { ciphertextSize, encapsulationKeySize } from '../protocol/keys.ts';
import type { LinkView } from '../protocol/link-view.ts';
import { body, neighborMessage, nodeRecord } from '../protocol/signaling.ts';
import { statement } from '../protocol/statement.ts';
import { wireMessage } from '../protocol/wire.ts';

/** What an end sees of a link. */
export const linkViewExample: LinkView = {
  ...{ state: 'up', reason: '', path: 'datachannel', notDirect: 'the peer does not answer probes' },
  pair: {
    local: { type: 'host', address: '192.0.2.7', port: 2333 },
    remote: { type: 'srflx', address: '2001:db8::7', port: 61_234 },
  },
  told: ['host 192.0.2.7:2333'],
  heard: ['host 10.0.0.7:2333', 'srflx [2001:db8::7]:61234'],
  turn: false,
};

export interface Example {
  readonly name: string;
  readonly schema: z.ZodMiniType;
  readonly value: object;
  /** Fields that may be missing. */
  readonly optional?: readonly string[];
  /** Objects of which every key is a value, so that they have no fields of a later version. */
  readonly records?: readonly string[];
}

/** `first`, `first` + 1, … */
export function bytesFrom(first: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (first + i) & 255);
}

const epoch = 1_764_000_000_123;
const later = 1_764_000_099_000;
export const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
export const candidate = 'candidate:1 1 UDP 2122317823 192.0.2.7 2333 typ host';
const record = bytesFrom(0x20, 40);
const signed = { record, signature: bytesFrom(0x40, 64) };
const digests = [{ operator: bytesFrom(0, 8), digest: bytesFrom(8, 8) }];
const fingerprint = `SHA256:${'+/'.repeat(21)}A`;
const said = { operator: bytesFrom(0, 32), time: epoch };
const directed = { from: 'berlin', to: 'ams-1', epoch, toEpoch: later, counter: 7 };
const keysOf = (index: number, kemSize: number) => ({
  index,
  x25519: bytesFrom(0, 32),
  kem: bytesFrom(32, kemSize),
  ciphers: ['aes-256-gcm', 'chacha20-poly1305'],
  ecn: true,
  udp: false,
});
export const offered = keysOf(0x01020304, encapsulationKeySize);
export const answered = keysOf(0xfffefdfc, ciphertextSize);
export const epochs = { ours: epoch, theirs: later };
const offerOf = { negotiation: 'mid0a1-1', route: 'shared', sdp, keys: offered };

export const examples: readonly Example[] = [
  {
    name: 'handshake hello',
    schema: handshakeMessage,
    value: {
      type: 'hello',
      id: 'berlin',
      key: bytesFrom(0, 32),
      epoch,
      nonce: bytesFrom(32, 32),
      dh: bytesFrom(64, 32),
    },
  },
  {
    name: 'handshake proof',
    schema: handshakeMessage,
    value: { type: 'proof', mac: bytesFrom(0, 32), signature: bytesFrom(32, 64) },
  },
  {
    name: 'handshake proof that refuses the server',
    schema: handshakeMessage,
    value: {
      ...{ type: 'proof', mac: bytesFrom(0, 32), signature: bytesFrom(32, 64) },
      refuse: { code: 'identity_mismatch', key: new Uint8Array(32).fill(0x11) },
    },
    optional: ['refuse', 'refuse.key'],
  },
  {
    name: 'handshake refuse key_in_use',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'key_in_use', mac: bytesFrom(0, 32), signature: bytesFrom(32, 64) },
    optional: ['mac', 'signature'],
  },
  {
    name: 'invitation',
    schema: invitationPayload,
    value: {
      ...{ secret: bytesFrom(1, 16), inviter: 'berlin', fingerprint: bytesFrom(0x40, 32) },
      ...{ servers: ['wss://berlin.example.net', 'ws://[2001:db8::1]:2333'], id: 'osaka', expires: later },
    },
    optional: ['id'],
  },
  {
    name: 'welcome',
    schema: welcomeMessage,
    value: {
      ...{ type: 'welcome', tokens: ['the next token', 'the last one'], servers: ['ws://lima:2333'] },
      ...{ pins: [{ id: 'berlin', key: bytesFrom(0, 32) }], operators: [bytesFrom(32, 32)] },
    },
    optional: ['operators'],
  },
  {
    name: 'handshake refuse already_connected',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'already_connected' },
  },
  {
    name: 'handshake refuse wrong_token',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'wrong_token' },
  },
  {
    name: 'handshake refuse id_in_use',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'id_in_use' },
  },
  {
    name: 'handshake refuse identity_mismatch',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'identity_mismatch' },
  },
  {
    name: 'handshake refuse identity_mismatch with the key that has the ID',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'identity_mismatch', key: new Uint8Array(32).fill(0x11) },
    optional: ['key'],
  },
  { name: 'handshake refuse denied', schema: handshakeMessage, value: { type: 'refuse', code: 'denied' } },
  {
    name: 'handshake refuse version_mismatch',
    schema: handshakeMessage,
    value: { type: 'refuse', code: 'version_mismatch' },
  },
  { name: 'record', schema: nodeRecord, value: { id: 'berlin', key: bytesFrom(0, 32), epoch, turn: true } },
  {
    name: 'neighbor alive',
    schema: neighborMessage,
    value: { type: 'alive', digest: bytesFrom(0, 8), ask: ['ams-1', 'x'] },
  },
  {
    name: 'neighbor members',
    schema: neighborMessage,
    value: {
      type: 'members',
      entries: [
        { ...signed, age: 0 },
        { record: bytesFrom(1, 3), signature: bytesFrom(9, 64), age: 59_999 },
      ],
    },
  },
  {
    name: 'neighbor alive with digests of operators',
    schema: neighborMessage,
    value: { type: 'alive', digest: bytesFrom(0, 8), ask: [], statementDigests: digests },
    optional: ['statementDigests'],
  },
  {
    name: 'neighbor members with statements of operators',
    schema: neighborMessage,
    value: {
      ...{ type: 'members', entries: [], statementDigests: digests },
      statements: [{ statement: bytesFrom(1, 50), signature: bytesFrom(0x40, 64) }],
    },
    optional: ['statementDigests', 'statements'],
  },
  {
    name: 'statement accept',
    schema: statement,
    value: { ...said, kind: 'accept', subject: 'berlin', fingerprint },
  },
  {
    name: 'statement revoke an ID',
    schema: statement,
    value: { ...said, kind: 'revoke', subject: 'berlin' },
  },
  {
    name: 'statement revoke a key',
    schema: statement,
    value: { ...said, kind: 'revoke', subject: fingerprint },
  },
  { name: 'statement forget', schema: statement, value: { ...said, kind: 'forget', subject: 'berlin' } },
  {
    name: 'neighbor flood to one',
    schema: neighborMessage,
    value: {
      type: 'flood',
      from: 'berlin',
      to: 'ams-1',
      ttl: 32,
      body: bytesFrom(0x80, 20),
      signature: bytesFrom(0x10, 64),
      sender: signed,
    },
    optional: ['sender'],
  },
  {
    name: 'neighbor flood to everyone',
    schema: neighborMessage,
    value: {
      type: 'flood',
      from: 'berlin',
      to: '*',
      ttl: 0,
      body: bytesFrom(0, 1),
      signature: bytesFrom(0x10, 64),
    },
  },
  { name: 'body offer', schema: body, value: { kind: 'offer', ...offerOf, ...directed } },
  {
    name: 'body offer in place of another',
    schema: body,
    value: { kind: 'offer', ...offerOf, ...directed, replaces: 'mid0a1-0' },
    optional: ['replaces'],
  },
  {
    name: 'body answer',
    schema: body,
    value: { kind: 'answer', negotiation: 'mid0a1-1', sdp, keys: answered, ...directed },
  },
  {
    name: 'body answer before there is an interface',
    schema: body,
    value: {
      ...{ kind: 'answer', negotiation: 'mid0a1-1', sdp },
      keys: { ...answered, interface: { packetInformation: false, mtu: 1280 } },
      ...directed,
    },
    optional: ['keys.interface'],
  },
  {
    name: 'body candidate',
    schema: body,
    value: { kind: 'candidate', negotiation: 'mid0a1-1', candidates: [candidate, candidate], ...directed },
  },
  {
    name: 'body reject denied',
    schema: body,
    value: { kind: 'reject', negotiation: 'mid0a1-1', reason: 'denied', ...directed },
    optional: ['negotiation'],
  },
  {
    name: 'body reject failed',
    schema: body,
    value: { kind: 'reject', negotiation: 'mid0a1-1', reason: 'failed', detail: 'bad SDP', ...directed },
    optional: ['negotiation', 'detail'],
  },
  {
    name: 'body reject identity',
    schema: body,
    value: {
      ...{ kind: 'reject', negotiation: 'mid0a1-1', reason: 'identity' },
      ...{ key: new Uint8Array(32).fill(0x11), ...directed },
    },
    optional: ['negotiation', 'key'],
  },
  {
    name: 'body reject of a solicit',
    schema: body,
    value: { kind: 'reject', reason: 'denied', ...directed },
  },
  { name: 'body solicit', schema: body, value: { kind: 'solicit', ...directed } },
  {
    name: 'body solicit after a loss',
    schema: body,
    value: { kind: 'solicit', ...directed, detail: 'the peer does not answer' },
    optional: ['detail'],
  },
  {
    name: 'body solicit by all ways',
    schema: body,
    value: { kind: 'solicit', ...directed, wide: true },
    optional: ['wide'],
  },
  {
    name: 'body solicit in place of another',
    schema: body,
    value: { kind: 'solicit', ...directed, replaces: 'mid0a1-0' },
    optional: ['replaces'],
  },
  { name: 'body explain', schema: body, value: { kind: 'explain', number: 7, ...directed } },
  {
    name: 'body explained',
    schema: body,
    value: { kind: 'explained', number: 7, view: linkViewExample, ...directed },
  },
  { name: 'body bye', schema: body, value: { kind: 'bye', ...directed, to: '*', toEpoch: 0 } },
  {
    name: 'wire renewal that asks',
    schema: wireMessage,
    value: { type: 'renew', generation: 1, index: 0x01020304, x25519: bytesFrom(0, 32) },
  },
  {
    name: 'wire renewal that answers',
    schema: wireMessage,
    value: {
      type: 'renew',
      generation: 300,
      index: 0xfffefdfc,
      x25519: bytesFrom(32, 32),
      echo: bytesFrom(0, 32),
    },
    optional: ['echo'],
  },
  {
    name: 'wire hello',
    schema: wireMessage,
    value: { type: 'hello', version: 1, packetInformation: false, mtu: 1500 },
  },
  {
    name: 'wire hello, ready to be said',
    schema: wireMessage,
    value: { type: 'hello', version: 1, packetInformation: false, mtu: 1500, saysReady: true },
    optional: ['saysReady'],
  },
  { name: 'wire ready', schema: wireMessage, value: { type: 'ready' } },
  {
    name: 'wire hello with an offer of the MTU',
    schema: wireMessage,
    value: { type: 'hello', version: 1, packetInformation: false, mtu: 1500, carries: 1280 },
    optional: ['carries'],
  },
  {
    name: 'wire hello of who answers full packets',
    schema: wireMessage,
    value: { type: 'hello', version: 1, packetInformation: false, mtu: 1500, full: true },
    optional: ['full'],
  },
  { name: 'wire full', schema: wireMessage, value: { type: 'full', number: 3 } },
  { name: 'wire mtu', schema: wireMessage, value: { type: 'mtu', bytes: 1440 } },
  { name: 'wire ping', schema: wireMessage, value: { type: 'ping', number: 1 } },
  { name: 'wire pong', schema: wireMessage, value: { type: 'pong', number: 70_000 } },
  { name: 'wire lost', schema: wireMessage, value: { type: 'lost' } },
  { name: 'wire bye', schema: wireMessage, value: { type: 'bye' } },
];
