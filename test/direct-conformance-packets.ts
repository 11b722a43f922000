/** Direct paths, as far as packets go: which take them, which come to the sink, what is counted. */
import assert from 'node:assert/strict';
import type { DirectCounters } from '../dataplane/io/direct.ts';
import { configuring } from './admission-packets.ts';
import { keypairOf, longest, noneCounted, type Spec } from './direct-conformance-pair.ts';
import { ethertype, labelled, numbered, withHeader } from './native/packets.ts';
import { waitFor } from './native/wait.ts';

const counterNames = Object.keys(noneCounted) as (keyof DirectCounters)[];

export function packetConformance(spec: Spec): void {
  spec('packets of the kernel at one end are its packets at the other, byte for byte', async (pair) => {
    const [a, b] = await pair.connect();
    const sizes = [28, 29, 100, 1280, longest - 1, longest, 60, longest, 61];
    const packets = sizes.map((size, n) => numbered(n, size));
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const packet of packets) await from.send(packet);
      await waitFor('the packets', () => to.received().length >= packets.length);
      const expected = packets.map((packet) => ({ ethertype: ethertype.ipv4, bytes: packet }));
      assert.deepEqual(to.received(), expected);
    }
    const count = packets.length;
    const bytes = sizes.reduce((sum, size) => sum + size);
    for (const end of [a, b]) {
      await end.counted({ txPackets: count, rxPackets: count, rxBytes: bytes, txRecords: count });
      const { txWrites, rxWrites, ...counters } = end.link.counters();
      assert.deepEqual(
        { ...counters, txWrites: 0, rxWrites: 0 },
        {
          ...noneCounted,
          ...{ txPackets: count, txBytes: bytes, txRecords: count },
          ...{ rxPackets: count, rxBytes: bytes, rxRecords: count },
        },
      );
      for (const writes of [txWrites, rxWrites]) assert.ok(writes >= 1 && writes <= count, `${writes}`);
      assert.deepEqual(end.aside, []);
    }
  });

  spec('with packet information MPLS crosses, and its bytes count', async (pair) => {
    const [a, b] = await pair.connect({ packetInformation: true });
    const frames = [20, 1000, longest - 8].map((size, n) => labelled(n + 16, Buffer.alloc(size, n)));
    for (const frame of frames) await a.send(frame, ethertype.mpls);
    await waitFor('the frames', () => b.received().length >= frames.length);
    const expected = frames.map((bytes) => ({ ethertype: ethertype.mpls, bytes }));
    assert.deepEqual(b.received(), expected);
    const longer = labelled(19, Buffer.alloc(longest - 7));
    await a.pass(longer, ethertype.mpls);
    assert.deepEqual(a.asidePackets().map(Buffer.from), [withHeader(ethertype.mpls, longer)]);
    const bytes = frames.reduce((sum, { length }) => sum + 4 + length, 0);
    await a.counted({ txPackets: 4, txBytes: bytes + 4 + longer.length, txAside: 1, txData: 1 });
    await b.counted({ rxPackets: 3, rxBytes: bytes });
  });

  spec('what would configure the other end does not reach its kernel, and is counted', async (pair) => {
    const [a, b] = await pair.connect();
    for (const packet of Object.values(configuring)) await a.send(Buffer.from(packet));
    await a.send(numbered(1));
    await b.gets(1);
    const rxConfiguring = Object.keys(configuring).length;
    await b.counted({ rxPackets: 1, rxConfiguring, rxRefused: 0, rxMalformed: 0 });
  });

  spec('with packet information ARP, VLANs and others do not reach the kernel', async (pair) => {
    const [a, b] = await pair.connect({ packetInformation: true });
    for (const type of [0x0806, 0x8100, 0x888e, 0x88cc]) await a.send(numbered(type), type);
    await a.send(numbered(1), ethertype.ipv4);
    await b.gets(1);
    await b.counted({ rxPackets: 1, rxProtocol: 4 });
  });

  spec('without a keypair in use packets go nowhere, and are counted', async (pair) => {
    const [a, b] = await pair.connect({ use: false });
    await a.pass(numbered(1));
    a.link.use(keypairOf('a').index);
    await a.pass(numbered(2));
    a.link.use(null);
    a.link.use(null);
    await a.pass(numbered(3));
    await b.gets(2);
    assert.deepEqual(a.aside, []);
    await a.counted({ txPackets: 1, txAside: 0, txKeyless: 2 });
  });

  spec(
    'while the direct path does not carry, packets come to the sink, sealed, and open at the other end',
    async (pair, lab) => {
      const [a, b] = await pair.connect();
      a.link.carry(false);
      for (const number of [1, 2]) await a.pass(numbered(number));
      await a.counted({ ...noneCounted, txPackets: 2, txBytes: 120, txData: 2 });
      assert.deepEqual(a.asideNumbers(), [1, 2]);
      const [first, second] = a.aside.map((record) => record.slice());
      const changed = first!.slice();
      changed[20]! ^= 1;
      const byUdp = first!.slice();
      byUdp[2] = 0;
      b.link.open([changed, byUdp, new Uint8Array(), second!.slice(), first!, second!.slice()]);
      await b.gets(2, 1);
      await b.counted({
        ...noneCounted,
        rxPackets: 2,
        rxBytes: 120,
        rxData: 2,
        rxForged: 1,
        rxReplayed: 1,
        rxWrites: b.link.counters().rxWrites,
      });
      await waitFor('the keypair', () => b.told('heard').length > 0);
      assert.equal(lab.strays(), 0);
      a.link.carry(true);
      await a.pass(numbered(3));
      await b.gets(2, 1, 3);
    },
  );

  spec(
    'records of a datachannel and of the direct path have a window each, however late one is',
    async (pair) => {
      const [a, b] = await pair.connect();
      a.link.carry(false);
      await a.pass(numbered(1));
      a.link.carry(true);
      for (let n = 1; n <= 8200; n++) {
        if (n % 64 === 0) await a.probed(n);
        else assert.equal(a.probe(n), true);
      }
      b.link.open(a.aside);
      await b.gets(1);
      await b.counted({ rxReplayed: 0, rxForged: 0 });
    },
  );

  spec(
    'a record without a packet shows the other end that there are keys, and nothing else',
    async (pair) => {
      const [a, b] = await pair.connect({ use: false });
      assert.equal(a.link.sign(keypairOf('a', 1).index), undefined, 'no such keypair');
      b.link.open([a.link.sign(keypairOf('a').index)!]);
      await waitFor('the keypair', () => b.told('heard').length > 0);
      assert.deepEqual(b.told('heard'), [keypairOf('b').index]);
      await b.counted(noneCounted);
    },
  );

  spec('a record for another link is not opened by this one', async (pair) => {
    const [a, b] = await pair.connect({ use: false });
    const another = await pair.open('b');
    another.link.open([a.link.sign(keypairOf('a').index)!]);
    b.link.open([a.link.sign(keypairOf('a').index)!]);
    await waitFor('the keypair', () => b.told('heard').length > 0);
    assert.deepEqual(another.link.counters(), noneCounted);
  });

  spec('packets above the limit come to the sink and are counted; until it is set, all do', async (pair) => {
    const [a, b] = await pair.connect({ limit: undefined });
    await a.pass(numbered(1));
    a.link.setLimit(100);
    for (const size of [100, 101]) await a.pass(numbered(size, size));
    a.link.setLimit(101);
    await a.pass(numbered(102, 101));
    await b.gets(100, 102);
    assert.deepEqual(a.asideNumbers(), [1, 101]);
    await a.counted({ txPackets: 4, txAside: 2, txData: 2, txTooLong: 0 });
  });

  spec('what is longer than the outgoing interface takes is lost and counted', async (pair) => {
    const [a, b] = await pair.connect({ limit: 9000 });
    for (const size of [longest, longest + 1, 100]) await a.pass(numbered(size, size));
    await b.gets(longest, 100);
    await a.counted({ txPackets: 2, txRecords: 2, txTooLong: 1, txRefused: 0, txAside: 0 });
    assert.deepEqual(a.aside, []);
  });

  spec('without an address packets are refused and counted, and probes vanish', async (pair) => {
    const [a, b] = await pair.connect({ endpoint: false });
    assert.deepEqual(a.link.endpoint(), { address: '::', port: 0, overhead: 48 });
    await a.pass(numbered(1));
    assert.equal(a.probe(1), true);
    assert.deepEqual({ ...a.link.counters(), txWrites: 0 }, { ...noneCounted, txRefused: 1 });
    pair.reach(a);
    await a.pass(numbered(2));
    await b.gets(2);
    assert.deepEqual(a.aside, []);
  });

  spec(
    'a probe that comes before the peer’s address is known is answered, and nothing is asked',
    async (pair) => {
      const [a, b] = await pair.connect({ endpoint: false }, {});
      await b.probed(1);
      assert.equal(a.link.counters().txRecords, 1, 'the answer');
      pair.reach(a);
      await a.probed(2);
      await b.pass(numbered(1));
      await a.gets(1);
      await a.counted({ rxMalformed: 0 });
      await b.counted({ rxMalformed: 0 });
    },
  );

  spec('a packet that the other interface does not take is counted, and no other suffers', async (pair) => {
    const [a, b] = await pair.connect();
    await a.send(Buffer.alloc(40, 0xff));
    await a.send(numbered(1));
    await b.gets(1);
    await b.counted({ rxRefused: 1, rxPackets: 1, rxRecords: 2, rxBytes: 60, rxMalformed: 0 });
  });

  spec('a packet that is no longer than packet information makes no sense to who has it', async (pair) => {
    const [a, b] = await pair.connect({}, { packetInformation: true });
    for (const length of [3, 4]) await a.send(Buffer.alloc(length));
    await a.send(withHeader(ethertype.ipv4, numbered(1)));
    await b.gets(1);
    await b.counted({ rxMalformed: 2, rxRecords: 3, rxPackets: 1, rxRefused: 0, rxBytes: 64 });
  });

  spec('a packet that is longer than the other interface’s MTU is taken', async (pair) => {
    const [a, b] = await pair.connect({}, { mtu: 1280 });
    await a.send(numbered(1, 1400));
    await b.gets(1);
    await b.counted({ rxPackets: 1, rxBytes: 1400, rxRefused: 0 });
  });

  for (const packetInformation of [false, true]) {
    const kind = packetInformation ? ' with packet information' : '';
    spec(
      `a packet of our own tunnels comes to the sink, those of others do not${kind}`,
      async (pair, lab) => {
        const [a, b] = await pair.connect({ packetInformation });
        const udp = (address: string, port: number) => {
          const packet = numbered(0);
          packet[9] = 17;
          packet.set(address.split('.').map(Number), 12);
          packet.writeUInt16BE(port, 20);
          return packet;
        };
        const own = udp(lab.addressOf('a').address, lab.port);
        const others = [udp(lab.addressOf('a').address, lab.port ^ 1), udp('203.0.113.9', lab.port)];
        for (const packet of [own, ...others]) await a.pass(packet);
        await waitFor('the others', () => b.received().length > 1);
        const received = others.map((bytes) => ({ ethertype: ethertype.ipv4, bytes }));
        assert.deepEqual(b.received(), received);
        assert.deepEqual(a.aside, []);
        await a.counted({ txPackets: 2, txAside: 0, txLooped: 1 });
      },
    );
  }

  spec('a paused device sends nothing, and all that waited when it resumes, each its way', async (pair) => {
    const [a, b] = await pair.connect();
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const isLong = (number: number) => number % 3 === 0;
    a.tun.pause();
    for (const number of numbers) await a.send(numbered(number, isLong(number) ? longest + 1 : longest));
    await b.send(numbered(99));
    await a.gets(99);
    assert.deepEqual([b.numbers(), a.aside, a.link.counters().txPackets], [[], [], 0]);
    a.tun.resume();
    await b.gets(...numbers.filter((number) => !isLong(number)));
    await waitFor('the longer ones', () => a.aside.length >= 7);
    assert.deepEqual(a.asideNumbers(), numbers.filter(isLong));
  });

  spec('counters have one name for each cause, begin at zero and never fall', async (pair, lab) => {
    const [a, b] = await pair.connect({ limit: 200 });
    const before = new Map([a, b].map((end) => [end, end.link.counters()]));
    for (const counters of before.values()) assert.deepEqual(counters, noneCounted);
    const look = () => {
      for (const [end, then] of before) {
        const now = end.link.counters();
        for (const name of counterNames) assert.ok(now[name] >= then[name], name);
        before.set(end, now);
      }
    };
    for (let n = 0; n < 50; n++) {
      if (n === 10) lab.repeat(true);
      if (n === 20) lab.repeat(false);
      if (n === 30) a.link.use(null);
      if (n === 40) a.link.use(keypairOf('a').index);
      await a.pass(numbered(n, n % 2 === 0 ? 200 : 201));
      if (n % 5 === 0) await b.probed(n);
      look();
    }
    await b.counted({ rxPackets: 20, rxBytes: 4000 });
    await a.counted({
      txPackets: 40,
      txBytes: 4000 + 20 * 201,
      txAside: 20,
      txKeyless: 10,
      txRecords: 30,
      rxRecords: 10,
      rxReplayed: 2,
    });
    look();
  });
}
