import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addresses, buildEngine, runEngine } from './direct-engine.ts';

test('records arrive at the receiver that their index says, and everything else at ICE', () => {
  const program = buildEngine('outer-steering', 'address,undefined');
  // Every first byte with ten lengths, before, with and after each of five numbers of receivers; and every low byte.
  const datagrams = 256 * 10 * 11 + 256 * 5;
  for (const address of addresses) assert.equal(runEngine(program, address), `${datagrams} datagrams\n`);
});
