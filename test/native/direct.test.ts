/** The engine in programs without Node, in one file because it takes 15 s of a processor to compile it for both sanitizers. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { addresses, buildEngine, runEngine, sanitizers } from './direct-engine.ts';

const workers = [1, 2, 4] as const;

for (const sanitizer of sanitizers) {
  const flag = `-fsanitize=${sanitizer}`;

  test(`every packet arrives once and in order, whatever changes under it (${flag})`, () => {
    const program = buildEngine('direct-traffic', sanitizer);
    const runs = addresses.flatMap((address) =>
      workers.map((count) =>
        runEngine(program, address, count, 1000, randomInt(2 ** 32))
          .match(/\d+/g)!
          .map(Number),
      ),
    );
    for (const [direct = 0, all = 0] of runs) {
      assert.equal(all, 12_000);
      assert.ok(direct > all / 10, `${direct}`);
    }
    // What changes is drawn at random: a single run may do without one kind.
    const changes = runs
      .map((run) => run.slice(2))
      .reduce((sum, run) => sum.map((count, kind) => count + run[kind]!));
    assert.ok(changes.length === 6 && changes.every((count) => count > 0), `${changes}`);
  });

  test(`of what is cut, altered, repeated, guessed or stale comes nothing but an exact count (${flag})`, () => {
    const program = buildEngine('direct-forgery', sanitizer);
    for (const address of addresses) {
      for (const count of workers) {
        const datagrams = Number(/^(\d+) datagrams\n$/.exec(runEngine(program, address, count))?.[1]);
        assert.ok(datagrams > 5000 * count, `${datagrams}`);
      }
    }
  });

  test(`no event is lost below the bound, and the bell rings for the first (${flag})`, () => {
    assert.equal(runEngine(buildEngine('event-queue', sanitizer)), '80000 events\n');
  });

  test(`what the kernel refuses is counted by its cause, and no other link pays for it (${flag})`, () => {
    assert.equal(runEngine(buildEngine('direct-refusal', sanitizer)), 'all refusals counted\n');
  });

  test(`packets show their marks outside and take those of routers in, one call for one mark (${flag})`, () => {
    const program = buildEngine('direct-ecn', sanitizer);
    for (const address of addresses) assert.equal(runEngine(program, address), 'every octet as expected\n');
  });

  test(`records leave from the address that the peer’s come to (${flag})`, () => {
    const program = buildEngine('direct-source', sanitizer);
    const [first, second, gone] = ['127.0.0.2', '127.0.0.3', '192.0.2.1'];
    for (const [peer, any] of [
      ['127.0.0.1', '0.0.0.0'],
      ['127.0.0.1', '::'],
      ['::ffff:127.0.0.1', '::'],
    ] as const)
      assert.equal(
        runEngine(program, peer, any, first, second, gone),
        'every record from where it belongs\n',
      );
  });
}

test('records arrive at the receiver that their index says, and everything else at ICE', () => {
  const program = buildEngine('outer-steering', 'address,undefined');
  // Every first byte with ten lengths, before, with and after each of five numbers of receivers; and every low byte.
  const datagrams = 256 * 10 * 11 + 256 * 5;
  for (const address of addresses) assert.equal(runEngine(program, address), `${datagrams} datagrams\n`);
});

test('no packet, probe or forgery allocates memory, and a link takes less than half a megabyte', () => {
  const words = runEngine(buildEngine('direct-memory'));
  const [link = 0, keypair = 0, resident = 0] = words.match(/\d+/g)!.map(Number);
  assert.ok(link > 0 && keypair > 0 && link + 3 * keypair < 512 * 1024, words);
  // Nothing touches its ring before there is a packet in it.
  assert.ok(resident < 64 * 1024, words);
});
