/** Direct paths, as far as keypairs and addresses go: keys, probes, where records come from, how it all ends. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { deviceOptions, keypairOf, noneCounted, type Spec } from './direct-conformance-pair.ts';
import { numbered } from './native/packets.ts';
import { waitFor } from './native/wait.ts';

/** Counters behind the newest of which none is remembered any more: `REPLAY_BITS` in `record.h`. */
const replayBits = 8192;

export function keypairConformance(spec: Spec): void {
  for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const)
    spec(`packets and probes cross under ${cipher}`, async (pair) => {
      const [a, b] = await pair.connect({ cipher });
      await a.send(numbered(1));
      await b.gets(1);
      await b.probed(1);
    });

  spec('an index is taken once, and free when its keypair is removed', async (pair) => {
    const [a, b] = await pair.connect();
    const { index } = keypairOf('a');
    assert.equal(a.link.add(keypairOf('a')), false);
    assert.equal(a.link.add({ ...keypairOf('a', 1), index }), false);
    await b.send(numbered(1));
    await a.gets(1);
    a.link.use(null);
    a.link.remove(index);
    a.link.remove(index);
    assert.equal(a.link.add(keypairOf('a')), true);
    await b.send(numbered(2));
    await a.gets(1, 2);
  });

  spec('a key that has not 32 bytes is a TypeError, and its index stays free', async (pair) => {
    const [a] = await pair.connect();
    const keypair = keypairOf('a', 1);
    assert.throws(() => a.link.add({ ...keypair, sendKey: new Uint8Array(31) }), TypeError);
    assert.throws(() => a.link.add({ ...keypair, receiveKey: new Uint8Array(33) }), TypeError);
    assert.equal(a.link.add(keypair), true);
  });

  spec('a key is copied: what becomes of its bytes afterwards does not matter', async (pair) => {
    const [a, b] = await pair.connect();
    const keypair = keypairOf('a', 1);
    assert.ok(a.link.add(keypair) && b.link.add(keypairOf('b', 1)));
    keypair.sendKey.fill(0);
    keypair.receiveKey.fill(0);
    a.link.use(keypair.index);
    b.link.use(keypairOf('b', 1).index);
    await a.send(numbered(1));
    await b.gets(1);
    await b.send(numbered(2));
    await a.gets(2);
  });

  spec('using a keypair that there is not throws, and the one before stays in use', async (pair) => {
    const [a, b] = await pair.connect();
    for (const index of [keypairOf('a', 1).index, keypairOf('b').index])
      assert.throws(() => a.link.use(index), { code: 'ENOENT' });
    await a.send(numbered(1));
    await b.gets(1);
  });

  spec('records for a keypair that was removed are dropped, and count as strays', async (pair, lab) => {
    const [a, b] = await pair.connect({ generations: 2 });
    b.link.use(null);
    b.link.remove(keypairOf('b').index);
    await a.pass(numbered(1));
    assert.equal(a.probe(1), true);
    await waitFor('two strays', () => lab.strays() === 2);
    assert.equal(b.link.probe(keypairOf('b').index, 1, 0), false);
    a.link.use(keypairOf('a', 1).index);
    await a.send(numbered(2));
    await b.gets(2);
    await waitFor('the keypair', () => b.told('heard').length > 0);
    assert.deepEqual([a.told('answered'), b.told('heard')], [[], [keypairOf('b', 1).index]]);
    await b.counted({ rxRecords: 1, rxForged: 0 });
    assert.equal(lab.strays(), 2);
  });

  spec('a keypair that is not in use can be removed, and the one in use does not notice', async (pair) => {
    const [a, b] = await pair.connect({ generations: 2 });
    for (const { link, side } of [a, b]) link.remove(keypairOf(side, 1).index);
    await a.send(numbered(1));
    await b.gets(1);
    await b.send(numbered(2));
    await a.gets(2);
  });

  spec('old keys are still opened after new ones came into use, each way for itself', async (pair) => {
    const [a, b] = await pair.connect();
    await a.pass(numbered(1));
    for (const { link, side } of [a, b]) assert.ok(link.add(keypairOf(side, 1)));
    a.link.use(keypairOf('a', 1).index);
    await a.pass(numbered(2));
    await b.pass(numbered(3));
    b.link.use(keypairOf('b', 1).index);
    a.link.use(keypairOf('a').index);
    await a.pass(numbered(4));
    await b.pass(numbered(5));
    await b.gets(1, 2, 4);
    await a.gets(3, 5);
    await waitFor('all keypairs', () => a.told('heard').length + b.told('heard').length === 4);
    for (const end of [a, b])
      assert.deepEqual(
        end.told('heard'),
        [0, 1].map((generation) => keypairOf(end.side, generation).index),
      );
  });

  spec('what another key, or another cipher, sealed is not opened, heard or followed', async (pair, lab) => {
    const [a, b] = await pair.connect();
    const own = keypairOf('b');
    await lab.move('b');
    for (const keypair of [
      { ...own, index: keypairOf('b', 1).index, sendKey: new Uint8Array(32) },
      { ...own, index: keypairOf('b', 2).index, cipher: 'chacha20-poly1305' as const },
    ]) {
      assert.ok(b.link.add(keypair));
      b.link.use(keypair.index);
      await b.pass(numbered(1));
      assert.ok(b.link.probe(keypair.index, 1, 0));
    }
    await a.counted({ ...noneCounted, rxForged: 4 });
    assert.deepEqual([a.told('heard'), a.received(), a.link.endpoint().overhead], [[], [], 28]);
    b.link.use(own.index);
    await b.pass(numbered(2));
    await a.gets(2);
  });

  spec(
    'a probe is answered with its number and round trip, in use or not, at any size',
    async (pair, lab) => {
      const [a, b] = await pair.connect({ use: false });
      const numbers = [0, 7, 0x8000_0001, 0xffff_ffff];
      const before = performance.now();
      for (const [i, number] of numbers.entries()) await a.probed(number, i * 500);
      const elapsed = performance.now() - before;
      assert.deepEqual([a.told('answered'), b.told('answered')], [numbers, []]);
      for (const each of lab.told) {
        if (each.event !== 'answered') continue;
        assert.equal(each.index, keypairOf('a').index);
        assert.ok(each.rtt >= 0 && each.rtt <= elapsed, `${each.rtt} of ${elapsed} ms`);
      }
      const records = { txRecords: 4, rxRecords: 4 };
      for (const end of [a, b]) await end.counted({ ...noneCounted, ...records });
      assert.deepEqual(b.received(), []);
    },
  );

  spec(
    'a probe longer than the outgoing interface takes is refused, longer than the path it vanishes',
    async (pair, lab) => {
      const [a, b] = await pair.connect();
      for (const size of [1501, 9000, 65_536]) assert.equal(a.probe(size, size), false);
      lab.limitPath(1400);
      for (const size of [1500, 1401]) assert.equal(a.probe(size, size), true);
      await a.probed(1400, 1400);
      assert.deepEqual(a.told('answered'), [1400]);
      await a.counted({ txRecords: 3 });
      await b.counted({ rxRecords: 1 });
      assert.equal(a.link.probe(keypairOf('a', 1).index, 1, 0), false, 'no such keypair');
    },
  );

  spec('a keypair is heard once, before anything else is told of it', async (pair, lab) => {
    const [a, b] = await pair.connect();
    for (let n = 1; n <= 3; n++) {
      await b.pass(numbered(n));
      await a.probed(n);
    }
    await a.gets(1, 2, 3);
    assert.deepEqual([a.told('heard'), b.told('heard')], [[keypairOf('a').index], [keypairOf('b').index]]);
    const ofOurs = lab.told.filter(({ index }) => index === keypairOf('a').index);
    assert.deepEqual(
      ofOurs.map(({ event }) => event),
      ['heard', 'answered', 'answered', 'answered'],
    );
  });

  spec(
    'records from elsewhere move the path there, which is told each time but the first',
    async (pair, lab) => {
      const [a, b] = await pair.connect();
      const comes = async (n: number, overhead: number) => {
        await b.send(numbered(n));
        const expected = { ...lab.addressOf('b'), overhead };
        await waitFor('the new address', () => isDeepStrictEqual(a.link.endpoint(), expected));
        await a.probed(n);
        await a.send(numbered(n));
        await waitFor('the way back', () => b.numbers().at(-1) === n);
      };
      assert.deepEqual(a.link.endpoint(), { ...lab.addressOf('b'), overhead: 28 });
      await lab.move('b');
      await comes(1, 48);
      assert.deepEqual(a.told('roamed'), [], 'the first record only says which address it is');
      await comes(2, 48);
      await lab.move('b');
      await comes(3, 28);
      await lab.move('b');
      await comes(4, 48);
      await comes(5, 48);
      const { index } = keypairOf('a');
      assert.deepEqual([a.told('roamed'), b.told('roamed')], [[index, index], []]);
      pair.reach(a);
      await lab.move('b');
      await comes(6, 28);
      assert.equal(a.told('roamed').length, 2, 'nor is the first after an address was set');
      await a.gets(1, 2, 3, 4, 5, 6);
    },
  );

  spec('our end of the path is of the family of the peer’s end, whichever that is', async (pair, lab) => {
    const [a, b] = await pair.connect({ endpoint: false });
    assert.equal(a.link.source(), undefined, 'no end yet');
    pair.reach(a);
    assert.equal(isIP(a.link.source()!), 4);
    await lab.move('a');
    await lab.move('b');
    pair.reach(a);
    assert.equal(isIP(a.link.source()!), 6);
    pair.reach(b);
    await b.send(numbered(1));
    await a.gets(1);
    assert.equal(isIP(a.link.source()!), 6);
  });

  spec('a record that was held back is taken, and does not move the path back', async (pair, lab) => {
    const [a, b] = await pair.connect();
    lab.hold();
    await b.send(numbered(1));
    await waitFor('the record', () => lab.held() === 1);
    lab.pass();
    await lab.move('b');
    await b.send(numbered(2));
    await a.gets(2);
    await waitFor('the new address', () => a.link.endpoint().address === lab.addressOf('b').address);
    lab.release();
    await a.gets(2, 1);
    await a.probed(1);
    assert.deepEqual(a.link.endpoint(), { ...lab.addressOf('b'), overhead: 48 });
    assert.deepEqual(a.told('roamed'), []);
    // Both, the answer to the probe, and that to the question whether b is at its new address.
    await a.counted({ rxRecords: 4, rxReplayed: 0 });
  });

  spec('a record from where nobody answers is taken, and does not move the path', async (pair, lab) => {
    const [a, b] = await pair.connect();
    await a.probed(1);
    lab.hold();
    await b.send(numbered(1));
    await waitFor('the record', () => lab.held() === 1);
    lab.pass();
    await lab.move('b');
    pair.reach(a);
    lab.release();
    await a.gets(1);
    await a.send(numbered(2));
    await b.gets(2);
    assert.deepEqual(a.link.endpoint(), { ...lab.addressOf('b'), overhead: 48 });
    assert.deepEqual(a.told('roamed'), []);
  });

  spec('a peer that is asked at another address is found there, and nowhere else', async (pair, lab) => {
    const [a, b] = await pair.connect();
    await a.probed(1);
    const { index } = keypairOf('a');
    const before = a.link.endpoint();
    await lab.move('b');
    const { address, port } = lab.addressOf('b');
    assert.equal(a.link.ask(index, '127.0.0.1', 9), true);
    assert.equal(a.link.ask(index, 'localhost', port), false);
    assert.equal(a.link.ask(keypairOf('a', 1).index, address, port), false, 'no such keypair');
    assert.deepEqual(a.link.endpoint(), before);
    assert.equal(a.link.ask(index, address, port), true);
    await waitFor('the new address', () => a.link.endpoint().address === address);
    await waitFor('the news', () => a.told('roamed').length > 0);
    assert.deepEqual(a.told('roamed'), [index]);
    assert.deepEqual(a.told('answered'), [1], 'that is no answer to a probe');
    await a.send(numbered(1));
    await b.gets(1);
    for (let n = 1; n <= 4; n++) a.link.ask(index, '127.0.0.1', 9 + n);
    assert.equal(a.link.ask(index, '127.0.0.1', 99), false, 'no more at a time');
  });

  spec('a record that was held back for longer than the window is dropped and counted', async (pair, lab) => {
    const [a, b] = await pair.connect();
    lab.hold();
    await b.pass(numbered(1));
    await waitFor('the record', () => lab.held() === 1);
    lab.pass();
    for (let n = 1; n <= replayBits; n++) {
      if (n % 64 === 0) await b.probed(n);
      else assert.equal(b.probe(n), true);
    }
    lab.release();
    await a.counted({ rxReplayed: 1, rxPackets: 0, rxForged: 0 });
    await b.pass(numbered(2));
    await a.gets(2);
  });

  spec('a record that comes twice is taken once, and the other counted', async (pair, lab) => {
    const [a, b] = await pair.connect();
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    lab.repeat(true);
    for (const number of numbers) await a.send(numbered(number));
    await b.counted({ rxReplayed: 20, rxPackets: 20 });
    await a.probed(1);
    await b.counted({ rxReplayed: 21, rxPackets: 20, rxRecords: 21, rxForged: 0 });
    await a.counted({ rxReplayed: 1, rxRecords: 1 });
    await b.gets(...numbers);
    assert.deepEqual(a.told('answered'), [1]);
  });

  spec('an address that is none is refused, and the one before stays', async (pair) => {
    const [a, b] = await pair.connect();
    const before = a.link.endpoint();
    for (const address of ['', 'localhost', '1.2.3', '1.2.3.4/8', '1.2.3.4:5', ':'.repeat(100)])
      assert.equal(a.link.setEndpoint(address, 1), false, address);
    assert.deepEqual(a.link.endpoint(), before);
    await a.send(numbered(1));
    await b.gets(1);
  });

  const withoutIpv6 = { ipv6: false };
  spec(
    'where sockets have no IPv6, its addresses are refused',
    async (pair) => {
      const [a, b] = await pair.connect();
      for (const address of ['::1', '2001:db8::1', '::ffff:192.0.2.1'])
        assert.equal(a.link.setEndpoint(address, 1), false, address);
      await a.send(numbered(1));
      await b.gets(1);
    },
    withoutIpv6,
  );

  spec('an address is told in its shortest form, with the room that its headers take', async (pair) => {
    const [a] = await pair.connect();
    for (const [given, told, overhead] of [
      ['192.0.2.7', '192.0.2.7', 28],
      ['2001:DB8:0:0::0A', '2001:db8::a', 48],
      ['::ffff:192.0.2.7', '192.0.2.7', 28],
      ['::FFFF:C000:207', '192.0.2.7', 28],
    ] as const) {
      assert.equal(a.link.setEndpoint(given, 65_535), true);
      assert.deepEqual(a.link.endpoint(), { address: told, port: 65_535, overhead });
    }
  });

  spec(
    'a device that is closed, once or twice, takes its keypairs along and no others',
    async (pair, lab) => {
      const [a, b] = await pair.connect();
      const another = await pair.open('b');
      assert.ok(another.link.add(keypairOf('b', 1)) && a.link.add(keypairOf('a', 1)));
      b.tun.close();
      b.tun.close();
      assert.throws(() => b.tun.direct(), { code: 'tun_failed' });
      assert.equal(b.probe(1), false);
      await a.pass(numbered(1));
      await waitFor('the stray', () => lab.strays() === 1);
      a.link.use(keypairOf('a', 1).index);
      await a.pass(numbered(2));
      await another.gets(2);
      const again = await pair.open('b');
      assert.equal(again.link.add(keypairOf('b')), true, 'its index is free');
      assert.deepEqual(again.link.counters(), noneCounted);
    },
  );

  spec(
    'direct paths that are closed, once or twice, leave links to their datachannels',
    async (pair, lab) => {
      const [a, b] = await pair.connect();
      for (let times = 0; times < 2; times++) lab.closeDirect();
      assert.throws(() => a.link.carry(true), { code: 'ENOTCONN' });
      assert.equal(a.link.setEndpoint('192.0.2.1', 1), false);
      assert.equal(a.link.source(), undefined);
      assert.equal(a.link.ask(keypairOf('a').index, '192.0.2.1', 1), false);
      assert.equal(a.probe(1), true);
      await a.pass(numbered(1));
      assert.deepEqual(a.asideNumbers(), [1]);
      b.link.open(a.aside);
      await b.gets(1);
      await a.counted({ ...noneCounted, txPackets: 1, txBytes: 60, txData: 1 });
    },
  );

  spec('direct paths that are opened again know nothing of those before', async (pair, lab) => {
    const [sender, receiver] = await pair.connect();
    await sender.send(numbered(1));
    await receiver.gets(1);
    pair.close();
    lab.closeDirect();
    lab.openDirect();
    assert.equal(lab.strays(), 0);
    const [a, b] = await pair.connect();
    assert.deepEqual(a.link.counters(), noneCounted);
    await a.send(numbered(2));
    await b.gets(2);
  });

  spec('direct paths are opened once, and before the first device', async (_pair, lab) => {
    assert.throws(() => lab.openDirect(), { code: 'direct_refused' });
    lab.closeDirect();
    const tun = lab.factories.a.open(deviceOptions, () => {});
    try {
      assert.throws(() => lab.openDirect(), { code: 'direct_refused' });
    } finally {
      tun.close();
    }
    lab.openDirect();
  });
}
