import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildEngine, runEngine, sanitizers } from './direct-engine.ts';

for (const sanitizer of sanitizers) {
  test(`no event is lost below the bound, and the bell rings for the first (-fsanitize=${sanitizer})`, () => {
    assert.equal(runEngine(buildEngine('event-queue', sanitizer)), '80000 events\n');
  });
}
