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

function installed(index: number, generation = 0, negotiation = 'n') {
  return { type: 'installed', negotiation, generation, index } as const;
}

/** As it is once the first keys, of index 1, are proven. */
function up(offered: boolean): End {
  const end = new End();
  end.feed({ type: 'begin', negotiation: 'n', offered });
  end.feed(installed(1));
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

test('the first keys of a connection are probed until they are answered', () => {
  const end = new End();
  assert.deepEqual(end.feed({ type: 'begin', negotiation: 'n', offered: false }), []);
  const probe = { type: 'probe', index: 7, number: 0, bytes: 0 };
  assert.deepEqual(end.feed(installed(7), 100), [probe]);
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(end.run(1400, none), [
    [500, probe],
    [900, probe],
    [1300, probe],
  ]);
  assert.deepEqual(end.feed({ type: 'answered', index: 7, number: 0, rtt: 20, opened: null }, 1420), [
    { type: 'fit', bytes: 1280, searching: true },
    { type: 'use', index: 7 },
    { type: 'tell' },
  ]);
  assert.equal(end.direct.phase, 'up');
  assert.equal(fittingPacket(end.direct), 1280);
});

test('to be heard is not enough for a first path: it is up with the first answer', () => {
  const end = new End();
  end.feed({ type: 'begin', negotiation: 'n', offered: true });
  end.feed(installed(1));
  assert.deepEqual(end.feed({ type: 'heard', index: 1 }), []);
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(types(end.run(10_000, none)), []);
  assert.equal(end.direct.phase, 'trying');
  assert.deepEqual(types(end.run(11_000, all)).slice(0, 3), ['fit', 'use', 'tell']);
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

test('the offerer renews after two minutes, and seals with the new keys as soon as the peer has answered', () => {
  const end = up(true);
  assert.deepEqual(types(end.run(119_999, all)).includes('renew'), false);
  const [at, effect] = end.run(120_500, all).find(([, { type }]) => type === 'renew')!;
  assert.ok(at >= 120_000 && at <= 120_400, `${at}`);
  assert.deepEqual(effect, { type: 'renew', negotiation: 'n', generation: 1 });
  assert.ok(!types(end.run(129_900, all)).includes('renew'), 'once');
  assert.deepEqual(end.feed(installed(2, 1)), [
    { type: 'use', index: 2 },
    { type: 'probe', index: 2, number: 0, bytes: 0 },
  ]);
  assert.deepEqual(
    [end.direct.next, end.direct.using?.index, end.direct.previous?.index],
    [null, 2, 1],
    'the old ones are still opened',
  );
  end.run(240_000, all);
  const second = end.run(260_000, all).find(([, { type }]) => type === 'renew');
  assert.deepEqual(second?.[1], { type: 'renew', negotiation: 'n', generation: 2 });
  assert.deepEqual(end.feed(installed(3, 2)), [
    { type: 'remove', index: 1 },
    { type: 'use', index: 3 },
    { type: 'probe', index: 3, number: 0, bytes: 0 },
  ]);
});

test('the answerer never renews; it opens the new keys at once and seals with them when it hears them', () => {
  const end = up(false);
  assert.ok(!types(end.run(170_000, all)).includes('renew'));
  const probe = { type: 'probe', index: 2, number: 0, bytes: 0 };
  assert.deepEqual(end.feed(installed(2, 1)), [probe]);
  assert.deepEqual([end.direct.using?.index, end.direct.next?.index], [1, 2]);
  assert.deepEqual(end.feed({ type: 'heard', index: 2 }), [{ type: 'use', index: 2 }]);
  assert.deepEqual([end.direct.next, end.direct.using?.index, end.direct.previous?.index], [null, 2, 1]);
});

test('keys are renewed after 2⁴⁰ records, however young they are', () => {
  const end = up(true);
  const after = (records: number) =>
    types(end.run(end.now + 500, all, () => ({ ...quiet, records }))).includes('renew');
  assert.ok(!after(2 ** 40 - 1));
  assert.ok(after(2 ** 40));
  end.feed(installed(2, 1));
  assert.ok(!after(2 ** 41 - 1), 'those of the keys before do not count');
  assert.ok(after(2 ** 41));
});

test('without the connection the keys are not renewed, and serve until they are too old', () => {
  const end = up(true);
  assert.deepEqual(end.feed({ type: 'ended', negotiation: 'n' }), []);
  assert.deepEqual([...new Set(types(end.run(179_000, all)))], ['fit'], 'but for the MTU that is found');
  assert.equal(end.direct.phase, 'up');
  assert.equal(end.direct.using?.index, 1);
  end.run(1_000_000, all);
  assert.deepEqual([end.direct.phase, end.direct.using, end.direct.previous], ['trying', null, null]);
});

test('another connection has keys of its own, while the path goes on with the old ones', () => {
  const end = up(true);
  end.run(5000, all);
  end.feed({ type: 'ended', negotiation: 'n' });
  assert.deepEqual(end.feed({ type: 'begin', negotiation: 'm', offered: true }), []);
  const effects = end.feed(installed(2, 0, 'm'));
  assert.deepEqual(
    effects[0],
    { type: 'fit', bytes: 65_535, searching: true },
    'for an address of another kind',
  );
  assert.equal(end.direct.using?.index, 1);
  assert.deepEqual(end.feed({ type: 'heard', index: 2 }), [{ type: 'use', index: 2 }]);
});

test('first keys that the peer never had go when there are others', () => {
  const end = new End();
  end.feed({ type: 'begin', negotiation: 'n', offered: true });
  end.feed(installed(1));
  end.feed({ type: 'begin', negotiation: 'm', offered: true });
  assert.deepEqual(end.feed(installed(2, 0, 'm')), [
    { type: 'remove', index: 1 },
    { type: 'probe', index: 2, number: 0, bytes: 0 },
  ]);
});

test('a path that dies is told of and not used, says why, and is used again after three answers', () => {
  const end = up(true);
  const effects = end.run(60_000, none);
  assert.deepEqual(
    effects.map(([, effect]) => effect),
    [{ type: 'tell-peer' }, { type: 'use', index: null }, { type: 'tell' }],
  );
  assert.equal(end.direct.phase, 'trying');
  assert.equal(end.direct.reason, 'the peer does not answer probes');
  const since = end.now;
  const back = end.run(since + 10_000, all);
  assert.deepEqual(types(back).slice(0, 2), ['use', 'tell']);
  assert.ok(back[0]![0] - since <= 4000, `${back[0]![0] - since} ms`);
  assert.equal(end.direct.reason, '');
});

test('a path by which the peer has no answer is left at once, without telling it what it knows', () => {
  const end = up(true);
  assert.deepEqual(end.feed({ type: 'unheard' }), [{ type: 'use', index: null }, { type: 'tell' }]);
  assert.deepEqual(end.feed({ type: 'unheard' }), [], 'it is left already');
  const back = end.run(10_000, all);
  assert.deepEqual(types(back).slice(0, 2), ['use', 'tell']);
  assert.ok(back[0]![0] >= 2000, 'after three answers to probes of every second');
});

test('a path that dies right after its first answer is left within three seconds', () => {
  const end = up(true);
  let packets = 0;
  const [lost] = end.run(10_000, none, () => ({ ...quiet, sent: ++packets }));
  assert.deepEqual(lost?.[1], { type: 'tell-peer' });
  assert.ok(lost[0] <= 3000, `${lost[0]} ms`);
});

test('keys that are agreed on while the path is dead are used when it is back', () => {
  const end = up(false);
  end.run(60_000, none);
  end.feed(installed(2, 1));
  assert.deepEqual(end.feed({ type: 'heard', index: 2 }), [], 'nothing is used yet');
  const back = end.run(70_000, all);
  assert.deepEqual(back[0]?.[1], { type: 'use', index: 2 });
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

test('a renewal that is not answered is tried again; after 180 s nothing is sealed, after 540 s nothing opened', () => {
  const end = up(true);
  const effects = end.run(700_000, all);
  const times = (type: DirectEffect['type']) =>
    effects.flatMap(([at, each]) => (each.type === type ? [at] : []));
  const asked = times('renew');
  assert.ok(asked[0]! >= 120_000 && asked[0]! < 125_000, `${asked[0]}`);
  assert.ok(asked.length > 20, 'for as long as there is something to renew');
  for (const [i, at] of asked.slice(1, 20).entries()) assert.ok(at - asked[i]! >= 10_000);
  assert.equal(end.direct.using, null);
  assert.equal(end.direct.phase, 'trying');
  assert.match(end.direct.reason, /too old/);
  const ended = effects.find(([, each]) => each.type === 'use' && each.index === null)![0];
  assert.ok(ended >= 180_000 && ended < 181_000, `${ended}`);
  const forgotten = times('remove').at(-1)!;
  assert.ok(forgotten >= 540_000 && forgotten < 541_000, `${forgotten}`);
  assert.equal(end.direct.previous, null);
});

test('no probe is sealed with keys that are too old, and an answer to a late renewal brings the path back', () => {
  const end = up(true);
  end.run(200_000, all);
  const before = end.probes.length;
  end.run(260_000, all);
  assert.equal(end.probes.length, before);
  end.feed(installed(9, 1), 261_000);
  end.run(262_000, all);
  assert.equal(end.direct.phase, 'up');
  assert.equal(end.direct.using?.index, 9);
});

test('the side that does not renew leaves a path whose keys are too old as well', () => {
  const end = up(false);
  const effects = end.run(200_000, all);
  assert.ok(effects.every(([, each]) => each.type !== 'renew'));
  assert.equal(end.direct.phase, 'trying');
});
