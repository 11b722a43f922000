/** Adjacencies of routing daemons: over interfaces that come after the daemon, and through what happens to a path. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from './lab/direct.ts';
import type { Lab } from './lab/lab.ts';
import { linked } from './lab/mesh.ts';
import type { Namespace } from './lab/namespace.ts';
import { CryonetNode } from './lab/node.ts';
import { frr } from './lab/ospf.ts';
import { ping } from './lab/ping.ts';
import { story } from './lab/story.ts';
import { type Lan, lan } from './lab/topology.ts';
import { timed, waitFor } from './lab/wait.ts';

/** Addresses of the overlay, of either host, on its loopback interface. */
const overlay = [
  ['10.20.1.1', 'fd20:1::1'],
  ['10.20.2.1', 'fd20:2::1'],
] as const;

/**
 * Two nodes, not started, on one switch.
 *
 *   a  bootstrap, 10.20.1.1, fd20:1::1 ──┐ switch
 *   b → a,        10.20.2.1, fd20:2::1 ──┘
 */
async function pair(lab: Lab): Promise<{ a: CryonetNode; b: CryonetNode; wires: Lan['wires'] }> {
  const { hosts, wires } = await lan(lab, ['a', 'b'], 'ipv4');
  for (const [index, host] of hosts.entries())
    await host.configure(
      `addr add ${overlay[index]![0]}/32 dev lo`,
      `addr add ${overlay[index]![1]}/128 dev lo`,
    );
  const a = new CryonetNode(hosts[0]!, { listen: true });
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] });
  return { a, b, wires };
}

const filesOf = (host: Namespace, program: string, ...names: readonly string[]) =>
  names.map((name) => join(host.lab.directory, `${host.label}.${program}.${name}`));

/** BIRD with OSPFv3 on every link. Resolves with what `birdc` says when it is asked. */
function startBird(
  host: Namespace,
  index: number,
  options: string,
  rest = '',
): (query: string) => Promise<string> {
  const [config, socket, pid] = filesOf(host, 'bird', 'conf', 'ctl', 'pid') as [string, string, string];
  writeFileSync(
    config,
    `router id 192.0.2.${index + 1};
     protocol device { scan time 1; }
     protocol direct { ipv6; interface "lo"; }
     protocol kernel { ipv6 { export all; }; }
     protocol ospf v3 third {
       ipv6 { import all; export where source = RTS_DEVICE; };
       area 0 { interface "cn*" { type ptp; ${options} }; };
     }
     ${rest}`,
  );
  host.start('bird', ['bird', '-f', '-c', config, '-s', socket, '-P', pid]);
  return async (query) => (await host.$({ nothrow: true })`birdc -s ${socket} ${query.split(' ')}`).stdout;
}

const neighbors = 'show ospf neighbors third';

/** Waits until each host reaches the other's address of this place in `overlay`. */
async function reachEachOther({ a, b }: { a: CryonetNode; b: CryonetNode }, family: 0 | 1): Promise<void> {
  for (const [from, address] of [
    [a.namespace, overlay[1][family]],
    [b.namespace, overlay[0][family]],
  ] as const)
    await waitFor(
      `${address} to answer ${from.label}`,
      20_000,
      () => ping(from, address),
      ({ received }) => received === 1,
    );
}

/** Kills the dataplane of a node; resolves once it has another. */
async function anotherDataplane(node: CryonetNode): Promise<void> {
  const killed = await node.killDataplane();
  await waitFor(
    'another dataplane',
    10_000,
    () => node.status(),
    ({ dataplane }) => dataplane.connected && dataplane.pid !== killed,
  );
}

story(
  'OSPFv3 is full over an interface that comes after BIRD, and again after the end of a dataplane',
  ['bird', 'ping'],
  async (lab) => {
    const nodes = await pair(lab);
    const { a, b } = nodes;
    const asks = [a, b].map(({ namespace }, index) => startBird(namespace, index, 'hello 1; dead count 4;'));
    for (const ask of asks)
      await waitFor(
        'BIRD to run',
        10_000,
        () => ask(neighbors),
        (said) => /^third:/m.test(said),
      );
    a.start();
    b.start();
    const full = async () => {
      const said = await waitFor(
        'both adjacencies',
        20_000,
        () => Promise.all(asks.map((ask) => ask(neighbors))),
        (each) => each.every((text) => /^192\.0\.2\.\d+\s.*Full/m.test(text)),
      );
      for (const [index, device] of ['cnb', 'cna'].entries()) assert.match(said[index]!, new RegExp(device));
      await reachEachOther(nodes, 1);
    };
    const first = await timed(full);
    await anotherDataplane(b);
    const second = await timed(full);
    lab.figures.push(`full after ${first.milliseconds} ms, again after ${second.milliseconds} ms`);
  },
);

story(
  'BFD of BIRD is up over a link and says within seconds that nothing passes any more',
  ['bird', 'nft'],
  async (lab) => {
    const { a, b, wires } = await pair(lab);
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    // OSPF alone would wait for half a minute.
    const asks = await Promise.all(
      (
        [
          [a, 'b'],
          [b, 'a'],
        ] as const
      ).map(async ([node, peer], index) => {
        const { interface: device } = (await node.peer(peer))!;
        return startBird(
          node.namespace,
          index,
          'hello 2; dead count 15; bfd;',
          `protocol bfd {
             interface "cn*" { min rx interval 100 ms; min tx interval 100 ms; multiplier 5; };
             neighbor ${device!.peerAddress} dev "${device!.name}";
           }`,
        );
      }),
    );
    /** Waits until both ends have a session in this state, and an adjacency where it is up. */
    const sessions = (state: 'Up' | 'Down', bound: number) =>
      timed(() =>
        waitFor(
          `both sessions to be ${state}`,
          bound,
          () =>
            Promise.all(
              asks.map(async (ask) => ({
                bfd: /^fe80:\S+\s+cn[ab]\s+(\w+)\s/m.exec(await ask('show bfd sessions'))?.[1],
                full: /\sFull/.test(await ask(neighbors)),
              })),
            ),
          (ends) => ends.every(({ bfd, full }) => bfd === state && full === (state === 'Up')),
        ),
      );
    await sessions('Up', 30_000);
    await wires.drop('meta l4proto udp');
    const down = await sessions('Down', 5_000);
    await wires.heal();
    const up = await sessions('Up', 30_000);
    lab.figures.push(`down after ${down.milliseconds} ms, up and full again after ${up.milliseconds} ms`);
  },
);

story(
  'OSPFv2 of FRR is full over links whose address is that of the loopback interface',
  ['vtysh', 'ping'],
  async (lab) => {
    const nodes = await pair(lab);
    const { a, b } = nodes;
    a.start();
    b.start();
    await linked(a, b, 30_000);
    await a.namespace.configure(`addr add ${overlay[0][0]}/32 dev cnb`);
    await b.namespace.configure(`addr add ${overlay[1][0]}/32 dev cna`);
    const daemons = [await frr(a.namespace, 'cnb', 0), await frr(b.namespace, 'cna', 1)];
    const { milliseconds } = await timed(() =>
      waitFor(
        'both adjacencies',
        30_000,
        () => Promise.all(daemons.map(async (daemon) => (await daemon.states())[0])),
        (states) => states.every((state) => /^full/i.test(state)),
      ),
    );
    await reachEachOther(nodes, 0);
    lab.figures.push(`full after ${milliseconds} ms`);
    const routes = await a.namespace.ip<{ dev: string; protocol: string }>('route', 'show', overlay[1][0]);
    assert.deepEqual(
      routes.map(({ dev, protocol }) => `${dev} ${protocol}`),
      ['cnb ospf'],
    );
  },
);

story(
  'Babel has IPv4 routes over IPv6 next hops of a link, and again after the end of a dataplane',
  ['babeld', 'ping'],
  async (lab) => {
    const nodes = await pair(lab);
    const { a, b } = nodes;
    for (const [{ namespace }, device] of [
      [a, 'cnb'],
      [b, 'cna'],
    ] as const) {
      const [state, pid] = filesOf(namespace, 'babeld', 'state', 'pid') as [string, string];
      const rules = ['redistribute local ip 10.20.0.0/16 allow', 'redistribute local deny'];
      namespace.start('babeld', [
        ...['babeld', '-h', '1', '-H', '1', '-S', state, '-I', pid],
        ...rules.flatMap((rule) => ['-C', rule]),
        device,
      ]);
    }
    a.start();
    b.start();
    const first = await timed(() => reachEachOther(nodes, 0));
    await anotherDataplane(b);
    const second = await timed(() => reachEachOther(nodes, 0));
    lab.figures.push(`reached after ${first.milliseconds} ms, again after ${second.milliseconds} ms`);
    const routes = await a.namespace.ip<{ dev: string; via?: { family: string; host: string } }>(
      ...['route', 'show', overlay[1][0]],
    );
    assert.deepEqual(
      routes.map(({ dev, via }) => `${dev} ${via?.family} ${via?.host.split(':')[0]}`),
      ['cnb inet6 fe80'],
    );
  },
);
