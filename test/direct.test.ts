import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Direct,
  type DirectEffect,
  type DirectEvent,
  fittingPacket,
  newDirect,
  nextDeadline,
  step,
} from '../dataplane/core/direct.ts';

const quiet = { sent: 0, received: 0, records: 0, sealed: 0, segmented: 0 };

/** One end, whose peer is the test. Probes are left out of what is returned, but for those of no number. */
class End {
  readonly direct: Direct = newDirect(0);
  now = 0;
  readonly probes: (DirectEffect & { type: 'probe' })[] = [];

  feed(event: DirectEvent, now = this.now): DirectEffect[] {
    this.now = now;
    const effects = step(this.direct, event, now);
    for (const effect of effects) if (effect.type === 'probe') this.probes.push(effect);
    return effects.filter((effect) => effect.type !== 'probe' || effect.number === 0);
  }

  /** Ticks as they are due; `answer` says which probes are answered, at once. */
  run(until: number, answer: (probe: DirectEffect & { type: 'probe' }) => boolean, traffic = () => quiet) {
    const effects: [number, DirectEffect][] = [];
    const feed = (event: DirectEvent) => {
      const before = this.probes.length;
      for (const effect of this.feed(event)) effects.push([this.now, effect]);
      for (const probe of this.probes.slice(before)) {
        if (answer(probe))
          feed({ type: 'answered', index: probe.index, number: probe.number, rtt: 20, opened: null });
      }
    };
    for (;;) {
      const at = nextDeadline(this.direct);
      if (at === undefined || at > until) return effects;
      this.now = Math.max(this.now, at);
      feed({ type: 'tick', ...traffic() });
    }
  }
}

function installed(index: number, offered: boolean, generation = 0, negotiation = 'n') {
  return { type: 'installed', negotiation, offered, generation, index } as const;
}

const active = { type: 'active', negotiation: 'n' } as const;
const begin = { type: 'begin' } as const;
const paired = { type: 'paired', negotiation: 'n' } as const;

/** As it is once the first probe, by keys of index 1, is answered. */
function up(offered: boolean): End {
  const end = new End();
  end.feed(installed(1, offered));
  end.feed(active);
  end.feed(begin);
  end.feed({ type: 'heard', index: 1 });
  end.feed({ type: 'answered', index: 1, number: 0, rtt: 20, opened: null });
  assert.equal(end.direct.phase, 'up');
  return end;
}

const all = () => true;
const none = () => false;
const types = (effects: readonly (readonly [number, DirectEffect])[]) => effects.map(([, { type }]) => type);

test('nothing is to be done before there are keys', () => {
  const { direct } = new End();
  assert.equal(direct.phase, 'off');
  assert.equal(nextDeadline(direct), undefined);
  assert.equal(fittingPacket(direct), null);
});

test('a path is probed until it is answered, once there are keys that the peer has', () => {
  const end = new End();
  const probe = { type: 'probe', index: 7, number: 0, bytes: 0 };
  assert.deepEqual(end.feed(installed(7, false), 100), []);
  assert.deepEqual(end.feed(active), [{ type: 'use', index: 7 }]);
  assert.equal(end.direct.phase, 'off');
  assert.deepEqual(end.feed(begin), [probe]);
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(end.run(1400, none), [
    [500, probe],
    [900, probe],
    [1300, probe],
  ]);
  assert.deepEqual(end.feed({ type: 'answered', index: 7, number: 0, rtt: 20, opened: null }, 1420), [
    { type: 'fit', bytes: 1280, searching: true },
    { type: 'carry', on: true },
    { type: 'tell' },
  ]);
  assert.equal(end.direct.phase, 'up');
  assert.equal(fittingPacket(end.direct), 1280);
});

test('the path of a new link is probed with keys that the peer may not have yet, and is up with the first answer', () => {
  const end = new End();
  const probe = { type: 'probe', index: 7, number: 0, bytes: 0 };
  end.feed(installed(7, true));
  assert.deepEqual(end.feed(paired, 100), [probe]);
  assert.deepEqual(end.run(600, none), [[500, probe]]);
  assert.deepEqual(end.feed({ type: 'heard', index: 7 }), [
    { type: 'use', index: 7 },
    { type: 'prove', index: 7 },
    probe,
  ]);
  const effects = end.feed({ type: 'answered', index: 7, number: 0, rtt: 20, opened: null });
  assert.deepEqual(effects.slice(-2), [{ type: 'carry', on: true }, { type: 'tell' }]);
  assert.equal(fittingPacket(end.direct), 1280);
  end.feed({ type: 'answered', index: 7, number: 0x8000_0000, rtt: 20, opened: null });
  assert.equal(fittingPacket(end.direct), 1400, 'a usual packet was asked for at once');
  assert.deepEqual(end.feed(active), [], 'its datachannels are open');
});

test('a pair of a connection that has ended is not probed any more', () => {
  const end = new End();
  end.feed(installed(7, true));
  end.feed(paired);
  end.feed({ type: 'ended', negotiation: 'n' });
  assert.deepEqual(types(end.run(500_000, none)), ['remove']);
});

test('where no connection is left, the peer is shown the keys of the next one by the path that is up', () => {
  const end = up(true);
  end.feed(installed(2, true, 0, 'm'));
  end.feed({ type: 'ended', negotiation: 'n' });
  assert.deepEqual(end.feed({ type: 'paired', negotiation: 'm' }), [{ type: 'prove', index: 2 }]);
  assert.equal(end.direct.keypairs.using?.index, 1, 'it may not have them');
  assert.deepEqual(end.feed({ type: 'heard', index: 2 }), [
    { type: 'use', index: 2 },
    { type: 'prove', index: 2 },
  ]);
  assert.equal(end.direct.phase, 'up');
});

test('a path that is down is tried with the keys and the pair of the next connection, and is up with the first answer', () => {
  const end = up(true);
  end.feed({ type: 'ended', negotiation: 'n' });
  end.feed({ type: 'unheard' });
  assert.equal(end.direct.phase, 'trying');
  end.feed(installed(2, true, 0, 'm'));
  const probe = { type: 'probe', index: 2, number: 0, bytes: 0 };
  assert.deepEqual(end.feed({ type: 'paired', negotiation: 'm' }).at(-1), probe);
  end.feed({ type: 'heard', index: 2 });
  end.feed({ type: 'answered', index: 2, number: 0, rtt: 20, opened: null });
  assert.equal(end.direct.phase, 'up');
});

test('to be heard is not enough for a first path, and a reason to try it: it is up with the first answer', () => {
  const end = new End();
  end.feed(installed(1, true));
  end.feed(active);
  end.feed(begin);
  end.run(100_000, none);
  assert.equal(end.direct.reason, 'the peer does not answer probes');
  assert.deepEqual(types([[0, end.feed({ type: 'heard', index: 1 }, 100_000)[0]!]]), ['probe']);
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(new Set(types(end.run(101_000, none))), new Set(['probe']));
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(types(end.run(102_000, all)).slice(0, 4), ['probe', 'fit', 'carry', 'tell']);
});

test('a link whose connection records cannot follow has keys, and no path', () => {
  const end = new End();
  end.feed(installed(1, true));
  end.feed(active);
  assert.deepEqual(end.feed({ type: 'rest', reason: 'the peer has none' }), []);
  assert.deepEqual(types(end.run(110_000, all)), []);
  assert.deepEqual(end.feed({ type: 'answered', index: 1, number: 0, rtt: 1, opened: null }), []);
  assert.deepEqual([end.direct.phase, end.direct.reason], ['off', 'the peer has none']);
  const renewals = end.run(125_000, all).map(([, effect]) => effect);
  assert.deepEqual(renewals, [{ type: 'renew', negotiation: 'n', generation: 1 }]);
  assert.deepEqual(types([[0, end.feed(begin)[0]!]]), ['probe']);
});

test('a path that is up stays, whichever connection comes', () => {
  const end = up(true);
  assert.deepEqual(end.feed({ type: 'rest', reason: 'the peer has none' }), []);
  assert.equal(end.direct.phase, 'up');
});

test('what is said of keys that are not there changes nothing', () => {
  const end = up(true);
  const before = structuredClone(end.direct);
  for (const event of [
    { type: 'heard', index: 9 },
    { type: 'answered', index: 9, number: 0, rtt: 1, opened: null },
    { type: 'answered', index: 1, number: 4_000_000_000, rtt: 1, opened: null },
    { type: 'refused', number: 4_000_000_000 },
    { type: 'refused', number: 3 },
    { type: 'ended', negotiation: 'another' },
  ] as const) {
    assert.deepEqual(end.feed(event), [], event.type);
  }
  assert.deepEqual(end.direct, before);
});

test('new keys are probed as soon as they are there, and sealed with, while the path goes on', () => {
  const end = up(true);
  end.run(121_000, all);
  const effects = end.feed(installed(2, true, 1));
  assert.deepEqual(effects, [
    { type: 'use', index: 2 },
    { type: 'prove', index: 2 },
  ]);
  const before = end.probes.length;
  end.run(150_000, all);
  assert.ok(end.probes.slice(before).every(({ index }) => index === 2));
  assert.equal(end.direct.phase, 'up');
});

test('without the connection the keys are not renewed, and serve until they are too old', () => {
  const end = up(true);
  assert.deepEqual(end.feed({ type: 'ended', negotiation: 'n' }), []);
  assert.deepEqual([...new Set(types(end.run(179_000, all)))], ['fit'], 'but for the MTU that is found');
  assert.equal(end.direct.phase, 'up');
  const ends = end.run(181_000, all).map(([, effect]) => effect);
  assert.deepEqual(ends, [
    { type: 'use', index: null },
    { type: 'tell-peer' },
    { type: 'carry', on: false },
    { type: 'tell' },
  ]);
  assert.equal(end.direct.phase, 'trying');
  assert.match(end.direct.reason, /too old/);
});

test('another connection may lead another way: the MTU is looked for anew, while the path goes on', () => {
  const end = up(true);
  end.run(5000, all);
  end.feed({ type: 'ended', negotiation: 'n' });
  assert.deepEqual(end.feed(installed(2, true, 0, 'm')), []);
  assert.deepEqual(end.feed({ type: 'active', negotiation: 'm' }), [{ type: 'use', index: 2 }]);
  assert.deepEqual(end.feed(begin)[0], { type: 'fit', bytes: 65_535, searching: true });
  assert.equal(end.direct.phase, 'up');
});

test('a path that dies is told of and not used, says why, and is used again after three answers', () => {
  const end = up(true);
  const effects = end.run(60_000, none);
  assert.deepEqual(
    effects.map(([, effect]) => effect),
    [{ type: 'tell-peer' }, { type: 'carry', on: false }, { type: 'tell' }],
  );
  assert.equal(end.direct.phase, 'trying');
  assert.equal(end.direct.reason, 'the peer does not answer probes');
  const since = end.now;
  const back = end.run(since + 10_000, all);
  assert.deepEqual(types(back).slice(0, 2), ['carry', 'tell']);
  assert.ok(back[0]![0] - since <= 4000, `${back[0]![0] - since} ms`);
  assert.equal(end.direct.reason, '');
});

test('a path by which the peer has no answer is left at once, without telling it what it knows', () => {
  const end = up(true);
  assert.deepEqual(end.feed({ type: 'unheard' }), [{ type: 'carry', on: false }, { type: 'tell' }]);
  assert.deepEqual(end.feed({ type: 'unheard' }), [], 'it is left already');
  const back = end.run(10_000, all);
  assert.deepEqual(types(back).slice(0, 2), ['carry', 'tell']);
  assert.ok(back[0]![0] >= 2000, 'after three answers to probes of every second');
});

test('a path that dies right after its first answer is left within three seconds', () => {
  const end = up(true);
  let packets = 0;
  const [lost] = end.run(10_000, none, () => ({ ...quiet, sent: ++packets }));
  assert.deepEqual(lost?.[1], { type: 'tell-peer' });
  assert.ok(lost[0] <= 3000, `${lost[0]} ms`);
});

test('the longest packet that passes is told, and told again where the peer roams, with the header of its address', () => {
  const end = up(true);
  const passes = (probe: DirectEffect & { type: 'probe' }) => probe.bytes <= 1500;
  const fits = (effects: readonly (readonly [number, DirectEffect])[]) =>
    effects.flatMap(([, effect]) => (effect.type === 'fit' ? [effect.bytes] : []));
  const found = fits(end.run(5000, passes));
  assert.equal(found.at(-1), 1500);
  assert.equal(fittingPacket(end.direct), 1500);
  const probes = end.probes.length;
  assert.deepEqual(end.feed({ type: 'roamed' }), [{ type: 'fit', bytes: 1500, searching: true }]);
  assert.ok(
    end.probes.slice(probes).some(({ bytes }) => bytes === 1500),
    'and looked for again at once',
  );
});

test('a peer that moves to and fro has the MTU searched anew now and then, not each time', () => {
  const end = up(true);
  const passes = (probe: DirectEffect & { type: 'probe' }) => probe.bytes <= 1500;
  end.run(5000, passes);
  const before = end.probes.filter(({ bytes }) => bytes > 0).length;
  for (let at = 5000; at < 65_000; at += 50) {
    end.feed({ type: 'roamed' }, at);
    end.run(at + 49, passes);
  }
  const moved = end.probes.filter(({ bytes }) => bytes > 0).length - before;
  end.run(125_000, passes);
  const after = end.probes.filter(({ bytes }) => bytes > 0).length - before - moved;
  assert.ok(moved < 250, `${moved} probes of its length in a minute`);
  assert.ok(after > 0, 'and once more when it stays');
  assert.equal(fittingPacket(end.direct), 1500);
});

test('a path whose peer has moved more often than its MTU is searched for is lost like any other', () => {
  const end = up(true);
  let sent = 0;
  const traffic = () => ({ ...quiet, sent: ++sent });
  for (let at = 100; at < 1000; at += 100) end.feed({ type: 'roamed' }, at);
  end.run(2000, () => true, traffic);
  assert.equal(end.direct.phase, 'up');
  const effects = end.run(5000, () => false, traffic);
  assert.deepEqual(
    effects.flatMap(([, effect]) => (effect.type === 'carry' ? [effect.on] : [])),
    [false],
  );
  assert.equal(end.direct.phase, 'trying');
});

test('where else a peer may be is not forgotten while the search for the MTU waits', () => {
  const end = up(true);
  let sent = 0;
  const traffic = () => ({ ...quiet, sent: ++sent });
  for (let at = 100; at < 1000; at += 100) end.feed({ type: 'roamed' }, at);
  end.run(1500, () => true, traffic);
  end.feed({ type: 'elsewhere', address: '192.0.2.9', port: 9 }, 1600);
  const effects = end.run(6000, () => false, traffic);
  assert.ok(effects.some(([, { type }]) => type === 'ask'));
});

test('a probe that the kernel refuses is none of the liveness: the size is given up and the path lives', () => {
  const end = up(true);
  const first = end.probes.find(({ bytes }) => bytes === 1500)!;
  end.feed({ type: 'refused', number: first.number });
  end.run(3000, ({ bytes }) => bytes < 1500);
  assert.equal(end.direct.phase, 'up');
  assert.ok(fittingPacket(end.direct)! >= 1492 && fittingPacket(end.direct)! < 1500);
});

test('a path without packets is asked for its MTU each minute, one with packets each two seconds', () => {
  const sizes = (traffic: () => typeof quiet) => {
    const end = up(true);
    end.run(100_000, ({ bytes }) => bytes <= 1500, traffic);
    const probes = end.probes.length;
    end.run(220_000, ({ bytes }) => bytes <= 1500, traffic);
    return end.probes.slice(probes).filter(({ bytes }) => bytes === 1500).length;
  };
  const idle = sizes(() => quiet);
  assert.ok(idle >= 1 && idle <= 3, `${idle}`);
  let packets = 0;
  const busy = sizes(() => ({ ...quiet, sent: ++packets, received: packets }));
  assert.ok(busy >= 40 && busy <= 65, `${busy}`);
});

test('no probe is sealed with keys that are too old, and an answer to a late renewal brings the path back', () => {
  const end = up(true);
  end.run(200_000, all);
  const before = end.probes.length;
  end.run(260_000, all);
  assert.equal(end.probes.length, before);
  end.feed(installed(9, true, 1), 261_000);
  end.run(262_000, all);
  assert.equal(end.direct.phase, 'up');
});
