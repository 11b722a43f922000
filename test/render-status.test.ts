import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { printableJson } from '../cli/printable.ts';
import { renderPeer } from '../cli/render-peer.ts';
import { renderStatus } from '../cli/render-status.ts';
import { shortened, terminalOf, wrap } from '../cli/terminal.ts';
import { check } from '../protocol/schema.ts';
import { linkStates, type PeerStatus, type StatusReport, statusReport } from '../protocol/status.ts';
import { plain } from './status-example.ts';

const escapeCharacter = '\u001b';
const now = 1_764_000_600_000;

function peerOf(id: string, rest: Partial<PeerStatus> = {}): PeerStatus {
  return {
    id,
    identity: 'key',
    state: 'idle',
    reason: '',
    path: null,
    relayed: false,
    pair: null,
    rtt: null,
    interface: null,
    counters: null,
    since: 0,
    offerer: 'self',
    ...rest,
  };
}

const up = peerOf('ams-1', {
  state: 'up',
  path: 'datachannel',
  pair: {
    local: { type: 'host', address: '192.0.2.7', port: 2333 },
    remote: { type: 'srflx', address: '2001:db8::7', port: 61_234 },
  },
  rtt: 12.34,
  interface: {
    name: 'cnams-1',
    index: 12,
    mtu: 1500,
    carrier: true,
    address: 'fe80::1:2:3:4',
    peerAddress: 'fe80::5:6:7:8',
  },
  counters: { rxPackets: 1, rxBytes: 1536, txPackets: 3, txBytes: 5_000_000_000, rxDropped: 0, txDropped: 0 },
  since: now - 61_000,
});

function reportOf(peers: readonly PeerStatus[]): StatusReport {
  return {
    version: '0.1.0',
    node: { id: 'berlin', identity: 'KEY', listen: '127.0.0.1:2333', pid: 7, uptime: 90_061 },
    dataplane: { connected: true, pid: 8, udpPort: 2333, engine: 'node-datachannel' },
    bootstrap: [
      { url: 'ws://a/', state: 'connected', id: 'ams-1', error: null },
      { url: 'ws://b/', state: 'waiting', id: null, error: 'connect ECONNREFUSED' },
    ],
    neighbors: [
      { id: 'ams-1', via: ['link', 'websocket'] },
      { id: 'oslo', via: ['link'] },
    ],
    peers: [...peers],
  };
}

test('golden: the whole status of a node', () => {
  const lost = peerOf('oslo', {
    state: 'lost',
    reason: 'no path',
    since: now - 5000,
    interface: { ...up.interface!, name: 'cnoslo', carrier: false, peerAddress: 'fe80::9' },
  });
  const relayed = peerOf('rome', {
    ...up,
    id: 'rome',
    relayed: true,
    rtt: 0.04,
    counters: { ...up.counters!, rxBytes: 0, txBytes: 1023 },
  });
  assert.equal(
    renderStatus(reportOf([up, lost, relayed, peerOf('x')]), plain, now),
    `node       berlin  (KEY)
version    0.1.0, up 1d1h
listen     127.0.0.1:2333
dataplane  node-datachannel, UDP port 2333, pid 8
bootstrap  ws://a/  connected (ams-1)
bootstrap  ws://b/  waiting: connect ECONNREFUSED
neighbors  ams-1 oslo
peers      2 of 4 up

PEER   STATE              PATH                  RTT     LOSS  MTU   INTERFACE            ADDRESS        PAIR                                             RX      TX
ams-1  up 1m1s            datachannel           12.3ms  -     1500  cnams-1              fe80::5:6:7:8  host 192.0.2.7:2333 ↔ srflx [2001:db8::7]:61234  1.5KiB  4.7GiB
oslo   lost 5s (no path)  -                     -       -     1500  cnoslo (no carrier)  fe80::9        -                                                -       -
rome   up 1m1s            datachannel, relayed  0.0ms   -     1500  cnams-1              fe80::5:6:7:8  host 192.0.2.7:2333 ↔ srflx [2001:db8::7]:61234  0B      1023B
x      idle               -                     -       -     -     -                    -              -                                                -       -
`,
  );
});

const paths: readonly [what: string, peer: Partial<PeerStatus>, cell: string][] = [
  ['a link on the direct path', { path: 'direct', direct: { state: 'up', reason: '' } }, 'direct'],
  [
    'one that tries it still',
    { path: 'datachannel', direct: { state: 'trying', reason: '' } },
    'datachannel',
  ],
  [
    'one that cannot use it',
    { path: 'datachannel', direct: { state: 'off', reason: 'no answer' } },
    'datachannel (no answer)',
  ],
  [
    'a relayed one, which is not meant to',
    { path: 'datachannel', relayed: true, direct: { state: 'off', reason: 'relayed' } },
    'datachannel, relayed',
  ],
  ['one of which nothing is known', { path: 'datachannel', direct: null }, 'datachannel'],
  ['one without a path', { path: null, direct: { state: 'trying', reason: 'no answer' } }, '-'],
];

for (const [what, peer, cell] of paths) {
  test(`the path of a link: ${what}`, () => {
    const [header, line] = renderStatus(reportOf([peerOf('a', peer)]), plain, now)
      .split('\n')
      .slice(-3, -1);
    assert.equal(line!.slice(header!.indexOf('PATH'), header!.indexOf('RTT')).trim(), cell);
  });
}

test('an interface without its link-local address reaches none, and none is shown', () => {
  const bare = peerOf('ams-1', { ...up, interface: { ...up.interface!, address: '' } });
  const shown = renderStatus(reportOf([bare]), plain, now);
  assert.match(shown, /cnams-1 {2,}- /);
  assert.doesNotMatch(shown, /fe80/);
});

test('a node alone, without a dataplane', () => {
  const report = {
    ...reportOf([]),
    dataplane: { connected: false, pid: null, udpPort: null, engine: null },
    bootstrap: [],
    neighbors: [],
  };
  assert.equal(
    renderStatus(report, plain, now),
    `node       berlin  (KEY)
version    0.1.0, up 1d1h
listen     127.0.0.1:2333
dataplane  not connected
neighbors  none
peers      0 of 0 up
`,
  );
});

const sizes: readonly [bytes: number, text: string][] = [
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0KiB'],
  [1536, '1.5KiB'],
  [1_048_576, '1.0MiB'],
  [1_073_741_824, '1.0GiB'],
  [1_099_511_627_776, '1.0TiB'],
  [5_000_000_000_000_000, '4547.5TiB'],
];

for (const [bytes, text] of sizes) {
  test(`${bytes} bytes are written ${text}`, () => {
    const counters = { ...up.counters!, rxBytes: bytes };
    const line = renderStatus(reportOf([peerOf('a', { counters })]), plain, now)
      .trimEnd()
      .split('\n')
      .at(-1)!;
    assert.equal(line.split(/\s+/).at(-2), text);
  });
}

test('lines are colored on a terminal alone, and not where NO_COLOR asks for none', () => {
  const colors = (stream: { isTTY?: boolean }, env: Record<string, string>) =>
    renderStatus(
      reportOf([up, peerOf('b', { state: 'denied' }), peerOf('c')]),
      terminalOf(stream, env),
      now,
    ).match(new RegExp(`${escapeCharacter}\\[3\\dm`, 'g'));
  assert.deepEqual(
    colors({ isTTY: true }, {}),
    [32, 31, 33].map((color) => `${escapeCharacter}[${color}m`),
  );
  assert.equal(colors({}, {}), null);
  assert.equal(colors({ isTTY: true }, { NO_COLOR: '1' }), null);
});

test('any report that has the shape is written: one line for each peer, every column aligned', () => {
  const text = fc.stringMatching(/^[a-z0-9:.-]{1,20}$/);
  const end = fc.record({
    type: fc.constantFrom('host', 'srflx', 'prflx', 'relay'),
    address: text,
    port: fc.nat(65_535),
  });
  const count = fc.nat(2 ** 31 - 1);
  const peer = fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    identity: text,
    state: fc.constantFrom(...linkStates),
    reason: fc.constantFrom('', 'noPath'),
    path: fc.constantFrom(null, 'direct', 'datachannel'),
    direct: fc.option(
      fc.record({
        state: fc.constantFrom('up', 'trying', 'off'),
        reason: fc.constantFrom('', 'noAnswer'),
      }),
    ),
    relayed: fc.boolean(),
    pair: fc.option(fc.record({ local: end, remote: end })),
    rtt: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    minRtt: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    loss: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    pathMtu: fc.option(fc.nat(65_535)),
    dropped: fc.option(fc.dictionary(text, count)),
    interface: fc.option(
      fc.record({
        name: text,
        index: fc.nat(),
        mtu: fc.nat(),
        carrier: fc.boolean(),
        address: text,
        peerAddress: text,
      }),
    ),
    counters: fc.option(
      fc.record({
        rxPackets: count,
        rxBytes: count,
        txPackets: count,
        txBytes: count,
        rxDropped: count,
        txDropped: count,
      }),
    ),
    since: fc.nat(),
    offerer: fc.constantFrom('self', 'peer'),
  });
  fc.assert(
    fc.property(fc.array(peer, { maxLength: 5 }), (peers) => {
      const report = check(statusReport, { ...reportOf([]), peers });
      const lines = renderStatus(report, plain, now).split('\n');
      assert.equal(lines.at(-1), '');
      const table = lines.slice(peers.length === 0 ? lines.length : -(peers.length + 2), -1);
      assert.equal(table.length, peers.length === 0 ? 0 : peers.length + 1);
      const column = table[0]?.indexOf('RTT');
      for (const line of table) assert.equal(line[column! - 1], ' ');
      assert.doesNotMatch(lines.join('\n'), /undefined|NaN|\[object/);
      for (const width of [40, 80, 120]) {
        const narrow = renderStatus(report, { color: false, width }, now);
        assert.doesNotMatch(narrow, /undefined|NaN|\[object/);
        const tooLong = narrow.split('\n').filter((line) => line.length > width);
        // At 80 columns everything fits, unless two long IDs can hardly be told apart.
        if (width >= 80) assert.deepEqual(tooLong, []);
      }
      for (const peer of peers) renderPeer(peer, report, { color: false, width: 80 }, now);
    }),
    { numRuns: 300 },
  );
});

suite('at 80 columns', () => {
  const narrow = { color: false, width: 80 };
  const linesOf = (peers: readonly PeerStatus[], terminal = narrow) =>
    renderStatus(reportOf(peers), terminal, now).trimEnd().split('\n');

  test('golden: what does not fit the table stands below its line', () => {
    const riga = peerOf('riga', {
      state: 'negotiating',
      reason: 'the peer could not answer: no permission to make TUN devices: needs root or CAP_NET_ADMIN',
      since: now - 1000,
      downSince: now - 600_000,
    });
    const slow = peerOf('rome', {
      ...up,
      id: 'rome',
      loss: 0.25,
      direct: { state: 'off', reason: 'no answer' },
      interface: { ...up.interface!, mtu: 1280 },
    });
    const thin = peerOf('tyre', { ...slow, id: 'tyre', loss: null, path: 'direct' });
    assert.deepEqual(linesOf([riga, slow, thin]).slice(-8), [
      'PEER  STATE              PATH         RTT     LOSS  RX      TX',
      'riga  negotiating 10m0s  -            -       -     -       -',
      '  the peer could not answer: no permission to make TUN devices: needs root or',
      '  CAP_NET_ADMIN',
      'rome  up 1m1s            datachannel  12.3ms  25%   1.5KiB  4.7GiB',
      '  not direct: no answer',
      'tyre  up 1m1s            direct       12.3ms  -     1.5KiB  4.7GiB',
      '  MTU 1280',
    ]);
  });

  test('nothing is wider, whatever the longest values are', () => {
    const peers = ['x'.repeat(64), 'ams-1', `${'y'.repeat(30)}-1-${'y'.repeat(31)}`].map((id) =>
      peerOf(id, {
        ...up,
        id,
        state: 'negotiating',
        reason: 'r'.repeat(300),
        since: now - 3_599_000,
        rtt: 59_999.9,
        loss: 1,
        counters: { ...up.counters!, rxBytes: 1_098_437_885_951, txBytes: 1_098_437_885_951 },
      }),
    );
    const report: StatusReport = {
      ...reportOf(peers),
      bootstrap: [{ url: `ws://${'u'.repeat(200)}/`, state: 'waiting', id: null, error: 'e '.repeat(100) }],
      warnings: [{ subject: 'listen', peer: null, message: 'm '.repeat(100), since: 0 }],
    };
    const shown = [renderStatus(report, narrow, now), renderPeer(peers[0]!, report, narrow, now)];
    for (const line of shown.join('\n').split('\n')) assert.ok(line.length <= 80, line);
  });

  test('where the whole table fits it is printed, and where nobody looks it is never cut', () => {
    const wide = renderStatus(reportOf([up]), plain, now);
    const width = Math.max(...wide.split('\n').map(({ length }) => length));
    assert.equal(renderStatus(reportOf([up]), { color: false, width }, now), wide);
    assert.notEqual(renderStatus(reportOf([up]), { color: false, width: width - 1 }, now), wide);
  });
});

test('the width is COLUMNS, else that of the terminal, else none at all', () => {
  const width = (stream: { isTTY?: boolean; columns?: number }, COLUMNS?: string) =>
    terminalOf(stream, { COLUMNS }).width;
  assert.equal(width({ isTTY: true, columns: 132 }), 132);
  assert.equal(width({ isTTY: true, columns: 132 }, '100'), 100);
  assert.equal(width({}, '100'), 100);
  assert.equal(width({}), Number.POSITIVE_INFINITY);
  assert.equal(width({ isTTY: true, columns: 0 }), Number.POSITIVE_INFINITY, 'a terminal that does not know');
  for (const nonsense of ['', 'wide', '-3', '1e3', '0']) {
    assert.equal(width({ isTTY: true, columns: 90 }, nonsense), 90, nonsense);
  }
  assert.equal(width({ isTTY: true, columns: 3 }), 40);
});

test('IDs that are cut are never ambiguous, and as short as there is room for', () => {
  assert.deepEqual(shortened(['short', 'a-very-long-name'], 9), ['short', 'a-ve…name']);
  const id = fc.stringMatching(/^[ab-]{1,64}$/);
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 8 }), fc.integer({ min: 3, max: 40 }), (ids, room) => {
      const cut = shortened(ids, room);
      assert.equal(new Set(cut).size, ids.length);
      for (const [i, text] of cut.entries()) {
        if (ids[i]!.length <= room) assert.equal(text, ids[i]);
        const [head, tail] = text.split('…');
        assert.ok(ids[i]!.startsWith(head!) && ids[i]!.endsWith(tail ?? ''));
      }
    }),
  );
});

test('words are wrapped, and cut only where one alone is too long', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 3, max: 40 }), (text, width) => {
      const lines = wrap(text, width);
      for (const line of lines) assert.ok(line.length <= width);
      assert.equal(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''));
    }),
  );
});

test('nothing that a peer or a server wrote steers the terminal', () => {
  const evil = `\u001b[2J\u009b31m\u0007\r\n\u202e\u2028\u200d\ud800evil`;
  const peer = peerOf('ams-1', {
    ...up,
    id: `a${evil}`,
    ...{ reason: evil, farReason: evil },
    identity: evil,
    fingerprint: evil,
    direct: { state: 'off', reason: evil },
    dropped: { [evil]: 1 },
    interface: { ...up.interface!, name: evil, address: evil, peerAddress: evil },
    pair: { local: { ...up.pair!.local, address: evil }, remote: { ...up.pair!.remote, address: evil } },
  });
  const report: StatusReport = {
    ...reportOf([peer]),
    version: evil,
    node: { id: evil, identity: evil, fingerprint: evil, listen: evil, pid: 1, uptime: 1 },
    dataplane: { connected: true, pid: 8, udpPort: 2333, engine: evil },
    bootstrap: [{ url: evil, state: 'waiting', id: evil, error: evil }],
    neighbors: [{ id: evil, via: ['link'] }],
    warnings: [
      { subject: evil, peer: null, message: evil, since: 0 },
      { subject: evil, peer: peer.id, message: evil, since: 0 },
    ],
  };
  const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
  for (const width of [40, 80, Number.POSITIVE_INFINITY]) {
    const shown = [
      renderStatus(report, { color: false, width }, now),
      renderPeer(peer, report, { color: false, width }, now),
    ];
    for (const text of shown) {
      assert.match(text, /evil/);
      for (const line of text.split('\n')) assert.doesNotMatch(line, steering);
    }
    assert.ok(shown[0]!.split('\n').length < 80);
  }
  const json = printableJson(report);
  assert.deepEqual(JSON.parse(json), report);
  assert.doesNotMatch(json.replaceAll('\n', ''), steering);
});
