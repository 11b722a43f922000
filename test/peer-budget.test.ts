import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlShare, newPeerBudget, PeerBudgets, spend } from '../dataplane/core/peer-budget.ts';
import { newBucket, take } from '../protocol/bucket.ts';

const megabyte = 2 ** 20;

test('a bucket is full at first, is filled up steadily, and holds no more than its burst', () => {
  const bucket = newBucket(3, 2);
  assert.deepEqual(
    [1, 1, 1, 1].map((amount) => take(bucket, amount, 0)),
    [true, true, true, false],
  );
  assert.ok(!take(bucket, 1, 499));
  assert.ok(take(bucket, 1, 500));
  assert.ok(take(bucket, 3, 1e9));
  assert.ok(!take(bucket, 1, 1e9));
});

test('what a link says in its life is within its budget, a flood of either channel is not', () => {
  const honest = newPeerBudget();
  for (let second = 0; second < 3600; second++) {
    for (let i = 0; i < 5; i++) assert.ok(spend(honest, 'wire', 60, second * 1000));
    for (let i = 0; i < 500; i++) assert.ok(spend(honest, 'signal', 2000, second * 1000));
  }
  const hostile = newPeerBudget();
  let passed = 0;
  for (let i = 0; i < 100_000; i++) if (spend(hostile, 'wire', 10, i / 100)) passed++;
  assert.ok(passed < 600, `${passed} messages in a second`);
  let bytes = 0;
  for (let i = 0; i < 1000; i++) if (spend(hostile, 'signal', 262_144, i)) bytes += 262_144;
  assert.ok(bytes < 20 * megabyte, `${bytes} bytes in a second`);
});

test('who comes back finds the budget that he left', () => {
  const budgets = new PeerBudgets();
  while (spend(budgets.of('a'), 'wire', 10, 0));
  assert.ok(!spend(budgets.of('a'), 'wire', 10, 0));
  assert.ok(spend(budgets.of('b'), 'wire', 10, 0));
  for (let i = 0; i < 5000; i++) budgets.of(`peer-${i}`);
  assert.ok(spend(budgets.of('a'), 'wire', 10, 0), 'forgotten after thousands of others');
});

test('while control does not read, the peer that has most waiting for it is cut off, and nobody else', () => {
  const share = new ControlShare();
  let waiting = 0;
  const cut: string[] = [];
  for (let i = 0; waiting < 15 * megabyte && i < 10_000; i++) {
    const peer = i % 50 === 0 ? 'honest' : 'hostile';
    const bytes = peer === 'honest' ? 500 : 5000;
    const { goes, heaviest } = share.add(peer, bytes, waiting);
    if (heaviest !== undefined) cut.push(heaviest);
    if (peer === 'honest') assert.ok(goes);
    if (goes) waiting += bytes;
  }
  assert.ok(cut.length > 0);
  assert.ok(cut.every((peer) => peer === 'hostile'));
  assert.ok(waiting < 5 * megabyte, `${waiting} bytes`);
});
