/** Who reaches whom: nodes at every kind of place, every pair of them. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StatusReport } from '../protocol/status.ts';
import {
  type Cell,
  cells,
  drawing,
  look,
  type Moments,
  page,
  quantile,
  type Seen,
  surprises,
} from './lab/grid.ts';
import { bootNode, type KindName, kindNames, kinds, makeWorld, nodeAt } from './lab/kinds.ts';
import { farEnd, linked, outcome } from './lab/mesh.ts';
import type { CryonetNode } from './lab/node.ts';
import { ping } from './lab/ping.ts';
import type { Program } from './lab/program.ts';
import { story } from './lab/story.ts';
import { waitFor } from './lab/wait.ts';

/** Kinds of places that have no UDP at all: their nodes are linked with their bootstrap node, by its WebSocket. */
const confined: readonly KindName[] = ['no-udp', 'proxy'];

/** Milliseconds until every link is there that is to be there, on a machine that has other work as well. */
const bound = 180_000;

/*
 *   boot, server (STUN, TURN; port 53 as well), proxy ──┐
 *   public hosts ───────────────────────────────────────┤
 *   homes behind NATs, firewalls, carriers, NAT64 ──────┘ internet
 */
story(
  'each pair of kinds of places is linked as well as it can be, and no better than the table says',
  ['turnserver', 'tinyproxy', 'tayga', 'nft', 'ping'],
  async (lab) => {
    const world = await makeWorld(lab);
    const boot = bootNode(
      world,
      confined.flatMap((kind) => ['--allow', `${kind}-1`]),
    ).start();
    const nodes = new Map<string, CryonetNode>();
    await Promise.all(
      kindNames.map(async (kind) => {
        const labels = [`${kind}-1`, `${kind}-2`] as const;
        const [first, second] = await kinds[kind].settle(world, labels);
        const allow = (...globs: readonly string[]) => globs.flatMap((glob) => ['--allow', glob]);
        const ofBoot = confined.includes(kind) ? ['boot'] : [];
        nodes.set(labels[0], nodeAt(world, kind, first!, allow('*-1', labels[1], ...ofBoot)));
        nodes.set(labels[1], nodeAt(world, kind, second!, allow(labels[0])));
      }),
    );
    await boot.ready();
    for (const node of nodes.values()) node.start();

    const grid = cells();
    const seen = await settled(grid, [...nodes.values()]);
    lab.figures.push(`\n${drawing(seen)}\n`, firstPackets(seen));
    keep(seen, lab.programs);
    assert.deepEqual(surprises(seen), []);
    await carried(
      boot,
      confined.map((kind) => nodes.get(`${kind}-1`)!),
    );
  },
  300_000,
);

/** Waits until each end of each pair is linked as it is to be, and has tried in vain where it is not to be. */
async function settled(grid: readonly Cell[], nodes: readonly CryonetNode[]): Promise<Seen[]> {
  const reports = new Map<string, StatusReport>();
  const missing = async () => {
    for (const node of nodes) reports.set(node.id, await node.status());
    return grid.flatMap(({ ends: [one, other], expected: wanted }) =>
      [[one, other] as const, [other, one] as const].flatMap(([node, peer]) => {
        const link = reports.get(node)?.peers.find(({ id }) => id === peer);
        const done =
          wanted === 'none'
            ? link?.reason !== ''
            : link?.state === 'up' && (wanted === 'relayed' || !link.relayed);
        return link !== undefined && done ? [] : [`${node} to ${peer}: ${link?.state ?? 'not known'}`];
      }),
    );
  };
  const left = await waitFor('the grid to settle', bound, missing, ({ length }) => length === 0, 500).catch(
    () => missing(),
  );
  if (left.length > 0) console.error(left.join('\n'));
  const times = new Map(nodes.map((node) => [node.id, momentsIn(node.program.output)]));
  return look(
    grid,
    reports,
    (node, peer) => times.get(node)?.get(peer) ?? { learned: undefined, up: undefined },
  );
}

async function carried(boot: CryonetNode, nodes: readonly CryonetNode[]): Promise<void> {
  for (const node of nodes) {
    const link = await linked(node, boot, 60_000);
    assert.deepEqual([outcome(link), outcome(await boot.peer(node.id))], ['websocket', 'websocket']);
    const { sent, received } = await ping(node.namespace, farEnd(link), {
      count: 20,
      interval: 0.02,
      size: 1000,
    });
    assert.equal(received, sent);
  }
}

/** By peer, from a node's log. */
function momentsIn(log: string): Map<string, Moments> {
  const moments = new Map<string, Moments>();
  for (const [, time, what, peer] of log.matchAll(
    /^(\S+) +\w+ +cryonet: (peer learned|link up) peer=(\S+)/gm,
  )) {
    const { learned, up } = moments.get(peer!) ?? {};
    const at = Date.parse(time!);
    moments.set(peer!, what === 'link up' ? { learned, up: up ?? at } : { learned: learned ?? at, up });
  }
  return moments;
}

function firstPackets(seen: readonly Seen[]): string {
  const shown = (['direct', 'relayed'] as const).map((kind) => {
    const [half, most] = [quantile(seen, kind, 0.5), quantile(seen, kind, 0.95)];
    return `${kind} p50 ${half} ms, p95 ${most} ms`;
  });
  return `first packet after both know of each other: ${shown.join('; ')}`;
}

/** Leaves the grid as JSON and as a page, and all that the programs said, where the environment says so. */
function keep(seen: readonly Seen[], programs: readonly Program[]): void {
  const folder = process.env.CRYONET_ARTEFACTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'grid.json'), `${JSON.stringify(seen, null, 1)}\n`);
  writeFileSync(join(folder, 'grid.html'), page(seen));
  for (const { label, output } of programs) writeFileSync(join(folder, `${label}.log`), output);
}
