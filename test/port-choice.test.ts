import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concluded, type Failures, takesOtherPort } from '../dataplane/core/port-choice.ts';

const failedOften = (times: number): Failures => new Map([['b', times]]);

test('the first negotiations take the own port, and after one that opened they do again', () => {
  const failures: Failures = new Map();
  for (const offered of [true, false]) assert.equal(takesOtherPort(failures, 'b', offered), false);
  concluded(failures, 'b', false);
  assert.equal(takesOtherPort(failures, 'b', true), false);
  concluded(failures, 'b', false);
  assert.equal(takesOtherPort(failures, 'b', true), true);
  assert.equal(takesOtherPort(failures, 'c', true), false, 'to another peer the own port may be good');
  concluded(failures, 'b', true);
  assert.equal(takesOtherPort(failures, 'b', true), false);
  assert.equal(failures.size, 0);
});

test('in any four negotiations each end has the own port and another one, alone and together', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 99 }), fc.integer({ min: 2, max: 99 }), (offerer, answerer) => {
      const pairs = [0, 1, 2, 3].map((more) =>
        [
          takesOtherPort(failedOften(offerer + more), 'b', true),
          takesOtherPort(failedOften(answerer + more), 'b', false),
        ].join(),
      );
      assert.equal(new Set(pairs).size, 4, pairs.join(' '));
    }),
  );
});
