/** Two dataplanes in virtual time that have direct paths, and what tests ask of them. */
import type { TestContext } from 'node:test';
import { FakeNetwork } from '../dataplane/io/engine/fake.ts';
import type { DataplaneConfig } from '../protocol/dataplane.ts';
import { closeAfter, Pairs, packet, type Side } from './dataplane-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface Lab {
  readonly clock: VirtualClock;
  readonly pairs: Pairs;
  readonly a: Side;
  readonly b: Side;
}

type Changes = Partial<DataplaneConfig>;

export async function labOf(context: TestContext, ours: Changes = {}, theirs: Changes = ours): Promise<Lab> {
  const clock = new VirtualClock(context);
  const pairs = new Pairs(new FakeNetwork());
  const a = await pairs.add('a', { direct: true, ...ours });
  const b = await pairs.add('b', { direct: true, ...theirs });
  closeAfter(context, a, b);
  return { clock, pairs, a, b };
}

/** The same, its link up; resolves with the negotiation. */
export async function connect({ clock, pairs, a, b }: Lab): Promise<string> {
  const negotiation = await pairs.negotiate(a, b);
  const isUp = (side: Side, peer: string) =>
    side.report(peer)?.connections.some((each) => each.negotiation === negotiation && each.open);
  await clock.until('the link', () => isUp(a, 'b') && isUp(b, 'a'));
  return negotiation;
}

export const pathsOf = ({ a, b }: Lab) => [a.report('b')!.path, b.report('a')!.path];

export async function goDirect(lab: Lab): Promise<number> {
  return await lab.clock.until('both on the direct path', () =>
    pathsOf(lab).every((path) => path === 'direct'),
  );
}

export async function statsOf(side: Side) {
  return (await side.shell.request('stats', {})).links[0]!;
}

/** What status says of the ends of the path. */
export async function pairOf(side: Side) {
  const { pair } = await statsOf(side);
  return pair && [pair.local.address, pair.remote.type, pair.remote.address].join(' ');
}

/** A packet each ten milliseconds both ways, for so long; how many were lost. */
export async function lossOf(
  { clock, a, b }: Lab,
  milliseconds: number,
  after?: () => void,
): Promise<number> {
  const tuns = [a.tun('b')!, b.tun('a')!];
  const before = tuns.map(({ written }) => written.length);
  let sent = 0;
  for (let passed = 0; passed < milliseconds; passed += 10) {
    for (const tun of tuns) tun.inject(packet(sent));
    sent++;
    await clock.pass(10);
  }
  after?.();
  await clock.pass(50);
  return 2 * sent - tuns.reduce((sum, { written }, i) => sum + written.length - before[i]!, 0);
}
