/** The laboratory proves itself before it judges anything else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Capture } from './lab/capture.ts';
import { Internet } from './lab/internet.ts';
import type { Lab } from './lab/lab.ts';
import type { Namespace } from './lab/namespace.ts';
import { coneNat, dependences, symmetricNat } from './lab/nat.ts';
import { ping } from './lab/ping.ts';
import { story, told } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { discoverNat, keepsMapping, startTurnServer } from './lab/turn.ts';
import { assertSoon, Late, waitFor } from './lab/wait.ts';

/*
 *   host ── router (each kind) ── internet ── turnserver, two addresses, two ports each
 */
story('every NAT kind behaves as it is called', ['turnserver', 'nft'], async (lab) => {
  const internet = await Internet.make(lab);
  const server = await startTurnServer(await internet.publicHost('server', { addresses: 2 }));
  const kinds = [
    ...dependences.map((filtering) => coneNat(filtering)),
    ...dependences.map((filtering) => ({ ...coneNat(filtering), mapping: 'address-dependent' as const })),
    ...dependences.map((filtering) => ({ ...coneNat(filtering), hairpinning: true })),
    ...dependences.map((filtering) => ({ ...coneNat(filtering), preserving: true })),
    symmetricNat(),
  ];
  const found = await Promise.all(
    kinds.map(async (kind, index) => {
      const [host] = await internet.home(kind, `host${index}`);
      return discoverNat(host!, server);
    }),
  );
  assert.deepEqual(
    found,
    kinds.map(({ lifetime, ...rest }) => rest),
  );
});

/*
 *   host ── router ──────────┐
 *   host ── 1:1 NAT ─────────┴── internet ── turnserver
 */
story(
  'a mapping ends after its lifetime, and one address for one host has none',
  ['turnserver', 'nft'],
  async (lab) => {
    const internet = await Internet.make(lab);
    const server = await startTurnServer(await internet.publicHost('server', { addresses: 2 }));
    const kinds = [{ ...coneNat(), preserving: true }, coneNat('endpoint-independent'), symmetricNat()];
    const short = kinds.map((kind) => ({ ...kind, lifetime: 3 }));
    const homes = await Promise.all(short.map((kind, index) => internet.home(kind, `host${index}`)));
    const hosts = homes.flat();
    const kept = (seconds: number) => Promise.all(hosts.map((host) => keepsMapping(host, server, seconds)));
    assert.deepEqual(await kept(1), [true, true, true]);
    assert.deepEqual(await kept(5), [false, false, false]);
    const alone = await internet.oneToOne('alone');
    assert.deepEqual(await discoverNat(alone, server), {
      ...{ mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
      ...{ hairpinning: false, preserving: true },
    });
  },
);

/*
 *   a ──┐
 *   b ──┤ switch
 *   c ──┘
 */
story(
  'a partition stops everything between its groups and nothing inside them',
  ['nft', 'ping'],
  async (lab) => {
    const { wires, hosts } = await lan(lab, ['a', 'b', 'c']);
    const [a, b, c] = hosts as [Namespace, Namespace, Namespace];
    await wires.partition([a, b], [c]);
    const count = { count: 3, interval: 0.01, patience: 0.3 };
    const divided = await Promise.all(
      [...b.addresses, ...c.addresses].map((address) => ping(a, address, count)),
    );
    assert.deepEqual(
      divided.map(({ received }) => received),
      [3, 3, 0, 0],
    );
    await wires.heal();
    // An address asked for in vain may be unreachable for a moment: neighbor discovery backs off.
    for (const address of c.addresses) {
      await waitFor(
        `${address} to answer again`,
        5_000,
        () => ping(a, address, { patience: 0.3 }),
        ({ received }) => received === 1,
      );
    }
  },
);

story('loss is lost at random and no more than asked for', ['nft', 'ping'], async (lab) => {
  const { wires, hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const [a, b] = hosts as [Namespace, Namespace];
  await ping(a, b.address);
  await wires.lose(0.1);
  const { sent, received } = await ping(a, b.address, { count: 1000, interval: 0.001, patience: 0.2 });
  // Lost on either way: 19 % on average, with a standard deviation of 1.3 % over 1000.
  const lost = (sent - received) / sent;
  assert.ok(lost > 0.12 && lost < 0.26, `${lost * 100} % lost`);
});

story('a capture holds the bytes that crossed', ['tcpdump', 'ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const [a, b] = hosts as [Namespace, Namespace];
  const capture = await Capture.start(b, 'eth0', 'icmp');
  await a.$`ping -c 1 -p c0ffee11 ${b.address}`;
  const crossed = Buffer.from('c0ffee11c0ffee11', 'hex');
  await capture.holds(crossed);
  assert.ok((await capture.stop()).includes(crossed));
});

story('a closed laboratory leaves nothing, not even what its programs started apart', [], async (lab) => {
  const { hosts } = await lan(lab, ['a'], 'ipv4');
  const runaway = hosts[0]!.start('runaway', ['bash', '-c', 'setsid sleep 600 & disown; echo started']);
  await runaway.says(/started/);
  await runaway.ends();
  const alive = lab.leftovers();
  assert.ok(
    alive.some((line) => line.startsWith('process')) && alive.some((line) => line.startsWith('namespace')),
    alive.join('\n'),
  );
  lab.close();
  await waitFor(
    'nothing to be left',
    2_000,
    () => lab.leftovers(),
    (left) => left.length === 0,
  );
});

test('a story that is late is told again in another laboratory, and fails where it is late each time', async () => {
  const labs = new Set<Lab>();
  const said: string[] = [];
  const late = (until: number) => async (lab: Lab) => {
    labs.add(lab);
    lab.figures.push(`time ${labs.size}`);
    assertSoon(labs.size < until ? 5 : 4, 5, lab);
  };
  const say = (line: string) => void said.push(line);
  await told('first', late(3), say);
  const again = (time: number) => `first: told again: 5 ms, not less than 5: time ${time}`;
  assert.deepEqual(said, [again(1), again(2), 'first: time 3']);
  labs.clear();
  await assert.rejects(told('second', late(9), say), Late);
  assert.equal(labs.size, 3);
  labs.clear();
  const wrong = async (lab: Lab) => assert.fail(String(labs.add(lab).size));
  await assert.rejects(told('third', wrong, say), /^AssertionError.*: 1$/);
});
