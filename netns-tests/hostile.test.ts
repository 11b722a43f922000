/**
 * Honest nodes under attack: whatever an outsider, a member or a peer does, their links lose nothing, they do not grow, say
 * little, and count what they refused.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { operatorIn } from '../protocol/statement.ts';
import type { StatusReport } from '../protocol/status.ts';
import { configuring } from '../test/admission-packets.ts';
import { type Attack, countOf, type Site } from '../test/hostile/attacks/attack.ts';
import { forgedFloods } from '../test/hostile/attacks/neighbor.ts';
import { twins } from '../test/interface-twins.ts';
import { Attacker, attacks } from './lab/attacker.ts';
import { Capture } from './lab/capture.ts';
import { buildTool } from './lab/compiled.ts';
import { onPath } from './lab/direct.ts';
import type { Lab } from './lab/lab.ts';
import { farEnd, interfaces, linked, linkTo } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { datagramsTo, resend } from './lab/stranger.ts';
import type { Switch } from './lab/switch.ts';
import { lan } from './lab/topology.ts';
import { Train } from './lab/train.ts';
import { timed, waitFor } from './lab/wait.ts';

/** Of each process, more than before, at any moment. */
const mostMegabytes = 20;
/** Of each node, while an attack goes on, which is less than a minute. */
const mostLines = 10;
/** Milliseconds of the longest attack, and for a status that has it; between two looks, since that of a thousand peers is
 *  long. */
const longest = 40_000;
const patience = 60_000;
const pause = 500;
/** Milliseconds until a link that was interrupted is back, on a machine that is busy with other stories: half of it in
 *  virtual time (`test/mesh-floods.test.ts`). */
const longestReturn = 10_000;

const token = 'token-of-the-laboratory-7';
const fakePort = 2444;

interface Mesh {
  readonly wires: Switch;
  readonly nodes: readonly CryonetNode[];
  readonly hostile: Namespace;
  readonly site: Site;
}

/*
 *   a  bootstrap ──────────────┐
 *   b → a, a server of hostile ┤ switch
 *   c → a ─────────────────────┤
 *   hostile ───────────────────┘
 */
async function attackedMesh(lab: Lab): Promise<Mesh> {
  const { wires, hosts } = await lan(lab, ['a', 'b', 'c', 'hostile'], 'ipv4');
  const [ofA, ofB, ofC, hostile] = hosts as [Namespace, Namespace, Namespace, Namespace];
  await hostile.configure('addr add 198.51.100.200/24 dev eth0');
  const key = join(lab.directory, 'operator.pem');
  const cryoc = (...words: readonly string[]) => shell`${join(programs, 'cryoc')} ${words}`;
  const { stdout } = await cryoc('operator', 'generate', key, '--no-passphrase', '--json');
  const { operator } = JSON.parse(stdout) as { operator: string };
  const common = ['--log-level', 'info', '--enable-packet-information', '--operators', operator];
  const a = new CryonetNode(ofA, { listen: true, token, options: common });
  const both = `${a.url},ws://${hostile.address}:${fakePort}`;
  const often = ['--check-interval', '1s'];
  const b = new CryonetNode(ofB, { token, options: [...common, ...often, '--ws-servers', both] });
  const c = new CryonetNode(ofC, { id: twins[0], bootstrap: [a], token, options: common });
  const nodes = [a.start(), b.start(), c.start()];
  await onPath('direct', nodes, 60_000);
  await cryoc('--socket', b.controlSocket, 'revoke', 'long-gone', '--key', key);
  const site = {
    operator: Buffer.from(operatorIn(operator)!).toString('hex'),
    ...{ token, other: b.id, fakePort },
    victim: { id: a.id, host: a.namespace.address, port: 2333 },
    own: [hostile.address, '198.51.100.200'] as const,
  };
  return { wires, nodes, hostile, site };
}

/** What a node must not notice of an attack. */
interface Seen {
  readonly report: StatusReport;
  readonly pids: readonly number[];
  /** Default routes of IPv6. */
  readonly routes: readonly unknown[];
}

async function seen(node: CryonetNode): Promise<Seen> {
  const report = await node.ready(patience);
  const routes = await node.namespace.ip('-6', 'route', 'show', 'default');
  return { report, pids: [report.node.pid, report.dataplane.pid!], routes };
}

function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
}

function linesOf({ program }: CryonetNode): string[] {
  return program.output.split('\n').filter(Boolean);
}

/** One after the other between the nodes, both ways. */
async function trainsBetween(nodes: readonly CryonetNode[]): Promise<Train[]> {
  const pairs = nodes.flatMap((from, i) => nodes.slice(i + 1).map((to) => [from, to] as const));
  const trains = await Promise.all(
    pairs.map(async ([from, to]) => Train.start(from.namespace, farEnd(linkTo(await from.status(), to.id)))),
  );
  for (const train of trains) await train.arrives();
  return trains;
}

/** Something that is done to a mesh, from here or by an attacker. */
interface Deed extends Pick<Attack, 'what' | 'counter'> {
  /** Resolves with what there is to say of it. */
  run(): Promise<string>;
  undo(): Promise<unknown>;
}

/** What a deed did that it should not have, as sentences. */
async function damageOf(lab: Lab, { nodes }: Mesh, { what, counter, run, undo }: Deed): Promise<string[]> {
  const before = await Promise.all(nodes.map(seen));
  const earlier = sum(before.map(({ report }) => countOf(report, counter)));
  const pids = before.flatMap((node) => node.pids);
  const trains = await trainsBetween(nodes);
  const lines = nodes.map((node) => linesOf(node).length);
  // From here on the kernel notes the most that each of them has (proc(5)).
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const resident = pids.map((pid) => memory(pid, 'VmRSS'));

  const words = await run();
  const count = await waitFor(
    `${counter.join('.')} of ${what}`,
    patience,
    async () => sum((await reportsOf(nodes)).map((report) => countOf(report, counter))),
    (counted) => counted > earlier,
    pause,
  );
  const after = await Promise.all(nodes.map(seen));
  const journeys = await Promise.all(trains.map((train) => train.stop()));
  const grown = Math.max(...pids.map((pid, i) => memory(pid, 'VmHWM') - resident[i]!));
  const said = nodes.map((node, i) => linesOf(node).slice(lines[i]));
  await undo();
  await waitFor(
    'no neighbor but honest ones',
    patience,
    async () => (await reportsOf(nodes)).flatMap(({ neighbors }) => neighbors),
    (neighbors) => neighbors.every(({ id }) => nodes.some((node) => node.id === id)),
    pause,
  );

  const lost = sum(journeys.map((journey) => journey.lost.length));
  lab.figures.push(
    [
      `${what}: ${words === '' ? '' : `${words}; `}${sum(journeys.map(({ sent }) => sent))} pings, ${lost} lost`,
      `${Math.max(...journeys.map(({ gap }) => gap))} ms between two at most`,
      `+${grown.toFixed(1)} MB`,
      `${Math.max(...said.map(({ length }) => length))} lines`,
      `${counter.join('.')} ${count - earlier}`,
    ].join(', '),
  );
  return [
    ...(lost > 0 ? [`${lost} pings were lost`] : []),
    ...(grown > mostMegabytes ? [`a process grew by ${grown.toFixed(1)} MB`] : []),
    ...said.filter(({ length }) => length > mostLines).map((each) => `it said ${each.join('\n')}`),
    ...after.flatMap((now, i) => changes(before[i]!, now, nodes)),
  ].map((each) => `${what}: ${each}`);
}

/** Of its programs, its interfaces to honest nodes, and its routes. */
function changes(before: Seen, after: Seen, nodes: readonly CryonetNode[]): string[] {
  const { id } = after.report.node;
  const [then, now] = [interfaces(before.report), interfaces(after.report)];
  return [
    ...(isDeepStrictEqual(before.pids, after.pids) ? [] : [`${id} was started again`]),
    ...(after.routes.length === 0 ? [] : [`${id} has a default route`]),
    ...nodes
      .filter((node) => then[node.id] !== now[node.id])
      .map((node) => `${id} had ${then[node.id]}, and has ${now[node.id]}`),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

async function reportsOf(nodes: readonly CryonetNode[]): Promise<StatusReport[]> {
  return Promise.all(nodes.map((node) => node.status()));
}

/** Records between honest nodes, sent again by somebody else. */
function replay({ nodes, hostile }: Mesh): Deed {
  const { namespace } = nodes[1]!;
  return {
    what: 'records of others, sent again',
    counter: ['peers', 'replayed'],
    async run() {
      const capture = await Capture.start(namespace, 'eth0', 'udp port 2333');
      const records = await waitFor(
        'a hundred records',
        10_000,
        () => datagramsTo(namespace.address, 2333, capture.soFar()).filter(([first]) => first! >= 192),
        ({ length }) => length >= 100,
      );
      await capture.stop();
      await resend(hostile, [namespace.address, 2333], records);
      return `${records.length} of them`;
    },
    undo: async () => {},
  };
}

/** A real node whose kernel sends what configures a peer, by its direct path. */
function advertise(lab: Lab, { nodes, hostile }: Mesh): Deed {
  const [a] = nodes as [CryonetNode];
  const options = ['--enable-packet-information'];
  const node = new CryonetNode(hostile, { id: 'router', bootstrap: [a], token, options });
  return {
    what: 'router advertisements and redirects, by direct path',
    counter: ['peers', 'configuration'],
    async run() {
      const tool = await buildTool(lab, 'frame');
      node.start();
      await onPath('direct', [node, a], 30_000);
      for (const packet of Object.values(configuring)) {
        const ethertype = packet[0]! >> 4 === 6 ? '0x86dd' : '0x0800';
        await hostile.$`${tool} send cna ${ethertype} ${Buffer.from(packet).toString('hex')}`;
      }
      return '';
    },
    undo: () => node.stop(),
  };
}

story(
  'whatever outsiders, members and peers do, honest links lose nothing, and nodes neither grow nor talk but count',
  ['ping', 'tcpdump', 'cc'],
  async (lab) => {
    const mesh = await attackedMesh(lab);
    const { hostile, site } = mesh;
    const attacker = await Attacker.start(hostile, site, [
      ...attacks,
      ...attacks.filter(({ what }) => what === forgedFloods),
    ]);
    const run = () => attacker.attack(longest);
    const undo = () => attacker.undo();
    const deeds = [
      replay(mesh),
      advertise(lab, mesh),
      ...attacks.map((attack) => ({ ...attack, run, undo })),
    ];
    const damage: string[] = [];
    for (const deed of deeds) damage.push(...(await damageOf(lab, mesh, deed)));
    if (damage.length > 0) console.error(lab.figures.join('\n'));
    assert.deepEqual(damage, []);

    lab.figures.push(`an honest link ${await interruption(mesh, { run, undo })}`);
  },
  600_000,
);

/** Of the link between two nodes, which carries packets, while floods are forged in the name of one: for as long as it
 *  takes to be noticed. */
async function interruption(
  { nodes, wires }: Mesh,
  { run, undo }: Pick<Deed, 'run' | 'undo'>,
): Promise<string> {
  const [, b, c] = nodes as [CryonetNode, CryonetNode, CryonetNode];
  const train = Train.start(b.namespace, farEnd(linkTo(await b.status(), c.id)));
  await run();
  await train.arrives();
  await wires.partition([b.namespace], [c.namespace]);
  await waitFor(
    'both ends to have lost the link',
    20_000,
    async () => [(await b.peer(c.id))?.state, (await c.peer(b.id))?.state],
    (states) => !states.includes('up'),
  );
  await wires.heal();
  const { milliseconds } = await timed(async () => {
    await linked(b, c, 20_000);
    await train.stop(20_000);
  });
  await undo();
  assert.ok(milliseconds < longestReturn, `back after ${milliseconds} ms`);
  return `is back after ${milliseconds} ms under forged floods`;
}
