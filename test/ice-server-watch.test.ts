import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { staleForEver } from '../dataplane/io/ice-server-check.ts';
import { IceServerWatch } from '../dataplane/io/ice-server-watch.ts';
import type { IceServer } from '../dataplane/io/webrtc.ts';

const stun: IceServer = { kind: 'stun', host: 's.example', port: 3478 };
const turn: IceServer = { kind: 'turn', host: '2001:db8::1', port: 3478, user: 'u', credential: 'secret' };
const minute = 60_000;

function watching(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  /** What the servers answer by kind. */
  const troubles: Record<string, string | undefined> = {};
  const checks: string[] = [];
  const told: string[] = [];
  const signals: AbortSignal[] = [];
  const watch = new IceServerWatch({
    now: () => now,
    clock: () => now,
    check: async ({ kind }, signal) => {
      checks.push(kind);
      signals.push(signal);
      return troubles[kind];
    },
    told: (subject, trouble) => void told.push(`${subject} ${trouble ?? 'works'}`),
    endless: ({ kind }) => void told.push(`${kind} endless`),
  });
  context.after(() => watch.close());
  const pass = async (milliseconds: number) => {
    now += milliseconds;
    context.mock.timers.tick(milliseconds);
    await settled();
  };
  return { watch, troubles, checks, told, signals, pass };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('each server is checked once when it is first used, and left out while it does not work', async (context) => {
  const { watch, troubles, checks, told } = watching(context);
  troubles.turn = 'it refuses';
  assert.deepEqual(watch.use([stun, turn]), [stun, turn], 'nothing is known yet');
  await settled();
  for (let peers = 0; peers < 100; peers++) assert.deepEqual(watch.use([stun, turn]), [stun]);
  await settled();
  assert.deepEqual(checks, ['stun', 'turn']);
  assert.deepEqual(told, ['stun:s.example:3478 works', 'turn:[2001:db8::1]:3478 it refuses']);
  assert.doesNotMatch(told.join(), /secret/);
});

test('a server that does not work is checked after 5 s, and less and less often up to once a minute, whatever a hundred connections say', async (context) => {
  const { watch, troubles, checks, told, pass } = watching(context);
  troubles.turn = 'it refuses';
  watch.use([turn]);
  await settled();
  const at: number[] = [];
  for (let second = 1; second <= 180; second++) {
    for (let peers = 0; peers < 100; peers++) watch.suspect('turn');
    const before = checks.length;
    await pass(1000);
    if (checks.length > before) at.push(second);
  }
  assert.deepEqual(at, [5, 15, 35, 75, 135]);
  troubles.turn = undefined;
  await pass(minute);
  assert.equal(told.at(-1), 'turn:[2001:db8::1]:3478 works');
  assert.deepEqual(watch.use([turn]), [turn]);
  const all = checks.length;
  await pass(10 * minute);
  assert.equal(checks.length, all, 'one that works is left alone');
});

test('a server that fails again begins again with the shortest pause', async (context) => {
  const { watch, troubles, checks, pass } = watching(context);
  watch.use([turn]);
  await settled();
  for (let minutes = 0; minutes < 5; minutes++) {
    await pass(minute);
    watch.suspect('turn');
    await settled();
  }
  troubles.turn = 'it is down';
  await pass(minute);
  watch.suspect('turn');
  await settled();
  const all = checks.length;
  await pass(4999);
  assert.equal(checks.length, all);
  await pass(1);
  assert.equal(checks.length, all + 1);
});

test('a server that works is checked again when a connection got nothing from it, less and less often', async (context) => {
  const { watch, troubles, checks, told, pass } = watching(context);
  watch.use([stun, turn]);
  await settled();
  const at: number[] = [];
  for (let second = 1; second <= 180; second++) {
    watch.suspect('turn');
    const before = checks.length;
    await pass(1000);
    if (checks.length > before) at.push(second);
  }
  assert.deepEqual(at, [10, 30, 70, 130]);
  troubles.turn = 'it is down';
  watch.suspect('turn');
  await pass(minute);
  assert.equal(told.at(-1), 'turn:[2001:db8::1]:3478 it is down');
  await pass(5_000);
  const all = checks.length;
  watch.suspect('stun');
  await settled();
  assert.deepEqual(checks.slice(all), ['stun']);
});

test('a server is checked when the credential has ended that somebody made for it, and told of', async (context) => {
  const { watch, troubles, checks, told, pass } = watching(context);
  // The clock begins at 0.
  const limited: IceServer = { ...turn, user: `${'0'.repeat(7)}90:lab` } as IceServer;
  watch.use([limited]);
  await settled();
  await pass(90_000);
  assert.equal(checks.length, 1);
  troubles.turn = 'it has expired';
  await pass(1000);
  assert.equal(checks.length, 2);
  assert.equal(told.at(-1), 'turn:[2001:db8::1]:3478 it has expired');
  assert.deepEqual(watch.use([limited]), []);
});

test('a TURN server that connections have asked is checked every five minutes, and told of where they ask it for ever', async (context) => {
  const { watch, troubles, checks, told, pass } = watching(context);
  watch.use([stun, turn]);
  await settled();
  for (let second = 0; second < 299; second++) {
    await pass(1000);
    watch.look([turn, turn]);
  }
  assert.deepEqual(checks, ['stun', 'turn']);
  troubles.turn = staleForEver;
  await pass(1000);
  watch.look([turn, turn]);
  await settled();
  assert.deepEqual(checks, ['stun', 'turn', 'turn']);
  assert.equal(told.at(-1), 'turn endless');
  watch.look([{ ...turn, port: 1 }]);
});

test('a server that is not used any more is forgotten, with the check that is under way', async (context) => {
  const { watch, troubles, told, signals, checks, pass } = watching(context);
  troubles.turn = 'it refuses';
  watch.use([turn]);
  await settled();
  watch.use([stun]);
  assert.equal(told.at(-1), 'turn:[2001:db8::1]:3478 works');
  assert.ok(signals[0]!.aborted);
  watch.close();
  watch.close();
  assert.ok(signals.every(({ aborted }) => aborted));
  await pass(5 * minute);
  assert.deepEqual(checks, ['turn', 'stun']);
});

test('of two users of one server, the one that is refused is told, whichever is checked last', async (context) => {
  const { watch, told } = watching(context);
  const other: IceServer = { ...turn, user: 'other' } as IceServer;
  const refusing = new IceServerWatch({
    check: async (server) => (server === other ? 'it refuses' : undefined),
    told: (subject, trouble) => void told.push(`${subject} ${trouble ?? 'works'}`),
    endless: ({ kind }) => void told.push(`${kind} endless`),
  });
  context.after(() => refusing.close());
  assert.deepEqual(refusing.use([other, turn]), [other, turn]);
  await settled();
  assert.equal(told.at(-1), 'turn:[2001:db8::1]:3478 it refuses');
  assert.deepEqual(refusing.use([other, turn]), [turn]);
  watch.close();
});

test('of STUN servers those that work are asked, and all of them where none does', async (context) => {
  const { told } = watching(context);
  const other: IceServer = { ...stun, port: 1 };
  const dead = new Set<IceServer>([stun]);
  const watch = new IceServerWatch({
    check: async (server) => (dead.has(server) ? 'it does not answer' : undefined),
    told: (subject, trouble) => void told.push(`${subject} ${trouble ?? 'works'}`),
    endless: ({ kind }) => void told.push(`${kind} endless`),
  });
  context.after(() => watch.close());
  watch.use([stun, other, turn]);
  await settled();
  assert.deepEqual(watch.use([stun, other, turn]), [other, turn]);
  dead.add(turn);
  watch.close();
  watch.use([stun, turn]);
  await settled();
  assert.deepEqual(watch.use([stun, turn]), [stun]);
});
