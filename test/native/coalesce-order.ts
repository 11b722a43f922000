import assert from 'node:assert/strict';
import { type Options, virtioLength, type Write } from './coalesce-pipe.ts';
import { ethertype } from './packets.ts';

/** Asserts that `writes` hold every packet unchanged and as often as it was added, those of a flow in their order, and
 *  what is joined where its first packet was. */
export function assertWhole(packets: readonly Buffer[], writes: readonly Write[], options: Options): void {
  const added = new Map<string, number[]>();
  for (const [i, packet] of packets.entries()) {
    const hex = packet.toString('hex');
    added.set(hex, [...(added.get(hex) ?? []), i]);
  }
  const order = writes.map((write) =>
    piecesOf(write, options).map((piece) => {
      const index = added.get(piece.toString('hex'))?.shift();
      assert(index !== undefined, `${piece.toString('hex')} was not added, or not as often`);
      return index;
    }),
  );
  const firsts = order.map(([first]) => first!);
  // What is refused as a super-packet has its place, packet for packet.
  if (options.refusing !== true)
    assert.deepEqual(
      firsts,
      firsts.toSorted((a, b) => a - b),
    );
  const places = order.flat();
  assert.equal(places.length, packets.length);
  const flows = packets.map((packet) => flowOf(packet, options));
  for (const [at, early] of places.entries()) {
    for (let i = at + 1; i < places.length; i++) {
      const late = places[i]!;
      assert(late > early || !mayBeOne(flows[early], flows[late]), `packet ${early} overtakes ${late}`);
    }
  }
}

function piecesOf({ packets, bytes, pieces }: Write, options: Options): readonly Buffer[] {
  if (packets > 1) return pieces;
  const at = options.information ? Math.min(4, bytes.length - virtioLength) : 0;
  assert.deepEqual(bytes.subarray(at, at + virtioLength), Buffer.alloc(virtioLength));
  return [Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + virtioLength)])];
}

interface Flow {
  readonly addresses: string;
  /** With the protocol; undefined where the packet does not say, or not where it should. */
  readonly ports: string | undefined;
}

function flowOf(added: Buffer, options: Options): Flow | undefined {
  const packet = added.subarray(options.information ? 4 : 0);
  const version = packet.length === 0 ? 0 : packet[0]! >> 4;
  const length = version === 6 ? 40 : 20;
  if ((version !== 4 && version !== 6) || packet.length < length) return undefined;
  if (options.information && added.readUInt16BE(2) !== (version === 6 ? ethertype.ipv6 : ethertype.ipv4))
    return undefined;
  const addresses = packet.toString('hex', version === 6 ? 8 : 12, length);
  const protocol = packet[version === 6 ? 6 : 9]!;
  const told = packet.readUInt16BE(version === 6 ? 4 : 2) + (version === 6 ? 40 : 0);
  const simple = version === 6 || (packet[0] === 0x45 && (packet.readUInt16BE(6) & 0xbfff) === 0);
  const whole = simple && told === packet.length && [6, 17].includes(protocol);
  const ports = whole && told >= length + 8 ? `${protocol} ${packet.readUInt32BE(length)}` : undefined;
  return { addresses, ports };
}

function mayBeOne(a: Flow | undefined, b: Flow | undefined): boolean {
  if (a === undefined || b === undefined || a.addresses !== b.addresses) return false;
  return a.ports === undefined || b.ports === undefined || a.ports === b.ports;
}
