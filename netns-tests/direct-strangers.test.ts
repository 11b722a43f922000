/** Who sends to a node's port without being a peer. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Capture } from './lab/capture.ts';
import { dropsOfPath, onPath } from './lab/direct.ts';
import type { Lab } from './lab/lab.ts';
import { farEnd } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { datagramsTo, resend } from './lab/stranger.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { assertUnhindered, waitFor } from './lab/wait.ts';

const stranger = [process.execPath, join(import.meta.dirname, 'lab', 'stranger.ts')];

/*
 *   a  bootstrap ──┐
 *   b → a ─────────┤ switch
 *   m  ────────────┘        sends to b
 */
async function withStranger(lab: Lab) {
  const { hosts } = await lan(lab, ['a', 'b', 'm'], 'ipv4');
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  const link = await onPath('direct', [a, b], 30_000);
  return { a, b, m: hosts[2]!, there: farEnd(link) };
}

story(
  'records that are sent again, or changed, are counted and change nothing',
  ['tcpdump', 'ping'],
  async (lab) => {
    const { a, b, m, there } = await withStranger(lab);
    const capture = await Capture.start(b.namespace, 'eth0', 'udp port 2333');
    const { received } = await ping(a.namespace, there, { count: 110, interval: 0.012, size: 200 });
    assert.equal(received, 110);
    const end = Buffer.from('ff the last to be captured');
    const port = [b.namespace.address, 2333] as const;
    await resend(m, port, [end]);
    await capture.holds(end);
    const records = datagramsTo(b.namespace.address, 2333, await capture.stop()).filter(
      (datagram) => datagram[0]! >= 192 && datagram.length > 200,
    );
    // On a busy machine a capture may miss some.
    assert.ok(records.length >= 100, `${records.length} captured`);

    // A counter of the far future, so that they are not taken for replays; and bytes of the packet.
    const forged = records.flatMap((record) => {
      const [counter, content] = [Buffer.from(record), Buffer.from(record)];
      counter[8] = 0x7f;
      content[8] = 0x7f;
      content[record.length - 20]! ^= 1;
      return [counter, content];
    });
    const unknown = records.map((record) => {
      const other = Buffer.from(record);
      other.writeUInt32BE((record.readUInt32BE(4) ^ 0x5a5a_5a5a) >>> 0, 4);
      return other;
    });
    const short = records.map((record) => record.subarray(0, 20));

    const before = await b.peer('a');
    const train = Train.start(a.namespace, there);
    await train.arrives();
    await resend(m, port, [...records, ...forged, ...unknown, ...short]);
    const after = await waitFor(
      'what was sent to be counted',
      5_000,
      () => b.peer('a'),
      (peer) => peer?.dropped?.replayed === records.length && peer.dropped.forged === forged.length,
    );
    assert.deepEqual(Object.keys(dropsOfPath(after)).sort(), ['forged', 'replayed']);
    const journey = await train.stop();
    assert.deepEqual(journey.lost, []);
    assert.deepEqual(after?.pair, before?.pair, 'nobody is followed for a record that was heard before');
    assert.equal((await b.peer('a'))?.path, 'direct');
    lab.figures.push(`${records.length} sent again, ${forged.length} changed`);
  },
);

story('a flood of what looks like records leaves the link alone', ['ping'], async (lab) => {
  const { a, b, m, there } = await withStranger(lab);
  const before = await b.peer('a');
  const train = Train.start(a.namespace, there);
  await train.arrives();
  const count = 100_000;
  const start = performance.now();
  await m.$`${[...stranger, 'flood', b.namespace.address, '2333', `${count}`]}`;
  const seconds = (performance.now() - start) / 1000;
  const journey = await train.stop();
  const after = await b.peer('a');
  lab.figures.push(
    `${Math.round(count / seconds)} a second, ${journey.sent} pings, ${journey.lost.length} lost`,
  );
  assertUnhindered(journey.lost.length === 0, lab);
  assert.deepEqual([after?.path, after?.pair, dropsOfPath(after)], ['direct', before?.pair, {}]);
});
