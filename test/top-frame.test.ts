/** What `cryoc top` draws. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { frame, wholeFrame } from '../cli/top/frame.ts';
import { type Event, type Key, type Model, opened, step } from '../cli/top/model.ts';
import { cell, fitted, harmless, widthOf } from '../cli/top/width.ts';
import { linkStates, type PeerStatus, type StatusReport } from '../protocol/status.ts';
import { exampleReport, exampleTime } from './status-example.ts';
import { exampleModel } from './top-example.ts';

const [, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const escapeCharacter = '\u001b';
const screen = { columns: 80, rows: 24 };
const wide = { columns: 200, rows: 60 };

const after = (model: Model, ...events: readonly Event[]) => events.reduce(step, model);
const press = (key: Key): Event => ({ type: 'key', key });
const drawn = (model: Model) => `${frame(model, false).join('\n')}\n`;

/** The rows of the example at that size, as a person looked at them. */
function golden(name: string): string {
  return readFileSync(join(import.meta.dirname, 'vectors', `top-${name}.txt`), 'utf8');
}

const lost: Event = {
  type: 'event',
  event: {
    ...{ time: new Date(exampleTime - 64_000).toISOString(), event: 'link.lost' },
    ...{ peer: 'riga', interface: 'cnriga', reason: 'no answer by any path' },
  },
};

const gone: Event = {
  type: 'unreachable',
  at: 59_000 + 12_345,
  reason:
    'no cryonet runs here: the one that made /run/cryonet/control.sock has ended; another one: --runtime-dir',
};

const warned: StatusReport['warnings'] = [
  {
    ...{ subject: 'listen', peer: null, since: exampleTime - 300_000 },
    message: 'port 2333 of [::] is taken: end the other program, or choose another port by --listen',
  },
  { subject: 'identity', peer: 'riga', message: 'another key wants this ID', since: exampleTime },
  { subject: 'reload', peer: null, message: 'needs a restart: mtu', since: exampleTime },
];

function withWarnings(model: Model): Model {
  const report = { ...model.last!.report, warnings: warned };
  return { ...model, last: { ...model.last!, report } };
}

const looks: readonly [name: string, model: () => Model][] = [
  ['80x24', () => exampleModel(screen)],
  ['200x60', () => exampleModel(wide)],
  ['80x24-warnings', () => withWarnings(exampleModel(screen))],
  ['80x24-not-connected', () => after(exampleModel(screen), gone)],
  ['80x24-peer', () => after(exampleModel(screen), lost, press('open'))],
  ['80x24-help', () => after(exampleModel(screen), press('help'))],
];

suite('golden', () => {
  for (const [name, model] of looks) {
    test(`the screen of ${name}`, () => assert.equal(drawn(model()), golden(name)));
  }
});

test('colors change nothing but the color', () => {
  for (const [name, model] of looks) {
    const plain = frame(model(), true).map((row) => stripped(row).trimEnd());
    assert.equal(`${plain.join('\n')}\n`, golden(name));
  }
  assert.ok(frame(exampleModel(screen), true).join('\n').includes(`${escapeCharacter}[31m✗ `));
});

test('all peers are printed at once where nobody is at a keyboard', () => {
  const peers = Array.from({ length: 100 }, (_, i) => ({ ...osaka, id: `host-${i}` }));
  const report = { ...exampleReport, peers };
  const model = after(opened(screen, 1000), { type: 'report', report, at: 0, time: exampleTime });
  const rows = wholeFrame(model, false);
  assert.equal(rows.filter((row) => row.includes(' host-')).length, 100);
  assert.doesNotMatch(rows.join('\n'), /q quit/);
});

test('the selected row is always seen, and where it is is said', () => {
  const peers = Array.from({ length: 100 }, (_, i) => ({ ...osaka, id: `host-${100 + i}` }));
  const report = { ...exampleReport, peers };
  let model = after(opened(screen, 1000), { type: 'report', report, at: 0, time: exampleTime });
  for (let i = 0; i < 100; i++) {
    assert.match(drawn(model), new RegExp(`^▸ ● host-${100 + i} `, 'm'));
    model = after(model, press('down'));
  }
  assert.match(drawn(model), /by trouble, 83 to 100 of 100$/m);
});

test('a terminal that is too small says so, in as many rows as it has', () => {
  for (const size of [
    { columns: 39, rows: 24 },
    { columns: 80, rows: 7 },
    { columns: 1, rows: 1 },
    { columns: 0, rows: 0 },
  ]) {
    const rows = frame(exampleModel(size, 1), true);
    assert.equal(rows.length, size.rows);
    for (const row of rows) assert.ok(widthOf(row) <= size.columns, row);
  }
});

const widths: readonly [text: string, columns: number][] = [
  ['', 0],
  ['osaka', 5],
  ['大阪', 4],
  ['ｵｵｻｶ', 4],
  ['ｏ', 2],
  ['오사카', 6],
  ['é', 1],
  ['e\u0301', 1],
  ['😀', 2],
  ['●▁█…', 4],
];
for (const [text, columns] of widths) {
  test(`${JSON.stringify(text)} takes ${columns} columns`, () => assert.equal(widthOf(text), columns));
}

test('what is cut ends with an ellipsis, and no wide character is cut in two', () => {
  assert.equal(fitted('大阪府', 6), '大阪府');
  assert.equal(fitted('大阪府', 5), '大阪…');
  assert.equal(fitted('大阪府', 4), '大…');
  assert.equal(fitted('osaka', 0), '');
  assert.equal(cell('大阪府', 4), '大… ');
  assert.equal(cell('7', 3, 'right'), '  7');
});

test('what steers terminals becomes question marks, and piles of marks are taken down', () => {
  const evil = '\x1b[2J\x1b]0;x\x07\r\n\t\x9b31m\u202e\u2066\u200d\u2028\ud800\x00';
  assert.doesNotMatch(harmless(evil), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}]/u);
  assert.equal(harmless(`a${'\u0301'.repeat(5000)}b`), `a${'\u0301'.repeat(3)}b`);
  assert.equal(harmless('❤\ufe0f'), '❤');
});

/** Without the colors that `cryoc` itself writes. */
function stripped(row: string): string {
  return row.replaceAll(new RegExp(`${escapeCharacter}\\[[\\d;]*m`, 'g'), '');
}

const nasty = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.constantFrom(
    '\x1b[2J\x1b[H',
    '\x1b]52;c;eA==\x07',
    '\u202eabc',
    '界'.repeat(200),
    `a${'\u0301'.repeat(300)}`,
  ),
  fc.constantFrom(
    '\x1b[?1049l',
    '\n\n\n',
    '\x9b2J',
    '👩‍👩‍👧‍👦'.repeat(30),
    '',
    'no path found',
    ' '.repeat(200),
  ),
);
const count = fc.oneof(fc.nat(2 ** 31), fc.maxSafeNat());
const time = fc.oneof(fc.constant(0), fc.nat(exampleTime), fc.constant(exampleTime * 2));
const length = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true }));
const end = fc.record({
  type: fc.constantFrom('host' as const, 'relay' as const),
  address: nasty,
  port: fc.nat(65_535),
});
const peer: fc.Arbitrary<PeerStatus> = fc.record({
  ...{ id: fc.oneof(nasty, fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)), identity: nasty, reason: nasty },
  ...{ farReason: nasty, state: fc.constantFrom(...linkStates), relayed: fc.boolean() },
  ...{ degraded: fc.boolean(), path: fc.constantFrom(null, 'direct' as const, 'datachannel' as const) },
  ...{ pair: fc.option(fc.record({ local: end, remote: end })), rtt: fc.option(length) },
  ...{ minRtt: fc.option(length), loss: fc.option(fc.double({ min: 0, max: 1, noNaN: true })) },
  interface: fc.option(
    fc.record({
      ...{ name: nasty, index: count, mtu: count, carrier: fc.boolean() },
      ...{ address: nasty, peerAddress: nasty },
    }),
  ),
  counters: fc.option(
    fc.record({
      ...{ rxPackets: count, rxBytes: count, txPackets: count, txBytes: count },
      ...{ rxDropped: count, txDropped: count },
    }),
  ),
  dropped: fc.option(fc.dictionary(nasty, count, { maxKeys: 4 })),
  ...{ since: time, downSince: fc.option(time), offerer: fc.constantFrom('self' as const, 'peer' as const) },
});
const report: fc.Arbitrary<StatusReport> = fc
  .record({
    id: nasty,
    version: nasty,
    connected: fc.boolean(),
    neighbors: fc.array(fc.record({ id: nasty, via: fc.constant<'link'[]>(['link']) }), { maxLength: 30 }),
    peers: fc.uniqueArray(peer, { maxLength: 70, selector: ({ id }) => id }),
    warnings: fc.array(fc.record({ subject: nasty, peer: fc.option(nasty), message: nasty, since: time }), {
      maxLength: 12,
    }),
  })
  .map(({ id, version, connected, ...rest }) => ({
    ...exampleReport,
    ...{ version, node: { ...exampleReport.node, id, identity: id } },
    ...{ dataplane: { ...exampleReport.dataplane, connected }, ...rest },
  }));
const keys: readonly Key[] = [
  ...(['up', 'down', 'pageUp', 'pageDown', 'first', 'last', 'open', 'back', 'order', 'help'] as const),
];
const happening: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ type: fc.constant('report' as const), report, at: fc.nat(100_000), time }),
  fc.record({ type: fc.constant('unreachable' as const), reason: nasty, at: fc.nat(100_000) }),
  fc.record({ type: fc.constant('key' as const), key: fc.constantFrom(...keys) }),
  fc.record({ type: fc.constant('tick' as const), at: fc.nat(100_000) }),
  fc.record({
    type: fc.constant('event' as const),
    event: fc.record({
      ...{ time: fc.constant(new Date(exampleTime).toISOString()), event: fc.constant('link.lost' as const) },
      ...{ peer: fc.option(nasty, { nil: undefined }), reason: nasty, interface: nasty },
    }) as fc.Arbitrary<(Event & { type: 'event' })['event']>,
  }),
);
const sizes = fc.record({
  columns: fc.integer({ min: 80, max: 300 }),
  rows: fc.integer({ min: 24, max: 100 }),
});

test('whatever a node says, at any size and after any keys: as many rows as there are, none too wide', () => {
  fc.assert(
    fc.property(sizes, report, fc.array(happening, { maxLength: 12 }), (size, first, events) => {
      let model = opened(size, 1000);
      const start: Event = { type: 'report', report: first, at: 0, time: exampleTime };
      for (const event of [start, ...events]) {
        model = step(model, event);
        const rows = frame(model, true);
        assert.equal(rows.length, size.rows);
        for (const row of rows) {
          const text = stripped(row);
          assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
          assert.ok(widthOf(text) <= size.columns, text);
          assert.ok(row.length <= size.columns * 20, 'what takes no columns is bounded as well');
        }
        assert.doesNotMatch(rows.join('\n'), /undefined|NaN|Infinity|\[object/);
        assert.deepEqual(
          frame(model, false).map((row) => row.trimEnd()),
          rows.map((row) => stripped(row).trimEnd()),
        );
      }
    }),
    { numRuns: 150 },
  );
});

test('the page of a peer has what both ends say of the link, and what an evil one says is text', () => {
  const view = {
    ...{ state: 'negotiating', reason: 'no\u001b[2J path', path: null, notDirect: '', pair: null },
    ...{ told: ['host 192.0.2.7:2333'], heard: [], turn: false },
  };
  const explained: Event = {
    ...{ type: 'explained', explanation: { peer: 'riga', ours: view, theirs: view } },
  };
  const open = after(exampleModel(wide), press('open'));
  assert.match(
    drawn(after(open, explained)),
    /^why {8}\w.*\n[\s\S]*^there {6}riga says: negotiating: no\?\[2J path *$/m,
  );
  // Another peer's, or one that comes late, is shown nowhere.
  for (const model of [after(open, press('back'), press('down'), press('open')), exampleModel(wide)])
    assert.equal(drawn(after(model, explained)), drawn(model));
  assert.doesNotMatch(drawn(after(open, explained, press('back'), press('open'))), /^why /m);
});

test('a slow round trip keeps its unit', () => {
  const report = { ...exampleReport, peers: [{ ...osaka, rtt: 9999.9 }] };
  const model = after(opened(screen, 1000), { type: 'report', at: 0, time: exampleTime, report });
  assert.match(drawn(model), / 9999\.9ms {3}0% /);
});

test('the state of a link that is down, and why, stand in its row', () => {
  const why = { ...riga, reason: '', farReason: 'the key of this node is another one' };
  const model = after(opened(screen, 1000), {
    ...{ type: 'report', at: 0, time: exampleTime, report: { ...exampleReport, peers: [why] } },
  });
  assert.match(drawn(model), /^▸ ✗ riga .*negotiating 1m4s {4}the peer says: the key of this node is /m);
});
