import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fields, LogLevel } from '../protocol/log.ts';
import { type Line, LogQuota } from '../protocol/log-quota.ts';

const minute = 60_000;

/** A quota that is asked for what it left out every five seconds, as by the log. */
class Lab {
  now = 0;
  readonly said: (Line & { readonly at: number })[] = [];
  readonly #quota = new LogQuota();

  log(message: string, fields: Fields = {}, level: LogLevel = 'warn'): void {
    const line = { level, message, fields, time: new Date(this.now) };
    this.#take(this.#quota.offer(line, this.now));
  }

  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 5000);
      this.#take(this.#quota.due(this.now));
    }
  }

  get waits(): boolean {
    return this.#quota.waits;
  }

  #take(lines: readonly Line[]): void {
    for (const line of lines) this.said.push({ ...line, at: this.now });
  }
}

test('a peer that comes and goes has ten lines, then one in two minutes, and the last of all says how it ended', () => {
  const lab = new Lab();
  for (let i = 0; i < 600; i++) {
    lab.log('link lost', { peer: 'b', i });
    lab.pass(1000);
  }
  assert.equal(lab.said.length, 10 + 4);
  assert.equal(lab.said.at(-1)!.fields.leftOut, 119);
  lab.log('link lost', { peer: 'b', i: 'last' });
  lab.pass(2 * minute);
  assert.equal(lab.said.at(-1)!.fields.i, 'last');
  assert.equal(lab.waits, false);
  const counted = lab.said.reduce((sum, { fields }) => sum + 1 + Number(fields.leftOut ?? 0), 0);
  assert.equal(counted, 601, 'whatever was left out was counted');
});

test('other peers, other levels, and what is about no peer have lines of their own', () => {
  const lab = new Lab();
  for (let i = 0; i < 1000; i++) lab.log('link lost', { peer: 'b' });
  lab.log('link up', { peer: 'b' }, 'info');
  lab.log('link lost', { peer: 'c' });
  lab.log('warning', { about: 'state-dir' });
  lab.log('neighbor refused', { address: '192.0.2.1', port: 1 });
  assert.deepEqual(
    lab.said.slice(10).map(({ message, fields }) => [message, fields.leftOut]),
    [
      ['link up', undefined],
      ['link lost', undefined],
      ['warning', undefined],
      ['neighbor refused', undefined],
    ],
  );
});

test('a peer is one subject, whatever is said of it, and so is a server and who calls from one address', () => {
  for (const [message, fields] of [
    ['neighbor gone', { id: 'b', via: 'x' }],
    ['warning', { peer: 'b', about: 'mtu' }],
    ['bootstrap server not reached', { url: 'ws://b' }],
    ['neighbor refused', { address: '192.0.2.1' }],
    ['defect', {}],
  ] as const) {
    const lab = new Lab();
    for (let i = 0; i < 100; i++) lab.log(message, { ...fields, port: i, reason: `${i}` });
    assert.equal(lab.said.length, 10, message);
  }
});

test('who makes up peers has the lines of sixty-four, then one in two minutes for all of them', () => {
  const lab = new Lab();
  let id = 0;
  for (let i = 0; i < 1200; i++) {
    for (let j = 0; j < 10; j++) lab.log('peer forgotten', { peer: `p${id++}` }, 'info');
    lab.pass(500);
  }
  assert.ok(lab.said.length <= 64 + 5, `${lab.said.length}`);
  lab.pass(2 * minute);
  const counted = lab.said.reduce((sum, { fields }) => sum + 1 + Number(fields.leftOut ?? 0), 0);
  assert.equal(counted, 12_000);
  lab.log('warning', { about: 'state-dir' });
  assert.equal(lab.said.at(-1)!.message, 'warning', 'what is about this node is said at once');
});

test('whatever is logged, no subject has more lines than its store, and none is lost without being counted', () => {
  const event = fc.record({
    peer: fc.integer({ min: 0, max: 3 }),
    level: fc.constantFrom('info', 'warn', 'error'),
    wait: fc.integer({ min: 0, max: 90_000 }),
    times: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const lab = new Lab();
      let offered = 0;
      for (const { peer, level, wait, times } of events) {
        for (let i = 0; i < times; i++) lab.log('x', { peer: `p${peer}` }, level);
        offered += times;
        lab.pass(wait);
      }
      const end = lab.now;
      lab.pass(5 * minute);
      assert.equal(lab.waits, false);
      assert.equal(
        lab.said.reduce((sum, { fields }) => sum + 1 + Number(fields.leftOut ?? 0), 0),
        offered,
      );
      for (const level of ['info', 'warn', 'error']) {
        for (let peer = 0; peer < 4; peer++) {
          const lines = lab.said.filter((each) => each.level === level && each.fields.peer === `p${peer}`);
          assert.ok(lines.length <= 10 + (end + 5 * minute) / (2 * minute));
        }
      }
    }),
  );
});
