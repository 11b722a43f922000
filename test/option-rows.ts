/** The options that hold values: what they take, what they mean, what they refuse. */
import { availableParallelism } from 'node:os';
import type { ControlConfig } from '../control/config/config.ts';
import { defaultWorkers } from '../control/config/options.ts';

type Given = readonly [text: string, value: unknown];

export interface Row {
  readonly flag: string;
  readonly field: keyof ControlConfig;
  readonly initial: unknown;
  /** Texts and what they mean, none of them the default. */
  readonly good: readonly [Given, Given, Given];
  readonly bad: readonly string[];
}

const operator = `ed25519:${'A'.repeat(43)}`;
const fingerprint = `SHA256:${'+/'.repeat(21)}A`;

const times = ['10', 'soon', '-1s', '9ms', '0s', '1.5s', '1h2', '10000000000w'];
const turn = { kind: 'turn', host: 't', port: 3478, user: 'u', credential: 'c' };
const globs = [
  ['a*', ['a*']],
  ['a,b?', ['a', 'b?']],
  [' x , y ', ['x', 'y']],
] as const;

export const rows: readonly Row[] = [
  {
    flag: 'listen',
    field: 'listen',
    initial: { host: '127.0.0.1', port: 2333 },
    good: [
      ['[::]:1', { host: '::', port: 1 }],
      [':9', { host: '', port: 9 }],
      ['h:0', { host: 'h', port: 0 }],
    ],
    bad: ['h', 'h:p', 'h:65536', '::1:2', 'a b:1'],
  },
  {
    flag: 'ws-servers',
    field: 'wsServers',
    initial: [],
    good: [
      ['ws://a:1', ['ws://a:1/']],
      ['wss://a/x,ws://b', ['wss://a/x', 'ws://b/']],
      [' ws://c , ', ['ws://c/']],
    ],
    bad: ['http://a', 'a:1', 'ws://', 'ws://a,b', 'ws://a/#b'],
  },
  {
    flag: 'ice-servers',
    field: 'iceServers',
    initial: [],
    good: [
      ['stun:s', [{ kind: 'stun', host: 's', port: 3478 }]],
      ['turn:t?transport=udp|u|c', [turn]],
      [
        'turn:t|u|secret:c|1h,stun:s:1',
        [
          { ...turn, lifetime: 3600 },
          { kind: 'stun', host: 's', port: 1 },
        ],
      ],
    ],
    bad: ['s', 'stun:', 'turn:t', 'turn:t|u', 'stun:s,turn:t|u'],
  },
  {
    flag: 'websocket-path-limit',
    field: 'webSocketPathLimit',
    initial: 10,
    good: [
      ['0', 0],
      ['25', 25],
      ['1000', 1000],
    ],
    bad: ['-1', '1001', '1.5', 'x'],
  },
  {
    flag: 'check-interval',
    field: 'checkInterval',
    initial: 10_000,
    good: [
      ['1s', 1000],
      ['1m30s', 90_000],
      ['10ms', 10],
    ],
    bad: times,
  },
  {
    flag: 'check-timeout',
    field: 'checkTimeout',
    initial: 60_000,
    good: [
      ['1s', 1000],
      ['2m', 120_000],
      ['500ms', 500],
    ],
    bad: times,
  },
  {
    flag: 'send-alive-interval',
    field: 'sendAliveInterval',
    initial: 20_000,
    good: [
      ['1s', 1000],
      ['1h', 3_600_000],
      ['1d', 86_400_000],
    ],
    bad: times,
  },
  {
    flag: 'interface-prefix',
    field: 'interfacePrefix',
    initial: 'cn',
    good: [
      ['a', 'a'],
      ['vpn-', 'vpn-'],
      ['12345678', '12345678'],
    ],
    bad: ['123456789', 'a b', 'ü', 'a/b', 'a.'],
  },
  {
    flag: 'buf-size',
    field: 'bufSize',
    initial: 1504,
    good: [
      ['1284', 1284],
      ['65535', 65_535],
      ['9000', 9000],
    ],
    bad: ['1283', '65536', '1500.5', 'x', '-1', '1e4', '0x600'],
  },
  {
    flag: 'mtu',
    field: 'mtu',
    initial: 1500,
    good: [
      ['1280', 1280],
      ['1400', 1400],
      ['1499', 1499],
    ],
    bad: ['1279', '1501', 'Auto', '1400 ', '0x500'],
  },
  {
    flag: 'udp-port',
    field: 'udpPort',
    initial: null,
    good: [
      ['1', 1],
      ['65535', 65_535],
      ['2333', 2333],
    ],
    bad: ['0', '65536', 'any', '-5', '23 33'],
  },
  ...(['interfaces', 'exclude-interfaces'] as const).map(
    (flag): Row => ({
      flag,
      field: flag === 'interfaces' ? 'interfaces' : 'excludeInterfaces',
      initial: [],
      good: [
        ['eth*', ['eth*']],
        ['eth0,wlan?,', ['eth0', 'wlan?']],
        [' br-1.5 , veth@a:0~ ', ['br-1.5', 'veth@a:0~']],
      ],
      bad: ['a/b', 'a b', 'ü', 'sixteen-letters-', 'eth0,/', Array(65).fill('x').join(',')],
    }),
  ),
  {
    flag: 'addresses',
    field: 'addresses',
    initial: [],
    good: [
      ['10.20.2.1/32', ['10.20.2.1/32']],
      ['192.0.2.1/24, FD20:2:0:0::1/128,', ['192.0.2.1/24', 'fd20:2::1/128']],
      ['fe80::1/64,2001:db8::192.0.2.1/64', ['fe80::1/64', '2001:db8::c000:201/64']],
    ],
    bad: [
      ...['10.20.2.1', 'fd20::1', '10.20.2.1/33', 'fd20::1/129', '10.20.2.1/-1', '10.2.1/8', '10.20.2.256/8'],
      ...[
        'host/24',
        '10.20.2.1/32%eth0',
        'fe80::1%eth0/64',
        '127.0.0.1/8',
        '0.0.0.0/0',
        '224.0.0.1/4',
        '::/0',
      ],
      ...['::1/128', 'ff02::1/128', '::ffff:192.0.2.1/96', '10.20.2.01/32', '1.1.1.1/024x'],
      Array.from({ length: 65 }, (_, i) => `10.0.0.${i}/32`).join(),
    ],
  },
  {
    flag: 'fwmark',
    field: 'fwmark',
    initial: 0,
    good: [
      ['51820', 51_820],
      ['0xca6c', 0xca6c],
      ['0XFFFFFFFF', 4_294_967_295],
    ],
    bad: ['4294967296', '0x100000000', '0x', 'ca6c', '-1', '1.5', '1e3', '0x1/0xff', '0b1'],
  },
  {
    flag: 'dscp',
    field: 'dscp',
    initial: 0,
    good: [
      ['copy', 'copy'],
      ['63', 63],
      ['46', 46],
    ],
    bad: ['64', '-1', 'ef', '0x2e', '1.5'],
  },
  {
    flag: 'workers',
    field: 'workers',
    initial: defaultWorkers(availableParallelism()),
    good: [
      ['16', 16],
      ['5', 5],
      ['12', 12],
    ],
    bad: ['0', '17', '-1', '2.5', 'all', '0x2'],
  },
  {
    flag: 'segmentation',
    field: 'segmentation',
    initial: true,
    good: [
      ['off', false],
      ['auto', true],
      ['off', false],
    ],
    bad: ['on', 'no', 'false', '0', 'OFF'],
  },
  {
    flag: 'allow',
    field: 'allow',
    initial: [],
    good: globs,
    bad: ['a b', 'ü', 'a.b', `a,${'x'.repeat(65)}`],
  },
  {
    flag: 'operators',
    field: 'operators',
    initial: [],
    good: [
      [operator, ['00'.repeat(32)]],
      [`${operator}, ed25519:${'_'.repeat(42)}8`, ['00'.repeat(32), 'ff'.repeat(32)]],
      ['', []],
    ],
    bad: [
      ...['x', 'A'.repeat(43), `${operator}=`, operator.slice(0, -1), `${operator.slice(0, -1)}B`],
      new Array(9).fill(operator).join(),
    ],
  },
  {
    flag: 'peer',
    field: 'peers',
    initial: new Map(),
    good: [
      [`a=${'A'.repeat(43)}`, new Map([['a', '00'.repeat(32)]])],
      [`_=${'_'.repeat(42)}8`, new Map([['_', 'ff'.repeat(32)]])],
      [
        `a=${'A'.repeat(43)}=, b-1=${fingerprint}`,
        new Map([
          ['a', '00'.repeat(32)],
          ['b-1', fingerprint],
        ]),
      ],
    ],
    bad: [
      ...[`a=${fingerprint}A`, `a=${fingerprint.slice(0, -1)}`, `a=SHA256:${'-'.repeat(42)}A`],
      // No digest ends with these bits.
      `a=SHA256:${'A'.repeat(42)}B`,
      `a=${fingerprint},a=${'A'.repeat(43)}`,
      ...['a', 'a=', 'a=short', `=${'A'.repeat(43)}`, `a b=${'A'.repeat(43)}`, `a=${'A'.repeat(42)}+`],
      // Two keys for one ID, two IDs for one key.
      `a=${'A'.repeat(43)},a=${'_'.repeat(42)}8`,
      `a=${'A'.repeat(43)},b=${'A'.repeat(43)}`,
    ],
  },
  { flag: 'deny', field: 'deny', initial: [], good: globs, bad: ['a b', 'ü', 'a/b'] },
  {
    flag: 'webrtc',
    field: 'webrtc',
    initial: 'node-datachannel',
    good: [
      ['werift', 'werift'],
      ['werift', 'werift'],
      ['werift', 'werift'],
    ],
    bad: ['libwebrtc', 'Werift'],
  },
  {
    flag: 'dataplane-socket',
    field: 'dataplaneSocket',
    initial: null,
    good: [
      ['/a', '/a'],
      ['b', 'b'],
      ['/c d', '/c d'],
    ],
    bad: [],
  },
  {
    flag: 'state-dir',
    field: 'stateDirectory',
    initial: '/var/lib/cryonet',
    good: [
      ['/a', '/a'],
      ['b', 'b'],
      ['/c d', '/c d'],
    ],
    bad: [],
  },
  {
    flag: 'runtime-dir',
    field: 'runtimeDirectory',
    initial: '/run/cryonet',
    good: [
      ['/a', '/a'],
      ['b', 'b'],
      ['/c d', '/c d'],
    ],
    bad: [],
  },
  {
    flag: 'metrics-listen',
    field: 'metricsListen',
    initial: null,
    good: [
      [':9342', { host: '', port: 9342 }],
      ['[::1]:9342', { host: '::1', port: 9342 }],
      ['localhost:0', { host: 'localhost', port: 0 }],
    ],
    bad: ['9342x', 'localhost', 'a:65536'],
  },
  {
    flag: 'log-level',
    field: 'logLevel',
    initial: 'info',
    good: [
      ['debug', 'debug'],
      ['warn', 'warn'],
      ['error', 'error'],
    ],
    bad: ['loud', 'INFO'],
  },
  {
    flag: 'log-format',
    field: 'logFormat',
    initial: 'auto',
    good: [
      ['text', 'text'],
      ['json', 'json'],
      ['text', 'text'],
    ],
    bad: ['xml'],
  },
];

/** `on`: what the field is when the switch is given. */
export const switches: readonly { flag: string; field: keyof ControlConfig; on: boolean }[] = [
  { flag: 'auto-interface-name', field: 'autoInterfaceName', on: true },
  { flag: 'enable-packet-information', field: 'packetInformation', on: true },
  { flag: 'no-direct', field: 'direct', on: false },
  { flag: 'service', field: 'service', on: true },
];
