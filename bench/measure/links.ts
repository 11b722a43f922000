/**
 * What a dataplane with a hundred links takes of memory while nothing happens. A hundred nodes would be too many for one
 * machine: two dataplanes have all the links between them, each over a pair of addresses of its own, as an engine
 * tells its peers apart by their addresses.
 *
 *   a ══ 169.254.0.1 ── 169.254.0.2 ══ b
 *     ══ 169.254.0.5 ── 169.254.0.6 ══
 *     ══ …                          ══
 *
 * Addresses of that block are none that a dataplane tells of itself, so that its candidates stay as few as usual.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { Contender } from '../contender.ts';
import { Dataplane } from '../dataplane.ts';
import { type Measurement, type Readings, subjects } from '../measurement.ts';
import { residentMegabytes } from '../processes.ts';
import { wired } from '../wired.ts';

const count = 100;
/** Negotiated at the same time. */
const batch = 10;
const upMilliseconds = 30_000;
const settleMilliseconds = 5_000;

export function links(own: Contender): Measurement {
  return {
    name: 'links',
    limit: 180_000,
    subjects: subjects([own], async (_, { lab }): Promise<Readings> => {
      const hosts = await wired(lab);
      for (const [side, host] of hosts.entries()) {
        const addresses = Array.from({ length: count }, (_, link) => addressOf(link, side));
        await host.configure(...addresses.map((address) => `addr add ${address}/30 dev eth0`));
      }
      const ends = [await Dataplane.start(hosts[0]), await Dataplane.start(hosts[1])] as const;
      const before = await settled(ends);
      for (let first = 0; first < count; first += batch) {
        const some = Array.from({ length: batch }, (_, index) => first + index);
        await Promise.all(some.map((link) => negotiate(ends, link)));
        await up(ends, first + batch);
      }
      const after = await settled(ends);
      await up(ends, count);
      return { 'links-rss': after, 'link-rss': (after - before) / count };
    }),
  };
}

/** Of one of two: what both take, halved. */
async function settled(ends: readonly Dataplane[]): Promise<number> {
  await pause(settleMilliseconds);
  return residentMegabytes(ends.map(({ program }) => program.pid)) / ends.length;
}

/** The first offers; to it the peers are called b0, b1, …, to the second a0, a1, …. */
async function negotiate([a, b]: readonly [Dataplane, Dataplane], link: number): Promise<void> {
  const negotiation = `bench-${link}`;
  const toB = { peer: `b${link}`, negotiation };
  const toA = { peer: `a${link}`, negotiation };
  const way = { route: 'shared' as const, iceServers: [] };
  const epochs = { ours: 1, theirs: 1 };
  const offer = await a.call('offer', { ...toB, ...way, identity: b.identity });
  const answer = await b.call('answer', { ...toA, ...way, identity: a.identity, ...offer, epochs });
  await a.call('accept', { ...toB, ...answer, epochs });
  a.point(toB.peer, negotiation, addressOf(link, 1), b.udpPort);
  b.point(toA.peer, negotiation, addressOf(link, 0), a.udpPort);
}

async function up(ends: readonly Dataplane[], expected: number): Promise<void> {
  await waitFor(
    `${expected} links at both ends`,
    upMilliseconds,
    () => ends.map(({ reports }) => ({ all: reports.size, not: [...reports.values()].flatMap(lack) })),
    (seen) => seen.every(({ all, not }) => all === expected && not.length === 0),
  );
}

/** What is wrong with a link, if anything is. */
function lack({ peer, state, reason, direct }: LinkReport): string[] {
  if (state !== 'up') return [`${peer} ${state} ${reason}`];
  if (direct && direct.state !== 'up') return [`${peer} direct ${direct.state} ${direct.reason}`];
  return [];
}

/** Networks of four addresses, the second and third of each in use. */
function addressOf(link: number, side: number): string {
  const host = link * 4 + 1 + side;
  return `169.254.${host >> 8}.${host & 255}`;
}
