import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CryonetError } from '../protocol/errors.ts';
import { eventually, Retry } from '../protocol/retry.ts';

const passing = new CryonetError('unavailable', 'not yet');
const lasting = new CryonetError('bad_config', 'never');

/** Lets as much virtual time pass, in steps that let promises settle. */
async function pass(context: TestContext, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    context.mock.timers.tick(50);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

test('what works at once is done once', async () => {
  let attempts = 0;
  const retry = new Retry({
    attempt: async () => void attempts++,
    failed: () => assert.fail(),
    limit: 1000,
  });
  assert.equal(await retry.start(), true);
  assert.equal(attempts, 1);
});

test('what fails is tried again with pauses that grow to the limit, until it works', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 0);
  const at: number[] = [];
  let now = 0;
  const failures: unknown[] = [];
  const attempt = async () => {
    at.push(now);
    if (at.length < 7) throw at.length === 3 ? lasting : passing;
  };
  const retry = new Retry({ attempt, failed: (cause) => void failures.push(cause), limit: 4000 });
  assert.equal(await retry.start(), false);
  while (now < 30_000) {
    now += 50;
    await pass(context, 50);
  }
  assert.deepEqual(
    at.slice(1).map((each, i) => each - at[i]!),
    [500, 1000, 2000, 4000, 4000, 4000],
  );
  assert.deepEqual(
    failures,
    [passing, passing, lasting, passing, passing, passing],
    'in the background all pass',
  );
});

test('what does not pass is thrown at once', async () => {
  const retry = new Retry({
    attempt: () => Promise.reject(lasting),
    failed: () => assert.fail(),
    limit: 1000,
  });
  await assert.rejects(retry.start(), lasting);
});

test('closed, it does not try again', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    throw passing;
  };
  const retry = new Retry({ attempt, failed: () => {}, limit: 1000 });
  await retry.start();
  retry.close();
  await pass(context, 5000);
  assert.equal(attempts, 1);
});

test('a value is waited for as long as its lack may pass', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let attempts = 0;
  const value = eventually({
    attempt: () => {
      if (++attempts < 3) throw passing;
      return 'it';
    },
    failed: (cause) => assert.equal(cause, passing),
    limit: 1000,
  });
  await pass(context, 3000);
  assert.equal(await value, 'it');
  let more = 0;
  const none = eventually({
    attempt: () => Promise.reject(++more < 3 ? passing : lasting),
    failed: (cause) => assert.equal(cause, passing),
    limit: 1000,
  });
  none.catch(() => {});
  await pass(context, 5000);
  await assert.rejects(none, lasting);
  assert.equal(more, 3);
});
