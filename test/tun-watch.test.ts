import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { TunWatch } from '../dataplane/io/tun-watch.ts';
import { errorCodes } from '../protocol/errors.ts';
import { Warnings } from '../protocol/warnings.ts';
import { newLogLines } from './log-lines.ts';

test('trouble is said once, looked at after growing pauses, and over as soon as it is', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, lines } = newLogLines();
  const warnings = new Warnings(log);
  const tuns = new MemoryTunFactory();
  tuns.trouble = 'tun_file_denied';
  const tried: number[] = [];
  let now = 0;
  const ask = tuns.try.bind(tuns);
  tuns.try = () => {
    tried.push(now);
    ask();
  };
  const watch = new TunWatch(tuns, warnings);
  const pass = (seconds: number) => {
    for (const end = now + seconds; now < end; ) {
      now++;
      context.mock.timers.tick(1000);
    }
  };

  watch.look();
  pass(240);
  assert.deepEqual(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
  assert.deepEqual(
    warnings.list().map(({ subject, peer, message }) => [subject, peer, message]),
    [['tun', null, errorCodes.tun_file_denied]],
  );
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['warn'],
  );

  tuns.trouble = undefined;
  pass(60);
  assert.deepEqual(warnings.list(), []);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['warn', 'info'],
  );
  const before = tried.length;
  pass(600);
  assert.equal(tried.length, before);

  tuns.trouble = 'tun_denied';
  assert.throws(() => watch.check(), { code: 'tun_denied' });
  pass(1);
  assert.equal(tried.length, before + 2, 'pauses begin anew');
  watch.close();
  pass(600);
  assert.equal(tried.length, before + 2);
});
