import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openWerift } from '../dataplane/io/engine/werift.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { DataplaneShell } from '../dataplane/shell.ts';
import type { LinkReport, NotificationParams } from '../protocol/dataplane.ts';
import { attemptWith, configOf, packet } from './dataplane-pair.ts';
import { epochs } from './descriptions.ts';
import { ManInTheMiddle } from './dtls-man-in-the-middle.ts';
import { newLogLines } from './log-lines.ts';
import { waitFor } from './native/wait.ts';

/** A dataplane on werift, and what control was told. */
class Side {
  readonly id: string;
  readonly tuns = new MemoryTunFactory();
  readonly shell: DataplaneShell;
  report: LinkReport | undefined;
  readonly ended: string[] = [];
  readonly said: unknown[] = [];
  tells: (candidate: string) => void = () => {};

  constructor(context: TestContext, id: string) {
    this.id = id;
    this.shell = new DataplaneShell({
      log: newLogLines().log,
      tuns: this.tuns,
      child: false,
      openEngine: openWerift,
    });
    context.after(() => this.shell.close());
    this.shell.attach({
      notify: (name, params) => {
        if (name === 'link') this.report = params as LinkReport;
        if (name === 'ended') this.ended.push((params as NotificationParams<'ended'>).reason);
        if (name === 'signal' || name === 'bye') this.said.push(params);
        if (name === 'candidate') this.tells((params as NotificationParams<'candidate'>).candidate);
      },
    });
  }

  get tun() {
    return [...this.tuns.devices.values()][0]!;
  }
}

/** Two nodes with a link, of which a man on the way has all of DTLS. */
async function linkThroughMan(context: TestContext) {
  const man = await ManInTheMiddle.open();
  context.after(() => man.close());
  const sides = [new Side(context, 'a'), new Side(context, 'b')] as const;
  const [a, b] = sides;
  for (const [end, side] of sides.entries()) {
    const other = sides[end === 0 ? 1 : 0]!;
    side.tells = (line) => {
      const candidate = man.replace(end as 0 | 1, line);
      if (candidate !== undefined)
        other.shell.notification('candidate', { peer: side.id, negotiation: 'n', candidate });
    };
    await side.shell.request('hello', { version: 1, config: configOf(side.id) });
  }
  const offer = await a.shell.request('offer', attemptWith('b', 'n'));
  const answer = await b.shell.request('answer', { ...attemptWith('a', 'n'), ...offer, epochs });
  await a.shell.request('accept', { peer: 'b', negotiation: 'n', ...answer, epochs });
  await waitFor('the link', () => a.report?.state === 'up' && b.report?.state === 'up', 20_000);
  return { man, a, b };
}

test('a man in the middle of DTLS reads nothing of what two nodes on werift say, and of their packets', async (context) => {
  const { man, a, b } = await linkThroughMan(context);
  const secret = Buffer.from('nobody else reads this'.repeat(3));
  a.tun.inject(Buffer.concat([packet(1, 20), secret]));
  a.shell.notification('signal', { peer: 'b', frame: secret });
  await waitFor('the packet', () => b.tun.written.length > 0);
  await waitFor('the signal', () => b.said.length > 0);
  assert.deepEqual(b.said, [{ peer: 'a', frame: new Uint8Array(secret) }]);
  const read = Buffer.concat(man.read);
  assert.ok(man.read.length > 10, `${man.read.length} messages that he has read`);
  for (const word of ['nobody', 'hello', 'packetInformation', 'ready'])
    assert.equal(read.indexOf(word), -1, word);
});

test('nothing that a man in the middle of DTLS changes is believed: the connection ends', async (context) => {
  const { man, a, b } = await linkThroughMan(context);
  man.change = (sctp) => {
    const at = sctp.indexOf(Uint8Array.of(0xc0, 3));
    if (at < 0) return sctp;
    sctp[at + 20]! ^= 1;
    return withChecksum(sctp);
  };
  a.shell.notification('signal', { peer: 'b', frame: new Uint8Array(100) });
  await waitFor('the end', () => b.ended.length > 0);
  assert.match(b.ended[0]!, /not what the peer sent/);
  assert.deepEqual([b.said, (await b.shell.request('stats', {})).refused], [[], { forged: 1 }]);
});

/** With the CRC32c of RFC 9260 appendix A, which is at byte 8. */
function withChecksum(sctp: Buffer): Buffer {
  sctp.writeUInt32LE(0, 8);
  let sum = 0xffff_ffff;
  for (const byte of sctp) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f6_3b78 : 0);
  }
  sctp.writeUInt32LE(~sum >>> 0, 8);
  return sctp;
}
