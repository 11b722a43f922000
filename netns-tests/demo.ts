/**
 * `./dev demo`: five nodes in five network namespaces become a full mesh while you watch.
 *
 *   oslo  bootstrap ──┐
 *   bern → oslo ──────┤
 *   riga → oslo ──────┤ switch
 *   lima → oslo ──────┤
 *   cairo → oslo ─────┘
 *
 * With `--keep` it stays until Enter, for a look around.
 */
import { once } from 'node:events';
import type { StatusReport } from '../protocol/status.ts';
import { Lab } from './lab/lab.ts';
import { farEnd, linkTo, meshed, pingMesh } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { lacks } from './lab/needs.ts';
import { CryonetNode } from './lab/node.ts';
import { lan } from './lab/topology.ts';
import { Block, legendLine, linkMatrix, linkTable, paint, pingMatrix } from './lab/view.ts';
import { Hopeless, waitFor } from './lab/wait.ts';

const ids = ['oslo', 'bern', 'riga', 'lima', 'cairo'];
const pairs = (ids.length * (ids.length - 1)) / 2;
const boundMilliseconds = 60_000;
const iperfSeconds = 5;

const began = performance.now();
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const missing = lacks(['ping', 'iperf3']);
if (missing.length > 0) {
  console.error('The demo makes network namespaces and TUN interfaces, and this machine lacks:');
  for (const { what, remedy } of missing) console.error(`  ${what}: ${remedy}`);
  process.exit(1);
}

const lab = new Lab();
try {
  await demo();
} catch (error) {
  console.error(`\n${paint('red', 'The demo failed:')} ${error instanceof Error ? error.message : error}`);
  console.error(lab.logTails(12));
  process.exitCode = 1;
}
await lab[Symbol.asyncDispose]();
console.log(`Every namespace, process and interface of it is gone again. ${seconds(began)} in all.`);
if (!process.exitCode) {
  console.log(paint('dim', 'Two real machines: README.md. A look around inside: ./dev demo --keep'));
}

async function demo(): Promise<void> {
  title('Five machines');
  say(`${ids.join(', ')}: network namespaces on one switch.`);
  say(`Each is told the token and one address, that of ${ids[0]}. No more. One of them:`);
  const { hosts } = await lan(lab, ids);
  const nodes = startNodes(hosts);
  say(paint('dim', `${hosts[4]!.label}# cryonet --token-file FILE --ws-servers ${nodes[0]!.url} ${ids[4]}`));

  title('The mesh forms');
  const formed = performance.now();
  await watchMesh(nodes, formed);
  await meshed(nodes, boundMilliseconds);
  say(`${pairs} links: each node has an interface to each other one, after ${seconds(formed)}.`);

  title('A ping over every interface, both ways');
  const crossings = await pingMesh(nodes, { count: 5, interval: 0.02 });
  for (const line of pingMatrix(ids, crossings)) say(line);
  const sent = crossings.reduce((sum, crossing) => sum + crossing.sent, 0);
  const received = crossings.reduce((sum, crossing) => sum + crossing.received, 0);
  say(paint(received === sent ? 'green' : 'red', `${sent} sent, ${received} answered.`));

  const [first, last] = [nodes[1]!, nodes[4]!];
  title(`One TCP flow from ${first.id} to ${last.id}, ${iperfSeconds} seconds of iperf3`);
  const rate = paint('green', `${(await measure(first, last)).toFixed(0)} Mbit/s`);
  say(`${rate} through ${await interfaceName(first, last)}`);

  title('The links');
  for (const line of linkTable(await Promise.all(nodes.map((node) => node.status())))) say(line);

  if (process.argv.includes('--keep')) await lookAround(nodes);
  console.log();
}

function startNodes(hosts: readonly Namespace[]): CryonetNode[] {
  const boot = new CryonetNode(hosts[0]!, { listen: true }).start();
  return [boot, ...hosts.slice(1).map((host) => new CryonetNode(host, { bootstrap: [boot] }).start())];
}

/** Draws the mesh as its nodes see it until each has a link to each other. */
async function watchMesh(nodes: readonly CryonetNode[], since: number): Promise<void> {
  const block = new Block();
  let plain = '';
  await waitFor(
    'a full mesh',
    boundMilliseconds,
    async () => {
      const reports = await Promise.all(nodes.map((node) => node.status().catch(notYet)));
      const up = countUp(reports);
      const summary = `${Math.floor(up / 2)} of ${pairs} links up`;
      block.draw(
        [...linkMatrix(ids, reports), '', `${summary}, ${seconds(since)}`, legendLine()].map(
          (line) => `  ${line}`,
        ),
      );
      if (!process.stdout.isTTY && summary !== plain) say(`${seconds(since)}  ${summary}`);
      plain = summary;
      return up;
    },
    (up) => up === 2 * pairs,
  );
}

/** A node that does not answer yet is shown as knowing nothing; one that has ended fails the demo. */
function notYet(error: unknown): undefined {
  if (error instanceof Hopeless) throw error;
}

/** Ends of links that are up. */
function countUp(reports: readonly (StatusReport | undefined)[]): number {
  return reports.reduce(
    (sum, report) => sum + (report?.peers.filter(({ state }) => state === 'up').length ?? 0),
    0,
  );
}

/** Mbit/s of one TCP flow. */
async function measure(from: CryonetNode, to: CryonetNode): Promise<number> {
  const server = to.namespace.start('iperf3', ['iperf3', '-s', '-1', '--forceflush']);
  await server.says(/Server listening/);
  const target = farEnd(linkTo(await from.status(), to.id));
  const { stdout } = await from.namespace.$`iperf3 -J -t ${iperfSeconds} -c ${target}`;
  return JSON.parse(stdout).end.sum_received.bits_per_second / 1e6;
}

async function interfaceName(from: CryonetNode, to: CryonetNode): Promise<string> {
  return linkTo(await from.status(), to.id).interface.name;
}

async function lookAround(nodes: readonly CryonetNode[]): Promise<void> {
  title('Look around');
  const [node] = nodes;
  say(`ip netns exec ${node!.namespace.name} ip -brief address`);
  say(`bin/cryoc --runtime-dir ${node!.runtimeDirectory} status`);
  say('Enter ends the demo.');
  await once(process.stdin, 'data');
  process.stdin.destroy();
}

function title(text: string): void {
  console.log(`\n${paint('bold', text)}`);
}

function say(line: string): void {
  console.log(`  ${line}`);
}
