/** What coalesce.c writes, and what segment.c cuts it into again, against the packets that were added. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { assertWhole } from './coalesce-order.ts';
import {
  build,
  type Deviation,
  deviations,
  type Fields,
  flag,
  ipLength,
  ipv6,
  type Kind,
  kinds,
  plain,
  sum,
  udp,
} from './coalesce-packets.ts';
import { Coalescer, type Options, virtioLength, type Write } from './coalesce-pipe.ts';
import { ethertype, withHeader } from './packets.ts';

const defaults: Options = { udp: true, information: false };

const says: Readonly<Record<Deviation['joined'], string>> = {
  never: 'is joined to none',
  unknown: 'is joined to none, and not overtaken by what has its addresses',
  apart: 'is joined to none that is without it',
  anew: 'is the first of the next',
  last: 'is the last of a super-packet',
  longer: 'is joined to none before it',
  always: 'is joined as any other',
};

let coalescer: Coalescer;

before(() => {
  coalescer = Coalescer.open();
});

after(() => coalescer.close());

test('45 packets of a flow are one write, and its header is what the kernel expects', async () => {
  for (const kind of kinds) {
    const packets = flow(kind, 45).map(build);
    const [write, ...others] = await coalescer.write(packets, defaults);
    assert.equal(write?.packets, 45);
    assert.equal(others.length, 0);
    const transport = ipLength(kind);
    const headers = packets[0]!.length - 1400;
    const header = write.bytes.subarray(0, virtioLength);
    const type = udp(kind) ? 5 : ipv6(kind) ? 4 : 1;
    const fields = [2, 4, 6, 8].map((at) => header.readUInt16LE(at));
    assert.deepEqual([header[0], header[1]], [1, type]);
    assert.deepEqual(fields, [headers, 1400, transport, udp(kind) ? 6 : 16]);

    const ip = write.bytes.subarray(virtioLength);
    assert.equal(ip.length, headers + 45 * 1400);
    assert.equal(ip.readUInt16BE(ipv6(kind) ? 4 : 2), ip.length - (ipv6(kind) ? 40 : 0));
    if (!ipv6(kind)) assert.equal(sum(ip.subarray(0, 20)), 0xffff);
    const pseudo = Buffer.from([0, udp(kind) ? 17 : 6, 0, 0]);
    pseudo.writeUInt16BE(ip.length - transport, 2);
    const addresses = ipv6(kind) ? ip.subarray(8, 40) : ip.subarray(12, 20);
    assert.equal(ip.readUInt16BE(transport + (udp(kind) ? 6 : 16)), sum(addresses, pseudo));
    if (udp(kind)) assert.equal(ip.readUInt16BE(transport + 4), ip.length - transport);
  }
});

test('flows whose packets alternate are a write each, up to 16 of them', async () => {
  for (const flows of [2, 16]) {
    const each = Array.from({ length: flows }, (_, i) =>
      flow(kinds[i % 4]!, 20, { ports: [i, 443], source: i >> 2 }),
    );
    const packets = each[0]!.flatMap((_, i) => each.map((packets) => build(packets[i]!)));
    assert.deepEqual(await counts(packets), Array(flows).fill(20));
  }
});

test('of more than 16 flows in turn those that come in runs are joined still', async () => {
  const runs = Array.from({ length: 40 }, (_, i) => flow('TCP over IPv4', 10, { ports: [i, 443] }));
  assert.deepEqual(await counts(runs.flat().map(build)), Array(40).fill(10));
});

test('a flow of short super-packets does not end those of another', async () => {
  const bulk = flow('TCP over IPv4', 40);
  const pairs = flow('TCP over IPv4', 80, { ports: [1, 443], payload: Buffer.alloc(100) }).map((fields, i) =>
    i % 2 === 0 ? fields : { ...fields, flags: flag.ack | flag.psh },
  );
  const packets = bulk.flatMap((fields, i) => [fields, pairs[2 * i]!, pairs[2 * i + 1]!]);
  assert.deepEqual(await counts(packets.map(build)), [40, ...Array(40).fill(2)]);
});

test('flows are told apart by either port, either address, protocol and version', async () => {
  const others: Partial<Fields>[] = [{ ports: [1, 443] }, { ports: [5001, 1] }, { source: 9 }, { target: 9 }];
  for (const kind of kinds) {
    for (const other of [...others, ...kinds.filter((other) => other !== kind).map((kind) => ({ kind }))]) {
      const [one, two] = [flow(kind, 5), flow(other.kind ?? kind, 5, other)];
      assert.deepEqual(await counts(one.flatMap((packet, i) => [build(packet), build(two[i]!)])), [5, 5]);
    }
  }
});

test('a super-packet ends with a shorter packet and with PSH', async () => {
  for (const kind of kinds) {
    const tail = { payload: Buffer.alloc(17, 1), flags: flag.ack | flag.psh };
    const packets = [...flow(kind, 5), ...flow(kind, 3)].map((fields, i) =>
      build(i === 4 ? { ...fields, ...tail } : fields),
    );
    const written = await check(packets);
    assert.deepEqual(
      written.map((write) => write.packets),
      [5, 3],
    );
  }
});

test('a packet with PSH, or the only one of its flow, passes unchanged behind an empty header', async () => {
  for (const kind of kinds) {
    const [alone, ...pushed] = flow(kind, 3, { flags: flag.ack | flag.psh });
    const packets = [{ ...alone!, ports: [7, 7] as const }, ...(udp(kind) ? [] : pushed)].map(build);
    for (const [i, write] of (await coalescer.write(packets, defaults)).entries()) {
      assert.deepEqual(write.bytes, Buffer.concat([Buffer.alloc(virtioLength), packets[i]!]));
    }
  }
});

test('UDP is joined only where the kernel takes it, and 64 packets at most', async () => {
  for (const kind of ['UDP over IPv4', 'UDP over IPv6'] as const) {
    const packets = flow(kind, 100, { payload: Buffer.alloc(100) }).map(build);
    assert.deepEqual(await counts(packets), [64, 36]);
    assert.deepEqual(await counts(packets, { udp: false, information: false }), Array(100).fill(1));
  }
});

test('what the kernel does not take as a super-packet it gets one by one, as it was added and in its place', async () => {
  for (const kind of kinds) {
    for (const information of [false, true]) {
      const one = flow(kind, 45, { payload: Buffer.alloc(100) }).map(build);
      const other = flow(kind, 45, { source: 7 }).map(build);
      const packets = one.flatMap((packet, i) => [packet, other[i]!]);
      const added = information ? packets.map((packet) => informed(packet)) : packets;
      assert.deepEqual(await counts(added, { ...defaults, information }), [45, 45]);
      const refused = await counts(added, { ...defaults, information, refusing: true });
      assert.deepEqual(refused, Array(90).fill(1));
    }
  }
});

test('TCP is joined only where it may be, and UDP beside it all the same', async () => {
  for (const kind of kinds) {
    const joined = await counts(flow(kind, 45).map(build), { ...defaults, tcp: false });
    assert.deepEqual(joined, udp(kind) ? [45] : Array(45).fill(1));
  }
});

test('a super-packet has 65535 bytes at most', async () => {
  for (const kind of kinds) {
    const [first] = flow(kind, 1);
    const headers = build(first!).length - 1400;
    const [sixteen, half] = [(65535 - headers) / 16, (65535 - headers) / 2].map(Math.floor);
    for (const [size, joined] of [
      [sixteen!, 16],
      [sixteen! + 1, 15],
      [half!, 2],
      [half! + 1, 1],
    ] as const) {
      const packets = flow(kind, joined + 1, { payload: Buffer.alloc(size, 3) }).map(build);
      assert.deepEqual(await counts(packets), [joined, 1], `${kind}, ${size} bytes`);
    }
    const [one, two] = flow(kind, 2, { payload: Buffer.alloc(40_000, 3) });
    for (const [length, joined] of [
      [65535, [2]],
      [65536, [1, 1]],
    ] as const) {
      const rest = two!.payload.subarray(0, length - headers - 40_000);
      assert.deepEqual(await counts([build(one!), build({ ...two!, payload: rest })]), joined);
    }
  }
});

test('it is full after 1022 packets, which are one write of 1024 parts', async () => {
  const packets = flow('TCP over IPv6', 1030, { payload: Buffer.of(1) }).map(build);
  assert.deepEqual(await counts(packets), [1022, 8]);
  assert.deepEqual(
    await counts(
      packets.map((packet) => informed(packet)),
      { udp: true, information: true },
    ),
    [1022, 8],
  );
});

test('packet information comes first, once, and is the same for all that are joined', async () => {
  const options = { udp: true, information: true };
  for (const kind of kinds) {
    const packets = flow(kind, 5).map((fields) => informed(build(fields)));
    const [write] = await check(packets, options);
    assert.equal(write?.packets, 5);
    assert.deepEqual(write.bytes.subarray(0, 4), packets[0]!.subarray(0, 4));
    packets[2]![1] = 1;
    assert.deepEqual(await counts(packets, options), [2, 1, 2]);
    packets[2] = informed(packets[2]!.subarray(4), ethertype.mpls);
    const numbered = kind !== 'UDP over IPv6';
    assert.deepEqual(await counts(packets, options), numbered ? [2, 1, 2] : [4, 1]);
  }
});

for (const deviation of deviations) {
  test(`a packet with ${deviation.name} ${says[deviation.joined]}`, async () => {
    for (const kind of kinds.filter(deviation.of)) {
      for (const at of [2, 0]) {
        const packets = deviant(kind, deviation, at);
        assert.deepEqual(await counts(packets), expected(deviation, at), `${kind}, packet ${at}`);
      }
      if (isLonely(deviation))
        assert.deepEqual(await counts(deviant(kind, deviation, 'all')), [1, 1, 1, 1, 1]);
      if (deviation.joined !== 'unknown') continue;
      const [other] = deviant(kind, deviation, 0, { ports: [1, 2] });
      const packets = flow(kind, 6).map(build);
      assert.deepEqual(await counts([...packets.slice(0, 3), other!, ...packets.slice(3)]), [3, 1, 3]);
    }
  });
}

test('checksums that were left out are not verified, and what is written has right ones once it is cut', async () => {
  const wrong = deviations.find(({ name }) => name === 'a wrong checksum')!;
  for (const kind of kinds) {
    const packets = flow(kind, 5).map((fields) => wrong.spoil!(build(fields), kind));
    const writes = await coalescer.write(packets, { ...defaults, partial: true });
    assert.deepEqual(
      writes.map(({ packets }) => packets),
      [5],
    );
    assert.deepEqual(writes[0]!.pieces, flow(kind, 5).map(build));
  }
});

test('the kernel is told where the checksum of a packet alone was left out, if it is of a flow', async () => {
  for (const kind of kinds) {
    for (const information of [false, true]) {
      const alone = build({ ...flow(kind, 1)[0]!, payload: Buffer.alloc(9, 1) });
      const [transport, before] = [ipLength(kind), information ? 4 : 0];
      for (const length of [alone.length, alone.length - 1]) {
        const packet = alone.subarray(0, length);
        const added = information ? informed(packet) : packet;
        const [write] = await coalescer.write([added], { ...defaults, information, partial: true });
        const header = Buffer.alloc(virtioLength);
        if (length === alone.length) {
          header[0] = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
          header.writeUInt16LE(transport, 6);
          header.writeUInt16LE(udp(kind) ? 6 : 16, 8);
        }
        const expected = Buffer.concat([added.subarray(0, before), header, added.subarray(before)]);
        assert.deepEqual(write, { packets: 1, bytes: expected, pieces: [] }, `${kind}, ${length} bytes`);
      }
    }
  }
});

test('the second packet with a wrong checksum leaves the first alone', async () => {
  const wrong = deviations.find(({ name }) => name === 'a wrong checksum')!;
  for (const kind of kinds) assert.deepEqual(await counts(deviant(kind, wrong, 1)), [1, 1, 3]);
});

test('an IPv4 checksum of 0 is right, 0xffff in its place is not', async () => {
  for (const kind of ['TCP over IPv4', 'UDP over IPv4'] as const) {
    const [probe] = flow(kind, 1, { identification: 0 });
    const identification = build(probe!).readUInt16BE(10);
    const packets = flow(kind, 5, { identification: identification - 2 }).map(build);
    assert.equal(packets[2]!.readUInt16BE(10), 0);
    assert.deepEqual(await counts(packets), [5]);
    packets[2]!.writeUInt16BE(0xffff, 10);
    assert.deepEqual(await counts(packets), [2, 1, 2]);
  }
});

test('a packet of no known flow holds up nothing that has other addresses, or is not IP', async () => {
  const packets = flow('UDP over IPv6', 6).map(build);
  const fragment = build({ ...plain, fragment: 185 });
  const elsewhere = deviant(
    'UDP over IPv6',
    deviations.find(({ name }) => name === 'an extension header')!,
    0,
    { source: 9 },
  )[0]!;
  for (const between of [fragment, elsewhere, Buffer.alloc(0), Buffer.alloc(70, 0x50)]) {
    assert.deepEqual(await counts([...packets.slice(0, 3), between, ...packets.slice(3)]), [6, 1]);
  }
});

test('a packet that ends anywhere is not read further, and not overtaken where it has its addresses', async () => {
  for (const kind of kinds) {
    for (const information of [false, true]) {
      const packets = flow(kind, 3, { payload: Buffer.alloc(9) }).map(build);
      const [one, two, cut] = packets.map((packet) => (information ? informed(packet) : packet));
      const addressed = ipLength(kind) + (information ? 4 : 0);
      for (const end of cut!.keys()) {
        const joined = await counts([one!, cut!.subarray(0, end), two!], { udp: true, information });
        assert.deepEqual(joined, end < addressed ? [2, 1] : [1, 1, 1], `${kind}, ${end} bytes`);
      }
    }
  }
});

test('whatever is added comes out byte for byte, each flow in its order', async () => {
  const number = (max: number) => fc.integer({ min: 0, max });
  const weighted = (weight: number, arbitrary: fc.Arbitrary<number>) => ({ weight, arbitrary });
  const step = fc.record({
    flow: fc.oneof(weighted(4, number(1)), weighted(1, number(19))),
    deviation: fc.oneof(weighted(4, fc.constant(-1)), weighted(1, number(deviations.length - 1))),
    other: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.uint8Array({ maxLength: 60 })),
    again: number(20).map((value) => value === 1),
    spoiled: number(100).map((value) => value === 1),
    byte: number(255),
  });
  const run = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }),
    fc.record({ udp: fc.boolean(), information: fc.boolean(), refusing: fc.boolean() }),
    fc.array(number(200), { minLength: 20, maxLength: 20 }),
    async (steps, options, sizes) => {
      const flows = sizes.map(
        (size, i) => flow(kinds[i % 4]!, 1, { source: i, payload: Buffer.alloc(size) })[0]!,
      );
      const packets: Buffer[] = [];
      const never = new Set<string>();
      for (const { flow, deviation, other, again, spoiled, byte } of steps) {
        const fields = { ...flows[flow]!, payload: Buffer.alloc(flows[flow]!.payload.length, byte) };
        const unlike = deviations[deviation]?.of(fields.kind) ? deviations[deviation] : undefined;
        const { packet, next } = advance(fields, unlike);
        flows[flow] = next;
        const bytes = other === undefined ? packet : Buffer.from(other);
        if (spoiled) bytes.fill(byte, bytes.length >> 1);
        const added = options.information ? informed(bytes) : bytes;
        packets.push(added, ...(again ? [added] : []));
        if (other === undefined && !spoiled && isLonely(unlike)) never.add(added.toString('hex'));
      }
      for (const { pieces } of await check(packets, options)) {
        for (const piece of pieces) assert(!never.has(piece.toString('hex')));
      }
    },
  );
  await fc.assert(run, { numRuns: 1500 });
});

/** `count` packets that follow each other. */
function flow(kind: Kind, count: number, fields: Partial<Fields> = {}): Fields[] {
  const packets = [{ ...plain, kind, payload: Buffer.alloc(1400, 0x5a), ...fields }];
  while (packets.length < count) packets.push({ ...advance(packets.at(-1)!).next, kind });
  return packets;
}

/** The packet that `fields` and `deviation` describe, and the fields of the one after it, which is as if there had
 *  been no deviation but in what was sent. */
function advance(fields: Fields, deviation?: Deviation): { packet: Buffer; next: Fields } {
  const sent = { ...fields, ...deviation?.change?.(fields) };
  const packet = build(sent);
  const next = {
    ...fields,
    sequence: sent.sequence + sent.payload.length,
    identification: sent.identification + 1,
  };
  return { packet: deviation?.spoil?.(packet, fields.kind) ?? packet, next };
}

/** Five packets of a flow that is `other` than the plain one; that at `at` is unlike the others. */
function deviant(
  kind: Kind,
  deviation: Deviation,
  at: number | 'all',
  other: Partial<Fields> = {},
): Buffer[] {
  let fields = flow(kind, 1, other)[0]!;
  return Array.from({ length: 5 }, (_, i) => {
    const { packet, next } = advance(fields, i === at || at === 'all' ? deviation : undefined);
    fields = next;
    return packet;
  });
}

function isLonely(deviation: Deviation | undefined): boolean {
  return deviation?.joined === 'never' || deviation?.joined === 'unknown';
}

/** How many of these five are in each write. */
function expected({ joined }: Deviation, at: number): number[] {
  if (joined === 'always') return [5];
  if (joined === 'anew') return at === 0 ? [5] : [2, 3];
  if (joined === 'last') return at === 0 ? [1, 4] : [3, 2];
  if (joined === 'longer') return at === 0 ? [2, 3] : [2, 2, 1];
  return at === 0 ? [1, 4] : [2, 1, 2];
}

function informed(packet: Buffer, type?: number): Buffer {
  const version = packet.length > 0 ? packet[0]! >> 4 : 0;
  return withHeader(type ?? (version === 6 ? ethertype.ipv6 : ethertype.ipv4), packet);
}

async function counts(packets: readonly Buffer[], options = defaults): Promise<number[]> {
  return (await check(packets, options)).map((write) => write.packets);
}

/** What is written, which holds every packet unchanged, and those of a flow in their order. */
async function check(packets: readonly Buffer[], options = defaults): Promise<Write[]> {
  const writes = await coalescer.write(packets, options);
  assertWhole(packets, writes, options);
  return writes;
}
