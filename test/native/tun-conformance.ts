/** What every TUN implementation does, for `memory-tun.ts` and `native-tun.ts` alike. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RecordSink, Tun, TunFactory, TunOptions } from '../../dataplane/io/tun.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { FarEnd, packetsIn } from './far-end.ts';
import { ethertype, labelled, numbered, numberOf, withHeader } from './packets.ts';
import { waitFor } from './wait.ts';

/** The kernel's side of the devices. */
export interface TunLab {
  readonly factory: TunFactory;
  /** Resolves when the kernel sends what it is asked to, after `setCarrier(true)`. */
  ready(tun: Tun): Promise<void>;
  /** The kernel sends `packet`, without header, out of the device; it may drop it. */
  send(tun: Tun, packet: Uint8Array, type?: number): Promise<void>;
  /** What the kernel received from the device, without header. */
  /** Sets the interface down and up again. */
  toggle(tun: Tun): void;
  /** Sets its reverse path filter of IPv4. */
  setRpFilter(tun: Tun, mode: number): void;
  received(tun: Tun): { readonly ethertype: number; readonly bytes: Uint8Array }[];
}

const defaults: TunOptions = {
  name: '',
  alias: '',
  mtu: 1400,
  packetInformation: false,
  linkLocal: 'fe80::c0:ffee',
};

export function tunConformance(kind: string, open: () => Promise<TunLab> | TunLab): void {
  function spec(behaviour: string, body: (lab: TunLab, device: Opener) => Promise<void> | void): void {
    test(`${kind}: ${behaviour}`, { timeout: 20_000 }, async (t) => {
      const lab = await open();
      await body(lab, opener(t, lab));
    });
  }

  spec('a packet the kernel sends reaches the sink of its device and no other', async (lab, device) => {
    const one = device();
    const other = device();
    await carrier(lab, one.tun, other.tun);
    await lab.send(one.tun, numbered(1));
    await lab.send(other.tun, numbered(2));
    await waitFor('both packets', () => one.numbers.length + other.numbers.length >= 2);
    assert.deepEqual([one.numbers, other.numbers], [[1], [2]]);
    assert.deepEqual(Buffer.from(one.packets[0]!), numbered(1));
  });

  spec('packets of the other end reach the kernel unchanged and in order', async (lab, device) => {
    const { tun, far } = device();
    const packets = Array.from({ length: 100 }, (_, n) => numbered(n, 28 + n * 13));
    far.give(packets);
    const received = () => receivedBy(lab, tun).filter(({ bytes }) => numberOf(bytes) !== undefined);
    await waitFor('all packets', () => received().length >= packets.length);
    assert.deepEqual(
      received(),
      packets.map((bytes) => ({ ethertype: ethertype.ipv4, bytes })),
    );
  });

  spec('packets keep their order, in batches that stay as they were', async (lab, device) => {
    const { tun, numbers, batches } = device();
    await carrier(lab, tun);
    for (let n = 0; n < 300; n++) {
      await lab.send(tun, numbered(n, 28 + (n % 1000)));
    }
    await waitFor('300 packets', () => numbers.length >= 300);
    const again = batches.flatMap((batch) => packetsIn(batch).flatMap((packet) => numberOf(packet) ?? []));
    assert.deepEqual(
      again,
      Array.from({ length: 300 }, (_, n) => n),
    );
  });

  spec('an empty name lets the kernel choose, and no two devices share name or ifindex', (_lab, device) => {
    const tuns = [device().tun, device().tun, device({ name: 'cn-third' }).tun];
    assert.match(tuns[0]!.name, /^tun\d+$/);
    assert.equal(tuns[2]!.name, 'cn-third');
    assert.equal(new Set(tuns.map((tun) => tun.name)).size, 3);
    assert.equal(new Set(tuns.map((tun) => tun.ifindex)).size, 3);
  });

  spec('a template gets the least number that is free', (_lab, device) => {
    const names = [1, 2, 3].map(() => device({ name: 'cn~%d' }).tun);
    assert.deepEqual(
      names.map(({ name }) => name),
      ['cn~0', 'cn~1', 'cn~2'],
    );
    names[1]!.close();
    assert.equal(device({ name: 'cn~%d' }).tun.name, 'cn~1');
  });

  spec('a name in use is refused, its device undisturbed, and free after close', async (lab, device) => {
    const { tun, numbers } = device({ name: 'cn-once' });
    refuses('tun_exists', () => device({ name: 'cn-once' }));
    await carrier(lab, tun);
    await lab.send(tun, numbered(1));
    await waitFor('the packet', () => numbers.length === 1);
    tun.close();
    assert.equal(device({ name: 'cn-once' }).tun.name, 'cn-once');
  });

  spec(
    'the longest name, alias and MTU are taken, one more is refused and leaves nothing',
    (_lab, device) => {
      const longest = { name: 'n'.repeat(15), alias: 'a'.repeat(255), mtu: 65535 };
      const refused = [
        { name: 'n'.repeat(16) },
        { alias: 'a'.repeat(256) },
        { alias: 'é'.repeat(128) },
        { mtu: 65536 },
        { mtu: 67 },
        { linkLocal: 'fe80' },
      ];
      for (const wrong of refused) refuses('tun_failed', () => device({ ...longest, ...wrong }));
      assert.equal(device(longest).tun.name, longest.name);
    },
  );

  spec(
    'a new device has no carrier: what the kernel would send is dropped until it has',
    async (lab, device) => {
      const { tun, numbers } = device();
      await lab.send(tun, numbered(1));
      await carrier(lab, tun);
      await lab.send(tun, numbered(2));
      await waitFor('the second packet', () => numbers.length > 0);
      assert.deepEqual(numbers, [2]);
    },
  );

  spec('a paused device delivers nothing, and all that waited once it resumes', async (lab, device) => {
    const { tun, numbers } = device();
    const other = device();
    await carrier(lab, tun, other.tun);
    tun.pause();
    for (let n = 0; n < 50; n++) await lab.send(tun, numbered(n));
    await lab.send(other.tun, numbered(99));
    await waitFor('the other device', () => other.numbers.length === 1);
    assert.deepEqual(numbers, []);
    tun.resume();
    await waitFor('what waited', () => numbers.length >= 50);
    assert.deepEqual(
      numbers,
      Array.from({ length: 50 }, (_, n) => n),
    );
  });

  spec(
    'what its queue has no room for is counted, and what has no way while there is no carrier is not',
    async (lab, device) => {
      const { tun, numbers } = device();
      await lab.send(tun, numbered(0));
      assert.equal(tun.dropped(), 0);
      await carrier(lab, tun);
      tun.pause();
      const sent = 3000;
      for (let n = 1; n <= sent; n++) await lab.send(tun, numbered(n));
      tun.resume();
      await waitFor('what was kept', () => numbers.length + tun.dropped() >= sent);
      assert.ok(tun.dropped() > 0);
      assert.ok(numbers.length + tun.dropped() < sent + 20, 'the kernel sends a few of its own');
      assert.ok(numbers.includes(1), 'the first were kept');
      tun.setCarrier(false);
      const before = tun.dropped();
      for (let n = 0; n < 50; n++) await lab.send(tun, numbered(n));
      assert.equal(tun.dropped(), before);
    },
  );

  spec('a sink that pauses its device gets no further batch before it resumes', async (lab, device) => {
    let resumed = true;
    let early = 0;
    const { tun, numbers } = device({}, () => {
      if (!resumed) early += 1;
      resumed = false;
      tun.pause();
      setImmediate(() => {
        resumed = true;
        tun.resume();
      });
    });
    await carrier(lab, tun);
    for (let n = 0; n < 200; n++) await lab.send(tun, numbered(n));
    await waitFor('all packets', () => numbers.length >= 200);
    assert.equal(early, 0);
  });

  spec('a device closed by its own sink delivers nothing more', async (lab, device) => {
    let atClose = 0;
    const { tun, batches, numbers } = device({}, () => {
      if (numbers.length === 0) return;
      tun.close();
      atClose = batches.length;
    });
    const other = device();
    await carrier(lab, tun, other.tun);
    for (let n = 0; n < 200; n++) await lab.send(tun, numbered(n));
    await lab.send(other.tun, numbered(1));
    await waitFor('the other device', () => other.numbers.length === 1);
    assert(numbers.length > 0);
    assert.equal(batches.length, atClose);
  });

  spec('a closed device has no packets, ignores changes and may be closed again', (_lab, device) => {
    const { tun } = device();
    tun.close();
    assert.throws(() => tun.direct(), { code: 'tun_failed' });
    tun.setCarrier(true);
    tun.setMtu(1300);
    tun.pause();
    tun.resume();
    tun.close();
  });

  spec('empty and unknown packets are lost, the others written', async (lab, device) => {
    const { tun, far } = device();
    far.give([numbered(1), new Uint8Array(0), Buffer.alloc(40, 0xff), numbered(3, 1400)]);
    const { rxPackets, rxRefused } = tun.direct().counters();
    assert.deepEqual([rxPackets, rxRefused], [2, 1]);
    const numbers = () => lab.received(tun).flatMap(({ bytes }) => numberOf(bytes) ?? []);
    await waitFor('both packets', () => numbers().length >= 2);
    assert.deepEqual(numbers(), [1, 3]);
  });

  spec('a longer MTU holds for the packets that come next', async (lab, device) => {
    const { tun, numbers } = device();
    await carrier(lab, tun);
    tun.setMtu(1280);
    tun.setMtu(9000);
    await lab.send(tun, numbered(5, 9000));
    await waitFor('the packet of 9000 bytes', () => numbers.length > 0);
    refuses('tun_failed', () => tun.setMtu(10));
  });

  spec('an address that goes with a set-down interface is put back beside others', (lab, device) => {
    const { tun } = device({ linkLocal: 'fe80::abc' });
    const addresses = () =>
      lab.factory.addresses().flatMap(({ index, address }) => (index === tun.ifindex ? address : []));
    assert.deepEqual(addresses(), ['fe80::abc']);
    assert.ok(tun.hasAddress);
    lab.toggle(tun);
    assert.deepEqual(addresses(), []);
    tun.putAddress();
    assert.ok(tun.hasAddress);
    assert.deepEqual(addresses(), ['fe80::abc']);
    tun.putAddress();
    assert.deepEqual(addresses(), ['fe80::abc']);
  });

  spec('addresses of both families are given, kept beside others, and taken away again', (lab, device) => {
    const { tun } = device({ linkLocal: 'fe80::abc' });
    const addresses = () =>
      lab.factory
        .addresses()
        .flatMap(({ index, address, prefixLength }) =>
          index === tun.ifindex ? `${address}/${prefixLength}` : [],
        )
        .sort();
    assert.equal(tun.giveAddress('10.20.2.1/32'), 'given');
    assert.equal(tun.giveAddress('10.20.3.1/24'), 'given');
    assert.equal(tun.giveAddress('fd20:2::1/128'), 'given');
    assert.equal(tun.giveAddress('fd20:2::1/128'), 'there');
    const all = ['10.20.2.1/32', '10.20.3.1/24', 'fd20:2::1/128', 'fe80::abc/64'];
    assert.deepEqual(addresses(), all);
    tun.putAddress();
    assert.deepEqual(addresses(), all);
    lab.toggle(tun);
    assert.deepEqual(addresses(), ['10.20.2.1/32', '10.20.3.1/24'], 'those of IPv6 go with it');
    assert.equal(tun.giveAddress('10.20.2.1/32'), 'there');
    tun.takeAddress('10.20.2.1/32');
    tun.takeAddress('10.20.2.1/32');
    tun.takeAddress('fd20:2::1/128');
    assert.deepEqual(addresses(), ['10.20.3.1/24']);
    tun.close();
    assert.notEqual(tun.giveAddress('10.20.2.1/32'), 'given');
    tun.takeAddress('10.20.3.1/24');
  });

  spec(
    'a device is a TUN among the interfaces, without a filter, which is taken off again',
    (lab, device) => {
      const { tun } = device({ name: 'cn-kind' });
      const link = () => lab.factory.links().find(({ index }) => index === tun.ifindex);
      const { name, kind, flags, rpFilter } = link()!;
      assert.deepEqual(
        { name, kind, up: flags & 1, rpFilter },
        { name: 'cn-kind', kind: 'tun', up: 1, rpFilter: 0 },
      );
      lab.setRpFilter(tun, 2);
      assert.equal(link()!.rpFilter, 2);
      tun.stopRpFilter();
      assert.equal(link()!.rpFilter, 0);
      tun.close();
      assert.equal(link(), undefined);
      tun.putAddress();
      tun.stopRpFilter();
    },
  );

  spec('with packet information an MPLS frame crosses unchanged, both ways', async (lab, device) => {
    const { tun, far, packets } = device({ packetInformation: true });
    await carrier(lab, tun);
    const frame = labelled(100, numbered(1, 1396));
    await lab.send(tun, frame, ethertype.mpls);
    const arrived = await waitFor('the frame', () => packets.find((packet) => numberOf(packet, 8) === 1));
    assert.deepEqual(Buffer.from(arrived), withHeader(ethertype.mpls, frame));
    far.give([arrived, withHeader(ethertype.mpls, new Uint8Array(0))]);
    const { rxPackets, rxMalformed } = tun.direct().counters();
    assert.deepEqual([rxPackets, rxMalformed], [1, 1]);
    const received = await waitFor('the frame in the kernel', () =>
      receivedBy(lab, tun).find(({ bytes }) => numberOf(bytes, 4) === 1),
    );
    assert.deepEqual(received, { ethertype: ethertype.mpls, bytes: frame });
  });

  spec('an address that is none has no route', (lab) => {
    for (const garbage of ['', 'localhost', '1.2.3', '1.2.3.4/8', 'fe80::1%lo', ':'.repeat(100)]) {
      assert.equal(lab.factory.route(garbage, 0), undefined);
    }
  });
}

function receivedBy(lab: TunLab, tun: Tun) {
  return lab.received(tun).map((packet) => ({ ...packet, bytes: Buffer.from(packet.bytes) }));
}

/** Opens a device that closes with the test; `numbers` are those of the packets of `numbered` it delivered. */
type Opener = (options?: Partial<TunOptions>, then?: RecordSink) => OpenDevice;

interface OpenDevice {
  readonly tun: Tun;
  readonly far: FarEnd;
  readonly batches: (readonly Uint8Array[])[];
  readonly packets: Uint8Array[];
  readonly numbers: number[];
}

function opener(t: TestContext, lab: TunLab): Opener {
  return (options = {}, then) => {
    const batches: (readonly Uint8Array[])[] = [];
    const packets: Uint8Array[] = [];
    const numbers: number[] = [];
    const tun = lab.factory.open({ ...defaults, ...options }, (batch) => {
      batches.push(batch);
      const opened = packetsIn(batch);
      packets.push(...opened);
      numbers.push(...opened.flatMap((packet) => numberOf(packet) ?? []));
      then?.(batch);
    });
    t.after(() => tun.close());
    return { tun, far: new FarEnd(tun), batches, packets, numbers };
  };
}

async function carrier(lab: TunLab, ...tuns: Tun[]): Promise<void> {
  for (const tun of tuns) {
    tun.setCarrier(true);
    await lab.ready(tun);
  }
}

function refuses(code: ErrorCode, body: () => unknown): void {
  assert.throws(body, { name: 'CryonetError', code });
}
