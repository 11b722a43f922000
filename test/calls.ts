/** An example of every call and notification between the processes; `vectors/messages.json` has their bytes. */
import {
  type Method,
  type Notification,
  type NotificationParams,
  type Params,
  type Result,
  requests,
} from '../protocol/dataplane.ts';
import { answered, bytesFrom, candidate, type Example, epochs, offered, sdp } from './messages.ts';

const linkReport: NotificationParams<'link'> = {
  peer: 'ams-1',
  state: 'up',
  reason: '',
  active: 'mid0a1-1',
  connections: [
    { negotiation: 'mid0a1-1', route: 'shared', open: true },
    { negotiation: 'mid0a1-2', route: 'relay', open: false },
  ],
  path: 'datachannel',
  direct: { state: 'trying', reason: 'no answer' },
  pair: {
    local: { type: 'host', address: '192.0.2.7', port: 2333 },
    remote: { type: 'srflx', address: '2001:db8::7', port: 61_234 },
  },
  interface: {
    name: 'cnams-1',
    index: 12,
    mtu: 1500,
    carrier: true,
    address: 'fe80::1:2:3:4',
    peerAddress: 'fe80::5:6:7:8',
  },
};

const lostLink: NotificationParams<'link'> = {
  peer: 'oslo',
  state: 'lost',
  reason: 'no path',
  active: null,
  connections: [],
  path: null,
  pair: null,
  interface: null,
};

const warnings: NotificationParams<'warnings'>['warnings'] = [
  {
    subject: 'turn:turn.example:3478',
    peer: null,
    message: 'it refuses our credentials (401)',
    since: 1_764_000_000_000,
  },
  {
    subject: 'route',
    peer: 'oslo',
    message: 'the route to 192.0.2.9 goes through cnams-1',
    since: 1_764_000_000_001,
  },
];

const attempt = { peer: 'ams-1', negotiation: 'mid0a1-1' };
const iceServers: Params<'offer'>['iceServers'] = [
  { kind: 'stun', host: 'stun.example', port: 3478 },
  { kind: 'turn', host: '2001:db8::1', port: 443, user: 'u', credential: 'c' },
];

/** A request of every method, and its reply. */
export const calls: { readonly [M in Method]: { readonly params: Params<M>; readonly result: Result<M> } } = {
  hello: {
    params: {
      version: 1,
      config: {
        node: 'berlin',
        interfacePrefix: 'cn',
        autoInterfaceName: false,
        packetInformation: true,
        identity: bytesFrom(0, 32),
        mtu: 1500,
        autoMtu: true,
        udpPort: null,
        fwmark: 0xca6c,
        dscp: 46,
        direct: true,
        workers: 2,
      },
    },
    result: {
      version: 1,
      pid: 4711,
      child: true,
      engine: 'node-datachannel',
      udpPort: 2333,
      portTaken: false,
      links: [linkReport, lostLink],
      warnings,
    },
  },
  offer: {
    params: { ...attempt, identity: bytesFrom(32, 32), route: 'shared', iceServers },
    result: { sdp, keys: offered },
  },
  answer: {
    params: {
      ...attempt,
      identity: bytesFrom(64, 32),
      route: 'relay',
      iceServers: [],
      sdp,
      keys: offered,
      epochs,
    },
    result: { sdp, keys: answered },
  },
  accept: { params: { ...attempt, sdp, keys: answered, epochs }, result: {} },
  close: { params: attempt, result: {} },
  remove: { params: { peer: 'ams-1' }, result: {} },
  adjust: {
    params: {
      peer: 'ams-1',
      settings: { addresses: ['10.20.2.1/32', 'fd20:2::1/128'], interface: 'to-ams' },
    },
    result: {},
  },
  stats: {
    params: {},
    result: {
      links: [
        {
          peer: 'ams-1',
          rtt: 12.345,
          minRtt: 11.5,
          loss: 0.25,
          probes: 100,
          pathMtu: 1500,
          counters: {
            rxPackets: 1,
            rxBytes: 1500,
            txPackets: 300,
            txBytes: 5_000_000_000,
            rxDropped: 0,
            txDropped: 70_000,
          },
          dropped: { replayed: 3, 'not authentic': 300 },
          pair: {
            local: { type: 'host', address: '2001:db8::9', port: 2333 },
            remote: { type: 'prflx', address: '2001:db8::7', port: 61_234 },
          },
        },
        {
          peer: 'oslo',
          rtt: null,
          counters: { rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: 0, rxDropped: 0, txDropped: 0 },
        },
      ],
    },
  },
  ping: {
    params: { peer: 'ams-1' },
    result: {
      rtt: 38.25,
      path: 'direct',
      pair: {
        local: { type: 'host', address: '192.0.2.7', port: 2333 },
        remote: { type: 'srflx', address: '198.51.100.23', port: 61_021 },
      },
    },
  },
  netcheck: {
    params: { servers: [{ host: 'stun.example', port: 3478 }] },
    result: {
      families: [
        {
          ...{ family: 'ipv4', address: '192.0.2.7', interface: 'eth0', mtu: 1500 },
          servers: [
            {
              server: 'stun.example:3478',
              at: { address: '198.51.100.1', port: 3478 },
              mapped: { address: '203.0.113.7', port: 40_001 },
            },
          ],
          ...{ mapping: 'independent', filtering: 'unknown', hairpin: false },
        },
        {
          ...{ family: 'ipv6', address: null, interface: null, mtu: null, servers: [] },
          ...{ mapping: 'unknown', filtering: 'unknown', hairpin: false },
        },
      ],
      unresolved: [{ server: 'nowhere.example:3478', reason: 'its name does not resolve: ENOTFOUND' }],
      candidates: ['host 192.0.2.7:2333', 'srflx 203.0.113.7:61021'],
      udpPort: 2333,
    },
  },
  'log-level': { params: { level: 'debug' }, result: {} },
  shutdown: { params: {}, result: {} },
};

export const notices: { readonly [N in Notification]: NotificationParams<N> } = {
  candidate: { ...attempt, candidate },
  signal: { peer: 'ams-1', frame: bytesFrom(0, 5) },
  carried: { ...attempt, channel: 'data', record: bytesFrom(0, 5) },
  link: linkReport,
  ended: { ...attempt, route: 'shared', reason: 'no path' },
  bye: { peer: 'ams-1' },
  warnings: { warnings },
};

const measurements = [
  'minRtt',
  'loss',
  'probes',
  'pathMtu',
  'pair',
  'dropped',
  'dropped.replayed',
  'dropped.not authentic',
];

/** What there is to say of the fields of some of these, by the names of the vectors. */
export const peculiar: Readonly<Record<string, Pick<Example, 'optional' | 'records'>>> = {
  'request hello': { optional: ['config.dscp'] },
  'request adjust': { optional: ['settings.addresses', 'settings.interface'] },
  'reply hello': { optional: ['links.0.direct', 'warnings'] },
  'reply stats': { optional: measurements.map((name) => `links.0.${name}`), records: ['links.0.dropped'] },
  'notification link': { optional: ['direct'] },
};

/** The error reply to a request that nobody knows. */
export const refusedCall = { method: 'fly', code: 'unknown_method', message: 'no method "fly"' } as const;

export const methods = Object.keys(requests) as Method[];
