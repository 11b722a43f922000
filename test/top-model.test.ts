/** What `cryoc top` makes of what happens. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { keyOf } from '../cli/top/keys.ts';
import {
  type Event,
  type Key,
  type Model,
  nextLook,
  opened,
  rowsOf,
  selectedRow,
  step,
} from '../cli/top/model.ts';
import { nextOrder, orders } from '../cli/top/order.ts';
import { sparkline } from '../cli/top/sparkline.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { exampleReport, exampleTime } from './status-example.ts';

const [lima, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const size = { columns: 80, rows: 24 };

function peerOf(id: string, rest: Partial<PeerStatus> = {}): PeerStatus {
  return { ...osaka, id, ...rest };
}

/** So many bytes were received. */
function counted(id: string, rxBytes: number, rest: Partial<PeerStatus> = {}): PeerStatus {
  return peerOf(id, { ...rest, counters: { ...osaka.counters!, rxBytes, txBytes: 0 } });
}

function seen(at: number, ...peers: readonly PeerStatus[]): Event {
  const report: StatusReport = { ...exampleReport, peers: [...peers] };
  return { type: 'report', report, at, time: exampleTime + at };
}

function after(events: readonly Event[], model = opened(size, 1000)): Model {
  return events.reduce(step, model);
}

const pressed = (...keys: readonly Key[]): Event[] => keys.map((key) => ({ type: 'key', key }));
const names = (model: Model) => rowsOf(model).map(({ id }) => id);
const selectedOf = (model: Model) => names(model)[selectedRow(model, rowsOf(model))];

suite('the order of the table', () => {
  const busy = (turn: number) => [
    counted('c-idle', 5),
    counted('b-little', turn * 100_000),
    counted('a-much', turn * 9_000_000),
    counted('relayed', 5, { relayed: true, path: 'datachannel' }),
    counted('slow', 5, { degraded: true }),
    { ...riga, id: 'lost' },
    { ...riga, id: 'not-meant', state: 'denied' as const },
    { ...riga, id: 'another-key', state: 'refused' as const },
  ];

  test('down and wanted first, then degraded, relayed, by traffic; what is denied last', () => {
    assert.deepEqual(names(after([seen(0, ...busy(0)), seen(1000, ...busy(1))])), [
      ...['another-key', 'lost', 'slow', 'relayed', 'a-much', 'b-little', 'c-idle', 'not-meant'],
    ]);
  });

  test('a key chooses the next order, and the last is followed by the first', () => {
    const model = after([seen(0, ...busy(0)), seen(1000, ...busy(1)), ...pressed('order')]);
    assert.deepEqual(names(model).slice(0, 2), ['a-much', 'b-little']);
    assert.deepEqual(names(after(pressed('order', 'order'), model)), names(model).toSorted());
    assert.equal(orders.reduce(nextOrder, 'trouble'), 'trouble');
  });

  test('a link that is degraded and relayed is degraded; one that is down has no other trouble', () => {
    const model = after([
      seen(0, peerOf('a', { relayed: true }), peerOf('b', { relayed: true, degraded: true })),
    ]);
    assert.deepEqual(names(model), ['b', 'a']);
  });

  test('rates that differ a little do not make rows change places', () => {
    const at = (turn: number, one: number, other: number) =>
      seen(turn * 1000, counted('one', one), counted('other', other));
    const model = after([at(0, 0, 0), at(1, 1_000_000, 1_001_000)]);
    assert.deepEqual(names(model), ['one', 'other']);
    assert.deepEqual(names(after([at(2, 2_001_000, 2_001_000)], model)), ['one', 'other']);
  });
});

suite('rates and round trips', () => {
  const trackOf = (...events: readonly Event[]) => after(events).tracks.get('a')!;

  test('a rate is what two reports differ by, for the time between them', () => {
    assert.deepEqual(trackOf(seen(0, counted('a', 1000))).rx, null);
    assert.equal(trackOf(seen(0, counted('a', 1000)), seen(2000, counted('a', 5000))).rx, 2000);
  });

  test('a counter that begins again has no rate until the next report, and never one below zero', () => {
    const restarted = [seen(0, counted('a', 9000)), seen(1000, counted('a', 10))];
    assert.equal(trackOf(...restarted).rx, null);
    assert.equal(trackOf(...restarted, seen(2000, counted('a', 510))).rx, 500);
  });

  test('a report of the same interval takes the place of the last one, and rates stay', () => {
    const track = trackOf(
      seen(0, counted('a', 0, { rtt: 5 })),
      seen(1000, counted('a', 700, { rtt: 6 })),
      seen(1100, counted('a', 800, { rtt: 7 })),
    );
    assert.deepEqual([track.rx, track.samples], [700, [5, 7]]);
  });

  test('an interval without a report is a gap', () => {
    const track = trackOf(seen(0, peerOf('a', { rtt: 5 })), seen(3500, peerOf('a', { rtt: 6 })));
    assert.deepEqual(track.samples, [5, null, null, 6]);
  });

  test('looks that are late by less than half an interval leave no gap', () => {
    let model = opened(size, 1000);
    let at = 777;
    for (let turn = 0; turn < 60; turn++) {
      model = after([seen(at, peerOf('a'))], model);
      at = nextLook(at, 1000) + (turn % 2) * 499;
    }
    assert.deepEqual(new Set(model.tracks.get('a')!.samples), new Set([osaka.rtt]));
    assert.equal(model.tracks.get('a')!.samples.length, 60);
  });

  test('sixty are kept, however long the gap, and none of a peer that is gone', () => {
    const long = after([seen(0, peerOf('a')), seen(1e9, peerOf('a')), seen(2e9, peerOf('a'))]);
    assert.equal(long.tracks.get('a')!.samples.length, 60);
    assert.equal(after([seen(3e9, peerOf('b'))], long).tracks.has('a'), false);
  });

  const lines: readonly [samples: (number | null)[], width: number, line: string][] = [
    [[], 3, '   '],
    [[null, null], 3, ' ··'],
    [[5, 5, 5], 3, '▁▁▁'],
    [[10, 15, 20], 3, '▁▅█'],
    [[10, 12, 410], 3, '▁▁█'],
    [[0.2, 0.3, 0.25], 4, ' ▁▁▁'],
    [[0, 0.99, 1, 5], 2, '▁█'],
    [[1, null, 3], 3, '▁·█'],
  ];
  for (const [samples, width, line] of lines) {
    test(`round trips of ${samples.join(', ') || 'nobody'} ms are drawn as ${JSON.stringify(line)}`, () => {
      assert.equal(sparkline(samples, width), line);
    });
  }
});

suite('keys', () => {
  const three = after([seen(0, lima, osaka, riga)]);

  test('the selection follows its peer, and goes to the next one where that is gone', () => {
    const moved = after(pressed('down'), three);
    assert.deepEqual(names(three), ['riga', 'lima', 'osaka']);
    assert.equal(selectedOf(moved), 'lima');
    assert.equal(selectedOf(after([seen(1, { ...lima, relayed: false }, osaka, riga)], moved)), 'lima');
    assert.equal(selectedOf(after([seen(1, osaka, riga)], moved)), 'osaka');
    assert.equal(selectedOf(after([seen(1, riga)], moved)), 'riga');
    assert.equal(selectedOf(after([seen(1)], moved)), undefined);
  });

  test('it stays within the table; at the first row it is whoever stands there', () => {
    assert.equal(selectedOf(after(pressed('up'), three)), 'riga');
    assert.equal(selectedOf(after(pressed('pageDown', 'down'), three)), 'osaka');
    const first = after(pressed('last', 'first'), three);
    assert.equal(selectedOf(after([seen(1, osaka, lima)], first)), 'lima');
  });

  test('a peer is opened, stays open whatever its row is, and is closed', () => {
    const open = after(pressed('down', 'open'), three);
    assert.deepEqual(open.view, { name: 'peer', id: 'lima', scroll: 0 });
    assert.deepEqual(after([seen(1, riga)], open).view, open.view);
    assert.equal(after(pressed('back'), open).view.name, 'peers');
  });

  test('its page is scrolled as far as there is something, and back again', () => {
    const small = after([{ type: 'resize', size: { columns: 80, rows: 8 } }, ...pressed('open')], three);
    const far = after(pressed(...Array<Key>(50).fill('down')), small).view;
    assert.ok(far.name === 'peer' && far.scroll > 0 && far.scroll < 10, JSON.stringify(far));
    assert.deepEqual(after(pressed('last'), small).view, far);
    assert.deepEqual(after(pressed('last', 'up', 'first'), small).view, small.view);
  });

  test('help is shown and left by the same key; nothing else happens there; quitting is final', () => {
    const help = after(pressed('help'), three);
    assert.equal(help.view.name, 'help');
    assert.deepEqual(after(pressed('down', 'order', 'open'), help), help);
    assert.equal(after(pressed('help'), help).view.name, 'peers');
    assert.equal(after(pressed('quit'), help).isOver, true);
  });

  test('without a report nothing can be chosen', () => {
    assert.deepEqual(after(pressed('down', 'open', 'last')), opened(size, 1000));
  });

  const taken: readonly [key: Parameters<typeof keyOf>[0], meaning: ReturnType<typeof keyOf>][] = [
    [{ sequence: 'q', name: 'q' }, 'quit'],
    [{ sequence: '\u0003', name: 'c', ctrl: true }, 'quit'],
    [{ sequence: '\u001a', name: 'z', ctrl: true }, 'suspend'],
    [{ sequence: 'c', name: 'c' }, undefined],
    [{ sequence: 'G', name: 'g', ctrl: false }, 'last'],
    [{ sequence: 'g', name: 'g' }, 'first'],
    [{ sequence: '?' }, 'help'],
    [{ sequence: '\u001b', name: 'escape', meta: true }, 'back'],
    [{ sequence: '\u001bq', name: 'q', meta: true }, undefined],
    [{ sequence: '\u001b[A', name: 'up' }, 'up'],
    [{ sequence: 'toString', name: 'constructor' }, undefined],
    [{}, undefined],
  ];
  for (const [key, meaning] of taken) {
    test(`${JSON.stringify(key)} is ${meaning ?? 'nothing'}`, () => assert.equal(keyOf(key), meaning));
  }
});

suite('a node that does not answer', () => {
  const gone = after([
    seen(0, lima),
    { type: 'unreachable', reason: 'no cryonet runs here', at: 1000 },
    { type: 'unreachable', reason: 'it hangs', at: 3000 },
  ]);

  test('the last reason counts, and what was known stays', () => {
    assert.equal(gone.silence, 'it hangs');
    assert.deepEqual(names(gone), ['lima']);
  });

  test('it is over with the next report', () => {
    assert.equal(after([seen(5000, lima)], gone).silence, undefined);
  });
});

suite('events', () => {
  const event = (peer: string | undefined, number: number): Event => ({
    type: 'event',
    event: { time: new Date(exampleTime + number).toISOString(), event: 'link.lost', ...(peer && { peer }) },
  });

  test('the last eight of each peer are kept, and of none that the node does not know', () => {
    const many = Array.from({ length: 1000 }, (_, i) => event(i % 2 ? 'lima' : `invented-${i}`, i));
    const model = after([seen(0, lima), ...many, event('riga', 0), event(undefined, 0)]);
    const kept = after([seen(1, lima, riga)], model).happened;
    assert.deepEqual(
      [...kept].map(([id, events]) => [id, events.length]),
      [
        ['lima', 8],
        ['riga', 1],
      ],
    );
    assert.equal(kept.get('lima')!.at(-1)!.time, new Date(exampleTime + 999).toISOString());
  });
});
