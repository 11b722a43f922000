/** Hooks: which are run, in which order, with what, and what becomes of those that misbehave. Real processes. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { environmentOf, type HookEvent } from '../cli/hooks/environment.ts';
import { hooksIn } from '../cli/hooks/folder.ts';
import { HookQueue } from '../cli/hooks/queue.ts';
import { runHook } from '../cli/hooks/run.ts';
import { serveHooks } from '../cli/hooks/serve.ts';
import { CryonetError } from '../protocol/errors.ts';
import { answering } from './control-server.ts';
import { temporaryFolder } from './socket-pair.ts';

const long = 30_000;

function script(folder: string, name: string, body: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, mode);
  return path;
}

/** Waits, 30 s at most. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + long; !holds(); await pause(10))
    assert.ok(performance.now() < end, `waited in vain: ${what}`);
}

/** What a run of this script says. */
async function said(context: TestContext, body: string, timeout = long): Promise<string[]> {
  const lines: string[] = [];
  const path = script(temporaryFolder(context), 'hook', body);
  const environment = environmentOf({ event: 'link.up', time: 't' });
  await runHook({ path, environment, timeout, say: (line) => lines.push(line) });
  return lines;
}

suite('the queue', () => {
  const event = (peer: string, number = 0) => ({ peer, number });

  test('has one event of a peer at a time, in their order, and peers take turns', () => {
    const queue = new HookQueue<{ peer: string; number: number }>();
    for (const number of [1, 2, 3]) queue.add(event('a', number));
    queue.add(event('b', 1));
    const first = queue.next()!;
    const second = queue.next()!;
    assert.deepEqual([first.event, second.event], [event('a', 1), event('b', 1)]);
    assert.equal(queue.next(), undefined);
    queue.add(event('c', 1));
    first.done();
    const order = [queue.next()!, queue.next()!];
    assert.deepEqual(
      order.map(({ event: { peer, number } }) => `${peer}${number}`),
      ['c1', 'a2'],
    );
  });

  test('runs four at a time', () => {
    const queue = new HookQueue<{ peer: string; number: number }>();
    for (const peer of 'abcdef') queue.add(event(peer));
    const running = Array.from({ length: 4 }, () => queue.next()!);
    assert.equal(queue.next(), undefined);
    running[0]!.done();
    assert.equal(queue.next()!.event.peer, 'e');
  });

  test('keeps the last of a peer whose link flaps, and says how many it left out', () => {
    const queue = new HookQueue<{ peer: string; number: number }>();
    for (let number = 1; number <= 1000; number++) queue.add(event('flapping', number));
    assert.equal(queue.takeLeftOut(), 968);
    assert.equal(queue.takeLeftOut(), 0);
    assert.equal(queue.next()!.event.number, 969);
  });

  test('has room for so many peers, whatever is invented', () => {
    const queue = new HookQueue<{ peer: string; number: number }>();
    for (let peer = 0; peer < 5000; peer++) queue.add(event(`n${peer}`));
    assert.equal(queue.takeLeftOut(), 5000 - 1024);
    queue.add(event('rome'));
    assert.equal(queue.takeLeftOut(), 1);
  });
});

suite('the folder', () => {
  test('has the hooks that nobody else can change, by their names', (context) => {
    const folder = temporaryFolder(context);
    for (const name of ['20-b', '10-a']) script(folder, name, '');
    for (const name of ['x.sh', 'y~', '.z', 'a b']) script(folder, name, '');
    mkdirSync(join(folder, 'folder'));
    script(folder, 'data', '', 0o644);
    script(folder, 'loose', '', 0o775);
    const { paths, refused } = hooksIn(folder);
    assert.deepEqual(paths, [join(folder, '10-a'), join(folder, '20-b')]);
    assert.deepEqual(refused, [
      `${join(folder, 'data')} is not run: it is not executable (chmod 0755 ${join(folder, 'data')})`,
      `${join(folder, 'folder')} is not run: it is no file`,
      `${join(folder, 'loose')} is not run: others may write to it (chmod go-w ${join(folder, 'loose')})`,
    ]);
  });

  test('of somebody else’s, or that others may write to, has none', (context) => {
    const folder = temporaryFolder(context);
    const hook = script(folder, 'hook', '');
    const { uid } = process.getuid?.() === 0 ? { uid: 12_345 } : { uid: process.getuid!() + 1 };
    // Root’s are run for everybody.
    if (process.getuid?.() !== 0)
      assert.match(hooksIn(folder, uid).refused[0]!, /it is not root’s \(chown root/);
    chmodSync(folder, 0o777);
    assert.deepEqual(hooksIn(folder).paths, []);
    assert.match(hooksIn(folder).refused[0]!, /^no hook of .* is run: others may write to it/);
    assert.ok(existsSync(hook));
    assert.match(hooksIn(join(folder, 'none')).refused[0]!, /ENOENT/);
  });
});

suite('a hook', () => {
  test('has an environment with the event and nothing else in it', async (context) => {
    const path = script(temporaryFolder(context), 'hook', 'env | sort');
    const lines: string[] = [];
    const event: HookEvent = {
      event: 'link.path',
      time: 't',
      peer: 'rome',
      pathBefore: 'relayed',
      path: 'direct',
      mtu: 1432,
    };
    process.env.CRYONET_TOKEN = 'a secret';
    context.after(() => delete process.env.CRYONET_TOKEN);
    const environment = environmentOf({ ...event, reason: 'a\u001b[31m"$(b)`' }, { CRYONET_COST: '96' });
    await runHook({ path, environment, timeout: long, say: (line) => lines.push(line) });
    assert.deepEqual(
      lines.filter((line) => line.startsWith('hook: CRYONET_')),
      [
        'hook: CRYONET_COST=96',
        'hook: CRYONET_EVENT=link.path',
        'hook: CRYONET_MTU=1432',
        'hook: CRYONET_PATH=direct',
        'hook: CRYONET_PATH_BEFORE=relayed',
        'hook: CRYONET_PEER=rome',
        'hook: CRYONET_REASON=a?[31m"$(b)`',
        'hook: CRYONET_TIME=t',
      ],
    );
    const names = lines.map((line) => line.replace(/^hook: (\w+)=.*$/, '$1'));
    assert.deepEqual(
      names.filter((name) => !/^(CRYONET_.*|PATH|LANG|PWD|SHLVL|_|OLDPWD)$/.test(name)),
      [],
    );
  });

  test('that fails or cannot be started is told of', async (context) => {
    assert.deepEqual(await said(context, 'echo why >&2; exit 3'), ['hook: why', 'hook failed: exit code 3']);
    const lines: string[] = [];
    await runHook({ path: '/none', environment: {}, timeout: long, say: (line) => lines.push(line) });
    assert.match(lines[0]!, /^none was ended: it did not start: .*ENOENT/);
  });

  test('that hangs is ended, with what it started, whatever that ignores', async (context) => {
    const pid = join(temporaryFolder(context), 'pid');
    const lines = await said(
      context,
      `trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! >${pid}; while :; do sleep 1; done`,
      1000,
    );
    assert.deepEqual(lines, ['hook was ended: it took longer than 1 s']);
    await until('its child to be gone', () => !isRunning(Number(readFileSync(pid, 'utf8'))));
  });

  test('that ends and leaves something running is over, and so is that', async (context) => {
    const pid = join(temporaryFolder(context), 'pid');
    assert.deepEqual(await said(context, `sleep 1000 & echo $! >${pid}`), []);
    await until('its child to be gone', () => !isRunning(Number(readFileSync(pid, 'utf8'))));
  });

  test('that floods is ended, and little of it is told', async (context) => {
    const lines = await said(context, 'while :; do echo flood; done');
    assert.equal(lines.length, 66);
    assert.deepEqual(lines.slice(-2), [
      'hook: and more, which is left out',
      'hook was ended: it said more than 1048576 bytes',
    ]);
  });
});

/** A node that tells these events, one by one, to who asks; then it is silent. */
async function telling(context: TestContext) {
  const watchers: ServerResponse[] = [];
  const asked: (string | undefined)[] = [];
  const socket = await answering(context, ({ url, headers }, response) => {
    if (url !== '/v1/events') {
      response.statusCode = 404;
      response.end('{}');
      return;
    }
    asked.push(headers['last-event-id'] as string | undefined);
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    watchers.push(response);
  });
  const tell = (id: string, event: object) => {
    for (const each of watchers)
      each.write(`id: ${id}\ndata: ${JSON.stringify({ time: 't', ...event })}\n\n`);
  };
  return { socket, tell, asked, cut: () => watchers.splice(0).map((each) => each.destroy()) };
}

test('hooks are run for what happens; one that hangs holds up its own peer alone, and after a cut it goes on', async (context) => {
  const folder = temporaryFolder(context);
  const hooks = join(folder, 'hooks');
  mkdirSync(hooks, { mode: 0o755 });
  const log = join(folder, 'log');
  script(
    hooks,
    'note',
    `echo "$CRYONET_EVENT $CRYONET_PEER" >>${log}; [ "$CRYONET_PEER" != stuck ] || exec sleep 1000`,
  );
  const noted = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  const { socket, tell, asked, cut } = await telling(context);
  const lines: string[] = [];
  let isOver = false;
  const served = serveHooks({
    ...{ folder: hooks, timeout: 2000, stateDirectory: folder },
    at: (ask) => (isOver ? Promise.reject(new CryonetError('bad_config')) : ask(socket)),
    say: (line) => lines.push(line),
  }).catch((error: CryonetError) => error.code);
  await until('a watcher', () => asked.length === 1);
  tell('7-1', { event: 'link.up', peer: 'stuck' });
  tell('7-2', { event: 'link.lost', peer: 'stuck' });
  tell('7-3', { event: 'link.up', peer: 'rome' });
  await until('the other peer', () => noted().includes('link.up rome'));
  assert.ok(!noted().includes('link.lost stuck'));
  assert.ok(noted().some((line) => line.startsWith('hooks.started')));
  await until('the stuck one', () => noted().includes('link.lost stuck'));
  assert.deepEqual(lines, ['note was ended: it took longer than 2 s']);
  cut();
  await until('the watcher again', () => asked.length === 2);
  assert.deepEqual(asked, [undefined, '7-3']);
  assert.equal(readFileSync(join(folder, 'last-event'), 'utf8'), '7-3\n');
  tell('7-4', { event: 'peer.left', peer: 'rome' });
  await until('the event behind the cut', () => noted().includes('peer.left rome'));
  isOver = true;
  cut();
  assert.equal(await served, 'bad_config');
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie waits for init alone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
