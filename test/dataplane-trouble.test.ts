import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { staleForEver } from '../dataplane/io/ice-server-check.ts';
import { newOfferKeys } from '../dataplane/io/link-keys.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { DataplaneShell } from '../dataplane/shell.ts';
import type { IceServer } from '../protocol/dataplane.ts';
import { errorCodes } from '../protocol/errors.ts';
import { interfaceNames } from '../protocol/interface-name.ts';
import { attemptWith, closeAfter, configOf, Pairs, type Side, twoOf } from './dataplane-pair.ts';
import { answeredKeys, epochs } from './descriptions.ts';
import { twins } from './interface-twins.ts';
import { newLogLines } from './log-lines.ts';
import { waitFor } from './native/wait.ts';

test('only one end has packet information: neither has an interface, and both say why', async (context) => {
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a', { packetInformation: true }), await pairs.add('b')];
  closeAfter(context, a, b);
  await pairs.negotiate(a, b);
  await waitFor('both to be told', () => a.ended.length > 0 && b.ended.length > 0);
  for (const { ended } of [a, b])
    assert.match(ended[0]!.reason, /only one side has --enable-packet-information/);
  assert.equal(a.tuns.devices.size + b.tuns.devices.size, 0);
});

const offered = (sdp: string) => ({ sdp, keys: newOfferKeys({ index: 7, udp: false }).keys, epochs });
const answered = (sdp: string) => ({ sdp, keys: answeredKeys, epochs });

test('a description that the engine refuses is bad_sdp, ends its connection alone, and the next attempt works', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const attempt = attemptWith('b', 'x');
  for (const sdp of ['nonsense', 'v=0\r\n', '\u0000']) {
    await assert.rejects(a.shell.request('answer', { ...attempt, ...offered(sdp) }), { code: 'bad_sdp' });
  }
  await a.shell.request('offer', attempt);
  const accepted = a.shell.request('accept', { peer: 'b', negotiation: 'x', ...answered('nonsense') });
  await assert.rejects(accepted, { code: 'bad_sdp' });
  assert.deepEqual(a.report('b')!.connections, []);
  await pairs.link(a, b);
});

test('what control may not ask is refused by code', async (context) => {
  const { a } = await twoOf(context);
  const attempt = attemptWith('b', 'x');
  const early = a.shell.request('accept', { peer: 'b', negotiation: 'x', ...answered('v=0') });
  await assert.rejects(early, { code: 'unknown_link' });
  await a.shell.request('offer', attempt);
  await assert.rejects(a.shell.request('offer', attempt), { code: 'bad_message', message: /exists/ });
  assert.deepEqual(await a.shell.request('close', { peer: 'b', negotiation: 'none' }), {});
  assert.deepEqual(await a.shell.request('remove', { peer: 'nobody' }), {});
  a.shell.close();
  await assert.rejects(a.shell.request('offer', attempt), {
    code: 'bad_message',
    message: /hello comes first/,
  });
});

test('an interface that the kernel refuses ends the connection with the reason, and a later one is tried again', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  a.tuns.refusal = 'tun_denied';
  await pairs.negotiate(a, b);
  await waitFor('control to be told', () => a.ended.length > 0);
  assert.match(a.ended[0]!.reason, /CAP_NET_ADMIN/);
  assert.equal(a.report('b')!.state, 'connecting');
  assert.match(a.report('b')!.reason, /CAP_NET_ADMIN/);
  assert.ok(a.lines.some(({ level, fields }) => level === 'warn' && fields.about === 'interface'));
  a.tuns.refusal = undefined;
  await pairs.link(a, b);
  assert.equal(a.report('b')!.state, 'up');
});

test('an interface that does not open is no link at the other end either, not for a moment', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  a.tuns.refusal = 'tun_denied';
  for (let i = 0; i < 3; i++) {
    await pairs.negotiate(a, b);
    await waitFor('both to be told', () => a.ended.length > i && b.ended.length > i);
  }
  for (const { reports } of [a, b]) {
    assert.ok(reports.length > 0);
    assert.ok(reports.every(({ state, active }) => state === 'connecting' && active === null));
    assert.ok(reports.every(({ connections }) => connections.every(({ open }) => !open)));
  }
  a.tuns.refusal = undefined;
  await pairs.link(a, b);
});

test('a name that is taken is no obstacle: there is a second one, with the whole ID as alias', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const foreign = {
    name: 'cnb',
    alias: 'an uplink',
    mtu: 1500,
    packetInformation: false,
    linkLocal: 'fe80::1',
  };
  a.tuns.open(foreign, () => {});
  await pairs.link(a, b);
  assert.deepEqual(a.tun('b')!.name, 'cnb~nhgy3b2');
  assert.equal(a.report('b')!.interface!.name, 'cnb~nhgy3b2');
  assert.ok(
    a.lines.some(
      ({ level, message, fields }) =>
        level === 'warn' && message === 'the name of an interface is taken' && fields.interface === 'cnb',
    ),
  );
  assert.equal(b.tun('a')!.name, 'cna');
});

test('an ID chosen for the name of another node’s interface does not get it: not while that is away, nor before it where control knows it', async (context) => {
  const pairs = new Pairs();
  const sides: Side[] = [];
  for (const id of ['a', ...twins, 'late']) sides.push(await pairs.add(id));
  closeAfter(context, ...sides);
  const [a, victim, twin, late] = sides as [Side, Side, Side, Side];
  const nameOf = (side: Side, { id }: Side) => side.tun(id)?.name;
  const [first, second] = interfaceNames('cn', victim.id);
  const [, ofTwin] = interfaceNames('cn', twin.id);

  await pairs.link(a, victim);
  await pairs.link(a, twin);
  assert.deepEqual([nameOf(a, victim), nameOf(a, twin)], [first, ofTwin]);
  assert.deepEqual((await a.shell.request('stats', {})).refused, { name: 1 });
  for (const { id } of [victim, twin]) await a.shell.request('remove', { peer: id });
  await pairs.link(a, twin);
  assert.equal(nameOf(a, twin), ofTwin, 'the victim is away, its name is not given away');
  await pairs.link(a, victim);
  assert.equal(nameOf(a, victim), first);

  pairs.displaced.add(twin.id);
  await pairs.link(late, twin);
  assert.equal(nameOf(late, twin), ofTwin, 'control remembers whose the name is');
  assert.deepEqual((await late.shell.request('stats', {})).refused, { name: 1 });
  pairs.displaced.delete(twin.id);
  await late.shell.request('remove', { peer: twin.id });
  await pairs.link(late, twin);
  assert.equal(nameOf(late, twin), first, 'nobody knows the victim');
  late.tuns.open(
    { name: second!, alias: '', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' },
    () => {},
  );
  await pairs.link(late, victim);
  assert.equal(nameOf(late, victim), 'cn~0', 'both names are taken, and it has an interface');
});

test('a service that can make no interface says so and goes on, and a link comes up once it can', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  a.tuns.trouble = 'tun_file_denied';
  const { warnings } = await a.hello();
  assert.deepEqual(
    warnings?.map(({ subject, message }) => [subject, message]),
    [['tun', errorCodes.tun_file_denied]],
  );
  assert.equal(a.shell.trouble, `tun: ${errorCodes.tun_file_denied}`);
  await assert.rejects(pairs.negotiate(a, b), { code: 'tun_file_denied' });
  await assert.rejects(pairs.negotiate(b, a), { code: 'tun_file_denied' });
  assert.equal(a.lines.filter(({ message }) => message === 'warning').length, 1);
  a.tuns.trouble = undefined;
  await pairs.link(a, b);
  assert.equal(a.report('b')!.state, 'up');
  assert.deepEqual((await a.hello()).warnings, []);
});

test('a dataplane that a control started refuses it where it can make no interface', async () => {
  const tuns = new MemoryTunFactory();
  tuns.trouble = 'tun_denied';
  const shell = new DataplaneShell({
    log: newLogLines().log,
    tuns,
    child: true,
    openEngine: () => Promise.reject(new Error('not asked for')),
  });
  shell.look();
  assert.equal(shell.trouble, undefined);
  await assert.rejects(shell.request('hello', { version: 1, config: configOf('a') }), { code: 'tun_denied' });
});

test('an interface that somebody deleted takes the link along, and the next link has a new one', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const old = a.tun('b')!;
  old.setCarrier = () => {
    throw new Error('no such device');
  };
  await b.shell.request('remove', { peer: 'a' });
  await waitFor('the loss', () => a.lines.some(({ message }) => message === 'interface lost'));
  assert.ok(old.closed);
  assert.equal(a.report('b')!.interface, null);
  await pairs.link(a, b);
  assert.notEqual(a.tun('b')!.ifindex, old.ifindex);
});

test('a peer that says nothing for three pings is lost', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 10; i++) {
    context.mock.timers.tick(2000);
    for (let j = 0; j < 10; j++) await turn();
  }
  assert.equal(a.report('b')!.state, 'up', 'who answers is not');
  pairs.network.cut('a', 'b');
  for (let i = 0; i < 5; i++) {
    context.mock.timers.tick(2000);
    for (let j = 0; j < 10; j++) await turn();
  }
  for (const side of [a, b]) assert.equal(side.ended.at(-1)?.reason, 'the peer does not answer');
  assert.equal(a.report('b')!.state, 'lost');
  assert.equal(a.tun('b')!.carrier, false);
  pairs.network.heal();
  await pairs.link(a, b);
});

test('a dataplane that is told to stop says goodbye where no control is left to do it, and only there', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  await pairs.link(a, b);
  await a.shell.leave();
  assert.deepEqual(b.byes, [], 'control would have said it');
  a.shell.attach(undefined);
  await a.shell.leave();
  await waitFor('the goodbye', () => b.byes.length > 0);
  assert.deepEqual(b.byes, ['a']);
});

test('a remote candidate that leads through one of our own interfaces is never used', async (context) => {
  const { pairs, a, b } = await twoOf(context);
  const c = await pairs.add('c');
  closeAfter(context, c);
  await pairs.link(a, c);
  for (const side of [a, b])
    side.tuns.routes.set(pairs.network.addressOf(side === a ? 'b' : 'a'), side === a ? 'cnc' : 'eth0');
  await pairs.negotiate(a, b);
  await waitFor('control to be told', () => a.ended.length > 0);
  assert.match(a.ended[0]!.reason, /our own tunnel/);
  assert.equal(a.tun('b'), undefined);
  a.tuns.routes.clear();
  await pairs.link(a, b);
});

test('a link that turns out to lead through our own interface is closed', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { pairs, a, b } = await twoOf(context);
  const c = await pairs.add('c');
  closeAfter(context, c);
  await pairs.link(a, b);
  await pairs.link(a, c);
  a.tuns.routes.set(pairs.network.addressOf('b'), 'cnc');
  context.mock.timers.tick(2000);
  await waitFor('the loss', () => a.report('b')?.state === 'lost');
  assert.match(a.report('b')!.reason, /our own tunnel/);
  assert.equal(a.report('c')!.state, 'up');
});

/** Which servers each connection of the engines that are made from now on is given. */
function serversGiven(context: TestContext, { network }: Pairs): (readonly IceServer[])[] {
  const given: (readonly IceServer[])[] = [];
  const engine = network.engine.bind(network);
  context.mock.method(network, 'engine', (node: string) => {
    const made = engine(node);
    const connect = made.connect.bind(made);
    made.connect = (options, events) => {
      given.push(options.iceServers);
      return connect(options, events);
    };
    return made;
  });
  return given;
}

test('a TURN server that does not work is a warning without its credentials, and is given to no later connection', async (context) => {
  const { pairs, a } = await twoOf(context);
  const turn = { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'hidden' } as const;
  const stun = { kind: 'stun', host: 's.example', port: 3478 } as const;
  const given = serversGiven(context, pairs);
  pairs.iceServerTrouble = ({ kind }) => (kind === 'turn' ? 'it refuses with error 401' : undefined);
  await a.hello({ mtu: 1400 });
  const offer = (peer: string) =>
    a.shell.request('offer', { ...attemptWith(peer, `to-${peer}`), iceServers: [turn, stun] });
  await offer('b');
  const warned = await waitFor('the warning', async () => {
    const { warnings } = await a.hello({ mtu: 1400 });
    return warnings?.find(({ subject }) => subject === 'turn:t.example:3478');
  });
  assert.equal(warned.message, 'it is not used: it refuses with error 401');
  await offer('c');
  assert.deepEqual(given, [[turn, stun], [stun]]);
  assert.doesNotMatch(JSON.stringify([warned, a.lines]), /hidden/);
  await a.hello({ mtu: 1300 });
  assert.deepEqual(
    (await a.hello({ mtu: 1300 })).warnings,
    [],
    'another configuration may have another server',
  );
});

test('connections that ask a TURN server which takes no nonce are ended, and negotiated without it', async (context) => {
  const { pairs, a } = await twoOf(context);
  const turn = { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'hidden' } as const;
  const given = serversGiven(context, pairs);
  const { promise: checked, resolve } = Promise.withResolvers<string>();
  pairs.iceServerTrouble = () => checked;
  await a.hello({ mtu: 1400 });
  const offer = (peer: string, route: 'shared' | 'relay', negotiation: string) =>
    a.shell.request('offer', { ...attemptWith(peer, negotiation), route, iceServers: [turn] });
  await offer('b', 'shared', 'one');
  await offer('b', 'relay', 'two');
  resolve(staleForEver);
  await waitFor('the end', () => a.ended.length > 0);
  assert.deepEqual(
    a.ended.map(({ negotiation, reason }) => [negotiation, reason]),
    [['two', 'its TURN server takes no nonce']],
  );
  await offer('b', 'relay', 'three');
  assert.deepEqual(given, [[turn], [turn], []]);
});
