import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Notify } from '../service/notify.ts';
import { waitFor } from './native/wait.ts';
import { type Manager, openManager } from './service-manager.ts';
import { temporaryFolder } from './socket-pair.ts';

function notifyOf(context: TestContext, { address }: Manager, env: Record<string, string> = {}): Notify {
  const notify = new Notify({ NOTIFY_SOCKET: address, ...env });
  context.after(() => notify.close());
  return notify;
}

/** Resolves when the manager has heard so much. */
async function hears(manager: Manager, expected: readonly string[]): Promise<void> {
  await waitFor(`${expected.length} messages`, () => manager.heard.length >= expected.length);
  assert.deepEqual(manager.heard, expected);
}

test('readiness and the first status are one message, at a path or at an abstract name', async (context) => {
  for (const address of [undefined, `@cryonet-test-${process.pid}-${Math.random()}`]) {
    const manager = await openManager(context, address);
    notifyOf(context, manager).ready('1 of 2\npeers up');
    await hears(manager, ['READY=1 STATUS=1 of 2 peers up']);
  }
});

test('a status is told at once, then once a second: the latest, and only one that is new', async (context) => {
  const manager = await openManager(context);
  const notify = notifyOf(context, manager);
  notify.ready('a');
  notify.status(() => 'a');
  notify.status(() => 'b');
  const start = performance.now();
  for (const text of ['c', 'd', 'e']) notify.status(() => text);
  await hears(manager, ['READY=1 STATUS=a', 'STATUS=b']);
  await hears(manager, ['READY=1 STATUS=a', 'STATUS=b', 'STATUS=e']);
  assert.ok(performance.now() - start > 900);
});

test('after the stop is told, no status is', async (context) => {
  const manager = await openManager(context);
  const notify = notifyOf(context, manager);
  notify.status(() => 'a');
  notify.status(() => 'b');
  notify.stopping();
  notify.stopping();
  notify.status(() => 'c');
  notifyOf(context, manager).ready('later');
  await hears(manager, ['STATUS=a', 'STOPPING=1', 'READY=1 STATUS=later']);
});

test('the watchdog is fed at half of its time, and not for another process', async (context) => {
  const manager = await openManager(context);
  const other = await openManager(context);
  const start = performance.now();
  notifyOf(context, other, { WATCHDOG_USEC: '20000', WATCHDOG_PID: `${process.pid + 1}` });
  notifyOf(context, manager, { WATCHDOG_USEC: '200000', WATCHDOG_PID: `${process.pid}` });
  await waitFor('five beats', () => manager.heard.length >= 5);
  const elapsed = performance.now() - start;
  assert.ok(elapsed > 450, `five beats in ${elapsed} ms`);
  assert.deepEqual(new Set(manager.heard), new Set(['WATCHDOG=1']));
  assert.deepEqual(other.heard, []);
});

test('whoever inherits the environment does not speak for this process', () => {
  const env = { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '1', WATCHDOG_PID: '1', HOME: '/' };
  new Notify(env).close();
  assert.deepEqual(env, { HOME: '/' });
});

test('without a manager, with one that is gone, or a name that cannot be one, nothing happens', (context) => {
  const gone = join(temporaryFolder(context), 'gone');
  for (const address of [undefined, '', gone, `/${'x'.repeat(200)}`, 'vsock:2:1', '@']) {
    const notify = new Notify({ NOTIFY_SOCKET: address });
    notify.ready('a');
    notify.status(() => 'b');
    notify.stopping();
    notify.close();
  }
});

test('a long status is cut to what a message holds', async (context) => {
  const manager = await openManager(context);
  notifyOf(context, manager).ready('€'.repeat(5000));
  await hears(manager, [`READY=1 STATUS=${'€'.repeat(200)}`]);
});
