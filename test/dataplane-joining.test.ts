import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import type { MemoryDirectLink } from '../dataplane/io/memory-direct-link.ts';
import { closeAfter, Pairs } from './dataplane-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

test('of an interface that refuses what was joined the operator is told, and it is tried again until it does not', async (context) => {
  const clock = new VirtualClock(context);
  const pairs = new Pairs(new FakeNetwork());
  const [a, b] = [await pairs.add('a', { direct: true }), await pairs.add('b', { direct: true })];
  closeAfter(context, a, b);
  await pairs.negotiate(a, b);
  await clock.until('the direct path', () => a.report('b')?.path === 'direct');
  const link = a.tun('b')!.direct() as MemoryDirectLink;
  const warnings = async () =>
    (await a.hello()).warnings?.map(({ subject, peer }) => `${subject} ${peer}`) ?? [];
  const passed = async (seconds: number) => {
    await clock.pass(seconds * 1000);
    return [link.joins, ...(await warnings())];
  };

  assert.deepEqual(await passed(30), [0]);
  link.unjoined = 1;
  assert.deepEqual(await passed(2), [0, 'joining b']);
  assert.deepEqual(await passed(10), [1, 'joining b']);
  link.unjoined = 2;
  assert.deepEqual(await passed(2), [1, 'joining b']);
  assert.deepEqual(await passed(20), [2, 'joining b']);
  assert.deepEqual(await passed(20), [2]);
});
