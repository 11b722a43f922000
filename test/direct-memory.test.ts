import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DirectEvents, DirectLink } from '../dataplane/io/direct.ts';
import { MemoryDirectNetwork } from '../dataplane/io/memory-direct.ts';
import { type MemoryTun, MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { openRecord } from '../dataplane/io/record.ts';
import { numbersOf, packet } from './dataplane-pair.ts';
import { waitFor } from './native/wait.ts';

interface End {
  readonly tuns: MemoryTunFactory;
  readonly tun: MemoryTun;
  readonly link: DirectLink;
  readonly events: string[];
  /** Records of what did not go by the direct path. */
  readonly aside: Uint8Array[];
}

const options = { alias: '', mtu: 1500, packetInformation: false, linkLocal: 'fe80::1' };
const key = (byte: number) => new Uint8Array(32).fill(byte);

function endOf(network: MemoryDirectNetwork, node: string, address: string): End {
  const tuns = new MemoryTunFactory();
  tuns.join({ network, node, address });
  const events: string[] = [];
  const listener: DirectEvents = {
    heard: (index) => events.push(`heard ${index}`),
    answered: (index, number) => events.push(`answered ${index} ${number}`),
    roamed: (index) => events.push(`roamed ${index}`),
  };
  tuns.openDirect({ port: 2333, udp: true, workers: 1, mark: 0 }, listener);
  const aside: Uint8Array[] = [];
  const tun = tuns.open({ ...options, name: 'cn' }, (batch) => aside.push(...batch));
  tun.setCarrier(true);
  return { tuns, tun, link: tun.direct(), events, aside };
}

const cipher = 'aes-256-gcm';

/** Two ends with one keypair each, 1 and 2, in use. */
function pair(network = new MemoryDirectNetwork()) {
  const [a, b] = [endOf(network, 'a', '192.0.2.1'), endOf(network, 'b', '192.0.2.2')];
  assert.ok(a.link.setEndpoint('192.0.2.2', 2333) && b.link.setEndpoint('192.0.2.1', 2333));
  a.link.add({ index: 1, peerIndex: 2, cipher, sendKey: key(1), receiveKey: key(2) });
  b.link.add({ index: 2, peerIndex: 1, cipher, sendKey: key(2), receiveKey: key(1) });
  for (const [i, { link }] of [a, b].entries()) {
    link.setLimit(1440);
    link.use(i + 1);
    link.carry(true);
  }
  return { network, a, b };
}

const turn = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('what is sealed under other keys, another cipher or for nobody does not open, and is counted', async () => {
  const { a, b } = pair();
  a.link.add({ index: 3, peerIndex: 2, cipher, sendKey: key(9), receiveKey: key(2) });
  a.link.add({ index: 4, peerIndex: 2, cipher: 'chacha20-poly1305', sendKey: key(1), receiveKey: key(2) });
  a.link.add({ index: 5, peerIndex: 77, cipher, sendKey: key(1), receiveKey: key(2) });
  for (const index of [3, 4, 5]) {
    a.link.use(index);
    assert.ok(a.tun.inject(packet(index)));
    await turn();
  }
  assert.deepEqual([b.tun.written, b.events, b.link.counters().rxForged], [[], [], 2]);
  a.link.use(1);
  a.tun.inject(packet(1));
  await waitFor('the packet', () => b.tun.written.length > 0);
  assert.deepEqual(numbersOf(b.tun.written), [1]);
  await turn();
  assert.deepEqual(b.events, ['heard 2']);
});

test('a packet above the limit goes to the sink in a record, and nowhere while no keypair is in use', async () => {
  const { a, b } = pair();
  for (const size of [1440, 1441]) a.tun.inject(packet(size, size));
  await turn();
  a.link.use(null);
  a.tun.inject(packet(1));
  await turn();
  assert.deepEqual(numbersOf(b.tun.written), [1440]);
  assert.deepEqual(numbersOf(a.aside.map((record) => openRecord({ cipher, key: key(1) }, record)!)), [1441]);
  const { txAside, txKeyless } = a.link.counters();
  assert.deepEqual([txAside, txKeyless], [1, 1]);
});

test('a probe is answered at once; one that is longer than the path vanishes, longer than the interface it is refused', async () => {
  const { a, b, network } = pair();
  network.mtu = 1400;
  assert.ok(a.link.probe(1, 7, 0) && a.link.probe(1, 8, 1400) && a.link.probe(1, 9, 1401));
  assert.ok(!a.link.probe(1, 10, 1501));
  assert.ok(!a.link.probe(99, 11, 0), 'no such keypair');
  await turn();
  assert.deepEqual(a.events, ['heard 1', 'answered 1 7', 'answered 1 8']);
  assert.deepEqual([a.link.counters().txRecords, b.link.counters().rxRecords], [3, 2]);
});

test('records from another address move the path there, which is told but for the first', async () => {
  const { a, b } = pair();
  b.tuns.move('2001:db8::2');
  b.tun.inject(packet(1));
  await turn();
  assert.deepEqual(a.link.endpoint(), { address: '2001:db8::2', port: 2333, overhead: 48 });
  b.tuns.move('192.0.2.9');
  b.tun.inject(packet(2));
  await turn();
  assert.deepEqual(a.link.endpoint(), { address: '192.0.2.9', port: 2333, overhead: 28 });
  assert.deepEqual(a.events, ['heard 1', 'roamed 1']);
  a.tun.inject(packet(3));
  await turn();
  assert.deepEqual(numbersOf(b.tun.written), [3]);
});

test('an index is taken once, keys have 32 bytes, an address is one, and a keypair in use stays', () => {
  const { a } = pair();
  const keypair = { index: 1, peerIndex: 2, cipher, sendKey: key(1), receiveKey: key(2) } as const;
  assert.equal(a.link.add(keypair), false);
  assert.throws(() => a.link.add({ ...keypair, index: 9, sendKey: new Uint8Array(31) }), TypeError);
  assert.equal(a.link.setEndpoint('nowhere', 1), false);
  assert.throws(() => a.link.use(9), /ENOENT/);
  assert.throws(() => a.link.remove(1), /in use/);
  a.link.use(null);
  a.link.remove(1);
  assert.ok(a.link.add(keypair));
});

test('a device that is closed and direct paths that are closed leave nothing behind', async () => {
  const { a, b } = pair();
  b.tun.close();
  a.tun.inject(packet(1));
  await turn();
  assert.throws(() => b.link.counters(), /ENOTCONN/);
  assert.throws(() => b.tun.direct(), { code: 'tun_failed' });
  a.tuns.closeDirect();
  a.tuns.closeDirect();
  assert.throws(() => a.link.carry(true), /ENOTCONN/);
  a.tun.inject(packet(2));
  await turn();
  assert.deepEqual(numbersOf(a.aside.map((record) => openRecord({ cipher, key: key(1) }, record)!)), [2]);
});

test('direct paths that are refused, or that have no network, say so by code', () => {
  const tuns = new MemoryTunFactory();
  const events: DirectEvents = { heard() {}, answered() {}, roamed() {} };
  const open = () => tuns.openDirect({ port: 1, udp: true, workers: 1, mark: 0 }, events);
  assert.throws(open, { code: 'direct_refused' });
  tuns.join({ network: new MemoryDirectNetwork(), node: 'a', address: '192.0.2.1' });
  tuns.directRefusal = 'UDP_GRO: ENOPROTOOPT';
  assert.throws(open, { code: 'direct_refused', message: /UDP_GRO/ });
  tuns.directRefusal = undefined;
  open();
});
