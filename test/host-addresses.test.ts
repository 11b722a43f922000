import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type HostAddress,
  type HostLink,
  hostAddresses,
  maxHostCandidates,
} from '../dataplane/core/host-addresses.ts';
import { candidateAddresses } from '../dataplane/io/candidate-addresses.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';

const upAndRunning = 0x41;

/** `name kind address/length flags…` each; interfaces have their numbers in the order in which they first appear. */
function machine(...lines: readonly string[]): { links: HostLink[]; addresses: HostAddress[] } {
  const links: HostLink[] = [];
  const addresses = lines.map((line) => {
    const [name, kind, prefix, ...flags] = line.split(' ') as [string, string, string, ...string[]];
    if (!links.some((link) => link.name === name)) {
      const state = (name === 'lo' ? 0x8 : 0) | (flags.includes('down') ? 0x1 : upAndRunning);
      links.push({
        index: links.length + 1,
        name,
        kind: kind === '-' ? '' : kind,
        flags: state,
        rpFilter: 0,
      });
    }
    const [address, length] = prefix.split('/');
    const bits = {
      temporary: 0x1,
      optimistic: 0x4,
      failed: 0x8,
      deprecated: 0x20,
      tentative: 0x40,
      stable: 0x800,
    };
    const flag = flags.reduce((sum, each) => sum | (bits[each as keyof typeof bits] ?? 0), 0);
    const { index } = links.find((link) => link.name === name)!;
    return { index, address: address!, flags: flag, prefixLength: Number(length ?? 24), scope: 0 };
  });
  return { links, addresses };
}

function chosen(
  lines: readonly string[],
  sources: readonly string[] = [],
  permits = (_: string) => true,
): string[] {
  return hostAddresses({ ...machine(...lines), sources: new Set(sources), permits });
}

const tables: readonly [
  what: string,
  lines: readonly string[],
  sources: readonly string[],
  addresses: readonly string[],
][] = [
  [
    'the way to the rest of the world first, then other cards, bridges, tunnels',
    [
      ...[
        'wg0 wireguard 10.7.0.1',
        'docker0 bridge 172.17.0.1',
        'lan1 - 192.168.9.1',
        'dummy0 dummy 10.255.0.1',
      ],
      ...['tun0 tun 10.8.0.1', 'eth0 - 192.0.2.7', 'eth0 - 2001:db8::7/64'],
    ],
    ['192.0.2.7', '2001:db8::7'],
    ['2001:db8::7', '192.0.2.7', '192.168.9.1', '172.17.0.1', '10.255.0.1', '10.7.0.1', '10.8.0.1'],
  ],
  [
    'a bridge that the default route leads through is an uplink',
    ['br0 bridge 192.0.2.7', 'eth1 - 192.168.9.1', 'br1 bridge 172.17.0.1'],
    ['192.0.2.7'],
    ['192.0.2.7', '192.168.9.1', '172.17.0.1'],
  ],
  [
    'a VPN that has taken the default route is no more than the first of the tunnels',
    ['wg1 wireguard 10.6.0.1', 'wg0 wireguard 10.7.0.1', 'eth0 - 192.0.2.7'],
    ['10.7.0.1'],
    ['192.0.2.7', '10.7.0.1', '10.6.0.1'],
  ],
  [
    'a VLAN, a bond and a veth stand for a card',
    ['a vlan 10.0.0.1', 'b bond 10.0.0.2', 'c veth 10.0.0.3', 'd bridge 10.0.0.4'],
    [],
    ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'],
  ],
  [
    'loopback counts only where there is nothing else',
    ['lo - 127.0.0.1', 'lo - 10.20.1.1', 'eth0 - 192.0.2.7'],
    [],
    ['192.0.2.7'],
  ],
  ['and then it does', ['lo - 127.0.0.1', 'lo - ::1/128', 'eth0 - fe80::1/64'], [], ['::1', '127.0.0.1']],
  [
    'link-local addresses are none',
    ['eth0 - 169.254.3.4', 'eth0 - fe80::1/64', 'eth0 - febf::1/64', 'eth0 - 192.0.2.7'],
    [],
    ['192.0.2.7'],
  ],
  [
    'an interface that is down or has no carrier reaches nobody',
    ['eth0 - 192.0.2.7', 'eth1 - 192.0.2.8 down'],
    [],
    ['192.0.2.7'],
  ],
  [
    'IPv6 addresses that are on their way in or out are none; unique local ones are',
    [
      ...[
        'eth0 - 2001:db8::1/64 deprecated',
        'eth0 - 2001:db8::2/64 tentative',
        'eth0 - 2001:db8::3/64 failed',
      ],
      ...['eth0 - 2001:db8::4/64 tentative optimistic', 'eth0 - fd00::5/64'],
    ],
    [],
    ['2001:db8::4', 'fd00::5'],
  ],
  [
    'an address made of the card’s own is none beside one of the same prefix that is not',
    [
      ...['eth0 - 2001:db8::211:22ff:fe33:4455/64', 'eth0 - 2001:db8::9abc:1234:5678:9abc/64 temporary'],
      ...['eth0 - 2001:db8:1::211:22ff:fe33:4455/64', 'eth1 - 2001:db8::211:22ff:fe33:4456/64'],
    ],
    [],
    ['2001:db8::9abc:1234:5678:9abc', '2001:db8:1::211:22ff:fe33:4455', '2001:db8::211:22ff:fe33:4456'],
  ],
];

for (const [what, lines, sources, addresses] of tables) {
  test(what, () => assert.deepEqual(chosen(lines, sources), addresses));
}

test('forty bridges and thirty tunnels before the one card: the card is first, and sixteen are told', () => {
  const lines = Array.from({ length: 70 }, (_, i) => `x${i} ${i < 40 ? 'bridge' : 'tun'} 10.${i}.0.1`);
  const told = chosen([...lines, 'eth0 - 192.0.2.7'], ['192.0.2.7']);
  assert.equal(told[0], '192.0.2.7');
  assert.equal(told.length, maxHostCandidates);
});

test('what may not be used is not counted either', () => {
  const lines = Array.from({ length: 30 }, (_, i) => `cn${i} tun 10.${i}.0.1`);
  const told = chosen([...lines, 'wg0 wireguard 10.200.0.1'], [], (name) => !name.startsWith('cn'));
  assert.deepEqual(told, ['10.200.0.1']);
});

test('whatever a machine has: at most sixteen, none twice, and no tunnel before a card', () => {
  const kind = fc.constantFrom('-', 'bridge', 'tun', 'wireguard', 'vlan');
  const line = fc.record({ name: fc.nat(20), kind, third: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), (many) => {
      const lines = many.map(({ name, kind, third }) => `${kind}${name} ${kind} 10.${name}.${third}.1`);
      const told = chosen(lines);
      assert.ok(told.length <= maxHostCandidates);
      assert.equal(new Set(told).size, told.length);
      const ranks = told.map((address) => {
        const kinds = lines.filter((each) => each.endsWith(` ${address}`)).map((each) => each.split(' ')[1]!);
        return Math.min(
          ...kinds.map((each) =>
            ['-vlan', 'bridge', 'tunwireguard'].findIndex((group) => group.includes(each)),
          ),
        );
      });
      assert.deepEqual(ranks, [...ranks].sort());
    }),
  );
});

test('the machine is asked for its ways to the rest of the world with our mark', () => {
  const host = new MemoryTunFactory();
  Object.assign(
    host.foreign,
    machine('eth1 - 10.0.0.1', 'eth0 - 192.0.2.7', 'cnx tun 10.9.0.1', 'eth2 - 10.2.0.1'),
  );
  const asked: [string, number][] = [];
  host.route = (address, mark) => {
    asked.push([address, mark]);
    return address.includes(':') ? undefined : { interface: 'eth0', source: '192.0.2.7' };
  };
  const told = candidateAddresses({
    host,
    own: new Set(['cnx']),
    rules: { excludeInterfaces: ['eth2'] },
    mark: 5,
  });
  assert.deepEqual(told, ['192.0.2.7', '10.0.0.1']);
  assert.deepEqual(
    asked.map(([, mark]) => mark),
    [5, 5],
  );
});
