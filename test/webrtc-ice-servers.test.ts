import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostAddresses } from '../dataplane/io/engine/host-addresses.ts';
import { IceServerNames, StunChoice } from '../dataplane/io/engine/ice-servers.ts';
import { FreshPorts } from '../dataplane/io/engine/udp-port.ts';
import type { IceServer } from '../dataplane/io/webrtc.ts';

const stun = (host: string): IceServer => ({ kind: 'stun', host, port: 3478 });
const turn = (host: string): IceServer => ({ kind: 'turn', host, port: 3478, user: 'u', credential: 'c' });
const hostsOf = (servers: readonly IceServer[]) => servers.map(({ host }) => host);

test('literal addresses are not looked up, names are, once for all who wait', async () => {
  const asked: string[] = [];
  const names = new IceServerNames(async (name) => {
    asked.push(name);
    return ['2001:db8::1', '192.0.2.1'];
  });
  const servers = [stun('198.51.100.1'), stun('a.example'), turn('a.example')];
  const [ipv4, ipv6] = await Promise.all([names.resolve(servers, false), names.resolve(servers, true)]);
  assert.deepEqual(hostsOf(ipv4.servers), ['198.51.100.1', '192.0.2.1', '192.0.2.1']);
  assert.deepEqual(hostsOf(ipv6.servers), ['198.51.100.1', '2001:db8::1', '2001:db8::1']);
  assert.deepEqual(asked, ['a.example', 'ipv4only.arpa']);
  assert.deepEqual(ipv4.servers[2], { ...turn('a.example'), host: '192.0.2.1' });
});

test('on a host with IPv6 alone servers of IPv4 are asked by the translator of its network, where it has one', async () => {
  const served: Record<string, string[]> = {
    'ipv4only.arpa': ['192.0.0.170', '64:ff9b::c000:aa'],
    'a.example': ['192.0.2.1'],
    'b.example': ['192.0.2.1', '2001:db8::1'],
  };
  const names = new IceServerNames(async (name) => served[name]!);
  const servers = [stun('198.51.100.1'), turn('a.example'), turn('b.example'), stun('10.0.0.1')];
  const { servers: known, nat64 } = await names.resolve(servers, true);
  assert.deepEqual(hostsOf(known), ['64:ff9b::c633:6401', '64:ff9b::c000:201', '2001:db8::1', '10.0.0.1']);
  assert.ok(nat64);
  assert.equal((await names.resolve(servers, false)).nat64, undefined);
  const without = new IceServerNames(async (name) => (name === 'ipv4only.arpa' ? ['192.0.0.170'] : []));
  assert.deepEqual(await without.resolve([stun('198.51.100.1')], true), {
    servers: [stun('198.51.100.1')],
    nat64: undefined,
  });
});

test('an answer is used for five minutes, and the last good one while a newer is not there', async () => {
  let now = 0;
  let answer: () => Promise<string[]> = async () => ['192.0.2.1'];
  let asked = 0;
  const names = new IceServerNames(
    () => {
      asked += 1;
      return answer();
    },
    () => now,
  );
  const resolve = async () => hostsOf((await names.resolve([stun('a.example')], false)).servers);
  assert.deepEqual(await resolve(), ['192.0.2.1']);
  now = 299_000;
  await resolve();
  assert.equal(asked, 1);
  now = 301_000;
  answer = () => Promise.reject(new Error('no name server'));
  assert.deepEqual(await resolve(), ['192.0.2.1']);
  assert.equal(asked, 2);
  now = 330_000;
  await resolve();
  assert.equal(asked, 2);
  now = 332_000;
  answer = async () => ['192.0.2.2'];
  await resolve();
  assert.deepEqual(await resolve(), ['192.0.2.2']);
  assert.equal(asked, 3);
});

test('a name that does not resolve leaves its server out', async () => {
  const names = new IceServerNames(() => Promise.reject(new Error('not found')));
  const { servers } = await names.resolve([stun('a.example'), stun('192.0.2.9')], false);
  assert.deepEqual(hostsOf(servers), ['192.0.2.9']);
});

test('the first STUN server is asked until it is silent for two seconds, then the next', () => {
  let now = 0;
  const choice = new StunChoice(() => now);
  const servers = [turn('t'), stun('a'), stun('b')];
  const first = choice.choose(servers);
  const second = choice.choose(servers);
  assert.equal(first.server!.host, 'a');
  now = 1999;
  second.outcome(false);
  assert.equal(choice.choose(servers).server!.host, 'a');
  now = 2001;
  first.outcome(false);
  const third = choice.choose(servers);
  assert.equal(third.server!.host, 'b');
  now = 60_000;
  third.outcome(true);
  assert.equal(choice.choose(servers).server!.host, 'b');
});

test('a silence that several connections notice passes over one server, not several', () => {
  let now = 0;
  const choice = new StunChoice(() => now);
  const servers = [stun('a'), stun('b'), stun('c')];
  const all = [1, 2, 3].map(() => choice.choose(servers));
  now = 10_000;
  for (const { outcome } of all) outcome(false);
  assert.equal(choice.choose(servers).server!.host, 'b');
});

test('a TURN server is asked where there is no STUN server, and nobody where there is none', () => {
  const choice = new StunChoice();
  assert.equal(choice.choose([turn('t')]).server!.host, 't');
  assert.equal(choice.choose([]).server, undefined);
});

test('host addresses leave out link-local ones, and loopback where there are others', () => {
  const entry = (address: string, internal = false) => ({
    ...{ address, internal, netmask: '', mac: '', cidr: null },
    ...(address.includes(':') ? { family: 'IPv6' as const, scopeid: 0 } : { family: 'IPv4' as const }),
  });
  const lo = [entry('127.0.0.1', true), entry('::1', true)];
  const eth0 = [entry('192.0.2.7'), entry('fe80::1'), entry('169.254.3.4'), entry('2001:db8::7')];
  assert.deepEqual(hostAddresses({ lo, eth0 }), ['192.0.2.7', '2001:db8::7']);
  assert.deepEqual(hostAddresses({ lo, eth0: [entry('fe80::1')] }), ['127.0.0.1', '::1']);
  assert.deepEqual(hostAddresses({}), []);
});

test('a port is not taken again while a TURN server may remember it, unless there is no other', async () => {
  let now = 0;
  const offered = [5, 5, 6, 5, 6, 7];
  const ports = new FreshPorts(
    async () => offered.shift() ?? 5,
    () => now,
  );
  assert.equal(await ports.take(), 5);
  assert.equal(await ports.take(), 6);
  assert.equal(await ports.take(), 7);
  now = 10 * 60_000;
  assert.equal(await ports.take(), 5, 'a hundred tries, then any');
  now = 12 * 60_000;
  offered.push(6);
  assert.equal(await ports.take(), 6);
});
