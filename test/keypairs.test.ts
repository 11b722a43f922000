import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Keypairs,
  type KeypairsEffect,
  type KeypairsEvent,
  mayRenew,
  newKeypairs,
  nextDeadline,
  step,
} from '../dataplane/core/keypairs.ts';

/** One end, whose peer is the test. */
class End {
  readonly keypairs: Keypairs = newKeypairs();
  now = 0;
  records = 0;

  feed(event: KeypairsEvent, now = this.now): KeypairsEffect[] {
    this.now = now;
    return step(this.keypairs, event, now);
  }

  install(index: number, offered: boolean, generation = 0, negotiation = 'n'): KeypairsEffect[] {
    return this.feed({ type: 'installed', negotiation, offered, generation, index });
  }

  /** Ticks as they are due. */
  run(until: number): [number, KeypairsEffect][] {
    const effects: [number, KeypairsEffect][] = [];
    for (;;) {
      const at = nextDeadline(this.keypairs);
      if (at === undefined || at > until) break;
      for (const effect of this.feed({ type: 'tick', records: this.records }, Math.max(this.now, at)))
        effects.push([this.now, effect]);
      assert.ok((nextDeadline(this.keypairs) ?? Number.POSITIVE_INFINITY) > this.now, 'time stands still');
    }
    this.now = until;
    return effects;
  }

  /** Indices: of what waits for use, is in use, and was. */
  get indices(): [number[], number | undefined, number | undefined] {
    const { next, using, previous } = this.keypairs;
    return [next.map(({ index }) => index), using?.index, previous?.index];
  }
}

/** With the first keypair, of index 1, in use. */
function inUse(offered: boolean): End {
  const end = new End();
  end.install(1, offered);
  end.feed({ type: 'active', negotiation: 'n' });
  end.feed({ type: 'heard', index: 1 });
  assert.deepEqual(end.indices, [[], 1, undefined]);
  return end;
}

const times = (effects: readonly (readonly [number, KeypairsEffect])[], type: KeypairsEffect['type']) =>
  effects.flatMap(([at, effect]) => (effect.type === type ? [at] : []));

test('the first keypair is sealed with once both ends are ready for its connection, and needs no proof', () => {
  for (const offered of [true, false]) {
    const end = new End();
    assert.equal(nextDeadline(end.keypairs), undefined);
    assert.deepEqual(end.feed({ type: 'active', negotiation: 'n' }), [], 'there is none');
    assert.deepEqual(end.install(7, offered), []);
    assert.deepEqual(end.feed({ type: 'active', negotiation: 'n' }), [{ type: 'use', index: 7 }]);
    assert.deepEqual(end.feed({ type: 'active', negotiation: 'n' }), [], 'once');
    assert.deepEqual(end.run(119_999), []);
  }
});

test('a peer that is ready first is heard: its keypair is sealed with at once, and it is told so', () => {
  const end = new End();
  end.install(7, false);
  assert.deepEqual(end.feed({ type: 'heard', index: 7 }), [
    { type: 'use', index: 7 },
    { type: 'prove', index: 7 },
  ]);
  assert.deepEqual(end.feed({ type: 'active', negotiation: 'n' }), []);
});

test('the offerer renews after two minutes, and seals with the new keypair as soon as the peer has answered', () => {
  const end = inUse(true);
  assert.deepEqual(end.run(129_999), [[120_000, { type: 'renew', negotiation: 'n', generation: 1 }]]);
  assert.deepEqual(end.install(2, true, 1), [
    { type: 'use', index: 2 },
    { type: 'prove', index: 2 },
  ]);
  assert.deepEqual(end.indices, [[], 2, 1], 'the old one is still opened');
  assert.deepEqual(times(end.run(132_000), 'prove'), [130_399, 130_799, 131_199, 131_599, 131_999]);
  end.feed({ type: 'heard', index: 2 });
  assert.deepEqual(times(end.run(240_000), 'prove'), [], 'it was heard');
  const second = end.run(260_000).find(([, { type }]) => type === 'renew');
  assert.deepEqual(second, [249_999, { type: 'renew', negotiation: 'n', generation: 2 }]);
  assert.deepEqual(end.install(3, true, 2), [
    { type: 'use', index: 3 },
    { type: 'remove', index: 1 },
    { type: 'prove', index: 3 },
  ]);
});

test('a peer that is not heard is shown the new keypair less and less often', () => {
  const end = inUse(true);
  end.run(120_000);
  end.install(2, true, 1);
  const proofs = times(end.run(239_000), 'prove');
  assert.ok(proofs.length > 10 && proofs.length < 20, `${proofs.length}`);
  assert.equal(proofs.at(-1)! - proofs.at(-2)!, 25_600);
});

test('the answerer never renews; it opens a new keypair at once and seals with it when it hears it', () => {
  const end = inUse(false);
  assert.deepEqual(times(end.run(170_000), 'renew'), []);
  assert.ok(mayRenew(end.keypairs, 'n', 1));
  assert.ok(
    !mayRenew(end.keypairs, 'n', 2) && !mayRenew(end.keypairs, 'n', 0) && !mayRenew(end.keypairs, 'm', 1),
  );
  assert.deepEqual(end.install(2, false, 1), []);
  assert.deepEqual(end.indices, [[2], 1, undefined]);
  assert.deepEqual(end.feed({ type: 'heard', index: 2 }), [
    { type: 'use', index: 2 },
    { type: 'prove', index: 2 },
  ]);
  assert.deepEqual(end.indices, [[], 2, 1]);
  assert.ok(!mayRenew(inUse(true).keypairs, 'n', 1), 'who offered asks');
});

test('a keypair is renewed after 2⁴⁰ records, however young it is', () => {
  const end = inUse(true);
  const after = (records: number) =>
    end.feed({ type: 'tick', records }, end.now + 1).some(({ type }) => type === 'renew');
  assert.ok(!after(2 ** 40 - 1));
  assert.ok(after(2 ** 40));
  end.install(2, true, 1);
  assert.ok(!after(2 ** 41 - 1), 'those of the keypair before do not count');
  assert.ok(after(2 ** 41));
});

test('a renewal that is not answered is tried again; after 180 s nothing is sealed, after 540 s nothing opened', () => {
  const end = inUse(true);
  const effects = end.run(700_000);
  const asked = times(effects, 'renew');
  for (const [i, at] of asked.entries()) assert.equal(at, 120_000 + 10_000 * i);
  assert.equal(asked.length, 59, 'for as long as there is a connection');
  assert.deepEqual(
    effects.filter(([, { type }]) => type !== 'renew'),
    [
      [180_000, { type: 'use', index: null }],
      [540_000, { type: 'remove', index: 1 }],
    ],
  );
  assert.deepEqual(end.install(2, true, 1)[0], { type: 'use', index: 2 });
});

test('the side that does not renew has no keypair either when they are too old', () => {
  const end = inUse(false);
  end.run(200_000);
  assert.deepEqual(end.indices, [[], undefined, 1]);
  assert.deepEqual(end.install(2, false, 1), []);
  assert.deepEqual(end.feed({ type: 'heard', index: 2 })[0], { type: 'use', index: 2 });
  assert.deepEqual(end.indices, [[], 2, 1]);
});

test('keypairs outlive their connection, and are renewed by the next one that carries the link', () => {
  const end = inUse(true);
  end.feed({ type: 'ended', negotiation: 'n' });
  assert.deepEqual(end.run(150_000), []);
  end.install(2, true, 0, 'm');
  assert.deepEqual(end.feed({ type: 'active', negotiation: 'm' }), [{ type: 'use', index: 2 }]);
  end.feed({ type: 'ended', negotiation: 'another' });
  assert.deepEqual(end.run(270_000).at(-1)?.[1], { type: 'renew', negotiation: 'm', generation: 1 });
});

test('two connections each have a keypair that waits; back on the first one, its chain goes on', () => {
  const end = new End();
  end.install(1, true, 0, 'relay');
  end.run(100);
  end.install(2, true, 0, 'shared');
  assert.deepEqual(end.indices, [[1, 2], undefined, undefined]);
  end.feed({ type: 'active', negotiation: 'shared' });
  assert.deepEqual(end.indices, [[1], 2, undefined], 'the other one is still opened');
  assert.deepEqual(end.feed({ type: 'heard', index: 1 }), [], 'an older one is not gone back to');
  end.feed({ type: 'ended', negotiation: 'shared' });
  assert.deepEqual(end.feed({ type: 'active', negotiation: 'relay' }), [{ type: 'use', index: 1 }]);
  assert.deepEqual(end.run(121_000), [[120_100, { type: 'renew', negotiation: 'relay', generation: 1 }]]);
});

test('of keypairs that nobody comes to use the last four are kept, for three minutes', () => {
  const end = new End();
  for (let i = 1; i <= 4; i++) assert.deepEqual(end.install(i, false, 0, `n${i}`), []);
  assert.deepEqual(end.install(5, false, 0, 'n5'), [{ type: 'remove', index: 1 }]);
  assert.deepEqual(end.install(6, false, 0, 'n2'), [{ type: 'remove', index: 2 }]);
  assert.deepEqual(times(end.run(200_000), 'remove'), [180_000, 180_000, 180_000, 180_000]);
  assert.deepEqual(end.indices, [[], undefined, undefined]);
});

test('a renewal that another connection overtook goes', () => {
  const end = inUse(false);
  end.run(120_000);
  end.install(2, false, 1);
  end.install(3, false, 0, 'm');
  assert.deepEqual(end.feed({ type: 'active', negotiation: 'm' }), [
    { type: 'remove', index: 2 },
    { type: 'use', index: 3 },
  ]);
});
