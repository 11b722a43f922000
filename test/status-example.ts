/** The status of which README shows what `cryoc` prints. */
import type { Terminal } from '../cli/terminal.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';

/** No terminal. */
export const plain: Terminal = { color: false, width: Number.POSITIVE_INFINITY };

export const exampleTime = 1_795_982_400_000;

const seconds = (count: number) => exampleTime - count * 1000;

const measured = {
  ...{ minRtt: 201.1, loss: 0, pathMtu: null, dropped: {} },
  reason: '',
} as const;

const lima: PeerStatus = {
  ...measured,
  id: 'lima',
  identity: 'EJOOBgYvzVxqyGC3Jj3iGTUFvl0HLSjXSWHzUOtdo0k',
  fingerprint: 'SHA256:jO3/gHLYiVRPha8o3dyckT4alopOZYBufLKWjYrB1Hc',
  state: 'up',
  path: 'datachannel',
  direct: { state: 'off', reason: 'relayed' },
  relayed: true,
  pair: {
    local: { type: 'host', address: '192.0.2.10', port: 40_112 },
    remote: { type: 'relay', address: '203.0.113.80', port: 49_170 },
  },
  rtt: 201.4,
  interface: {
    ...{ name: 'cnlima', index: 7, mtu: 1280, carrier: true },
    ...{ address: 'fe80::b1ae:9d63:a2d9:fc05', peerAddress: 'fe80::5ccc:711a:7c5d:101b' },
  },
  counters: {
    ...{ rxPackets: 611, rxBytes: 73_420, txPackets: 590, txBytes: 66_048 },
    ...{ rxDropped: 0, txDropped: 0 },
  },
  since: seconds(305),
  downSince: null,
  offerer: 'self',
};

const osaka: PeerStatus = {
  ...measured,
  id: 'osaka',
  identity: '7tY5hgqrMC2CXBxt1a-q-eO3sFdkBsZ0ldaN94X0WWM',
  fingerprint: 'SHA256:JlcbrLs3V3ssQEIt6e5rwmCLEKGLmqcTS9LnAQycakQ',
  state: 'up',
  path: 'direct',
  direct: { state: 'up', reason: '' },
  relayed: false,
  pair: {
    local: { type: 'host', address: '192.0.2.10', port: 2333 },
    remote: { type: 'srflx', address: '198.51.100.23', port: 61_021 },
  },
  rtt: 238.9,
  minRtt: 231,
  pathMtu: 1492,
  dropped: { replayed: 3 },
  interface: {
    ...{ name: 'cnosaka', index: 8, mtu: 1432, carrier: true },
    ...{ address: 'fe80::f0c5:4d2a:8aa1:6b11', peerAddress: 'fe80::c95d:637b:76cc:48fb' },
  },
  counters: {
    ...{ rxPackets: 40_233, rxBytes: 48_024_781, txPackets: 21_417, txBytes: 1_887_436 },
    ...{ rxDropped: 0, txDropped: 0 },
  },
  since: seconds(7410),
  downSince: null,
  offerer: 'peer',
};

const riga: PeerStatus = {
  ...measured,
  id: 'riga',
  identity: 'vL1sQe1m0H3Yx0W8p9m1pA2mK6W0bC2Jr7M3f4iG5hE',
  fingerprint: 'SHA256:ewtqilQIX0SY53Pb18nhrtVn+uaDyR8yypFnZA/hRbU',
  state: 'negotiating',
  reason: 'the peer does not answer',
  path: null,
  direct: { state: 'off', reason: '' },
  relayed: false,
  pair: null,
  rtt: null,
  minRtt: null,
  loss: null,
  interface: {
    ...{ name: 'cnriga', index: 9, mtu: 1280, carrier: false },
    ...{ address: 'fe80::42b4:2d0b:9c77:a310', peerAddress: 'fe80::2821:b995:3d73:793c' },
  },
  counters: {
    ...{ rxPackets: 1033, rxBytes: 1_153_433, txPackets: 987, txBytes: 800_051 },
    ...{ rxDropped: 0, txDropped: 0 },
  },
  since: seconds(3),
  downSince: seconds(64),
  offerer: 'self',
};

export const exampleReport: StatusReport = {
  version: '0.1.0',
  node: {
    id: 'berlin',
    identity: 'p1JXrNVHDWrd3YXVxyzL0W4RP3Cn4jVMrp6uQVtbf2k',
    fingerprint: 'SHA256:owzN8OPh4GFYNJMVeMB3hckB5Ex5pRk8eP1OZBCeLes',
    listen: '[::]:2333',
    pid: 4116,
    uptime: 7532,
  },
  dataplane: { connected: true, pid: 4117, udpPort: 2333, engine: 'node-datachannel' },
  bootstrap: [],
  neighbors: [
    { id: 'lima', via: ['link', 'websocket'] },
    { id: 'osaka', via: ['link'] },
  ],
  peers: [lima, osaka, riga],
  warnings: [],
};
