/**
 * The addon against a real kernel: each device is one end, the namespace's own network stack the other.
 *
 *     sink ◀── ring ◀── reader thread ◀──┐                 ┌──▶ ping, routes, AF_PACKET
 *                                        ├── /dev/net/tun ──┤
 *     records ───────────────────────────┘                 └──◀ (test/native/packet-socket.c)
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { isDeepStrictEqual, promisify } from 'node:util';
import { nativeTunsBy } from '../dataplane/io/native-tun.ts';
import type { RecordSink, Tun, TunOptions } from '../dataplane/io/tun.ts';
import { defaultTunDevice } from '../dataplane/io/tun-refusal.ts';
import { FarEnd, packetsIn } from '../test/native/far-end.ts';
import { addressesOf, devices, ip, ipJson, ready, show } from '../test/native/interfaces.ts';
import { inNamespace } from '../test/native/namespace.ts';
import { PacketSocket } from '../test/native/packet-socket.ts';
import { echo, ethertype, numbered, numberOf } from '../test/native/packets.ts';
import { tunConformance } from '../test/native/tun-conformance.ts';
import { openTun, runOpenTun } from '../test/native/tun-process.ts';
import { waitFor } from '../test/native/wait.ts';
import { parsePing, pingCommand } from './lab/ping.ts';

const nativeTuns = nativeTunsBy(defaultTunDevice);

const defaults: TunOptions = {
  name: '',
  alias: '',
  mtu: 1400,
  packetInformation: false,
  linkLocal: 'fe80::1',
};

if (inNamespace(import.meta.filename, 'TUN devices in a network namespace')) define();

function define(): void {
  let kernel: PacketSocket;

  before(async () => {
    ip('link', 'set', 'lo', 'up');
    kernel = await PacketSocket.open();
  });

  after(() => kernel.close());

  tunConformance('native', () => ({
    factory: nativeTuns,
    ready,
    toggle(tun) {
      ip('link', 'set', tun.name, 'down');
      ip('link', 'set', tun.name, 'up');
    },
    setRpFilter: (tun, mode) => writeFileSync(`/proc/sys/net/ipv4/conf/${tun.name}/rp_filter`, `${mode}`),
    send: async (tun, packet, type = ethertype.ipv4) => void (await kernel.send(tun.ifindex, type, packet)),
    received: (tun) =>
      kernel.received
        .filter(({ ifindex }) => ifindex === tun.ifindex)
        .map((packet) => ({ ethertype: packet.ethertype, bytes: packet.bytes })),
  }));

  test('a device has its alias, MTU, queue and one link-local address, and is up without carrier', (t) => {
    const alias = 'a node’s whole ID, longer than an interface name';
    const tun = open(t, { name: 'cn-conf', alias, mtu: 1380, linkLocal: 'fe80::1234:5678' });
    const link = show(tun);
    assert.equal(link.ifindex, tun.ifindex);
    assert.equal(link.mtu, 1380);
    assert.equal(link.txqlen, 1000);
    assert.deepEqual(addressesOf(link), ['fe80::1234:5678/64 link']);
    assert(
      link.flags.includes('UP') && link.flags.includes('NO-CARRIER') && !link.flags.includes('LOWER_UP'),
    );
    const [details] = ipJson('-details', 'link', 'show', 'dev', tun.name);
    assert.equal(details.ifalias, alias);
    assert.equal(details.inet6_addr_gen_mode, 'none');
  });

  test('carrier comes and goes with setCarrier, the addresses stay', async (t) => {
    const tun = open(t);
    tun.setCarrier(true);
    await waitFor('carrier', () => show(tun).flags.includes('LOWER_UP'));
    tun.setCarrier(false);
    await waitFor('no carrier', () => show(tun).flags.includes('NO-CARRIER'));
    assert.deepEqual(addressesOf(show(tun)), ['fe80::1/64 link']);
  });

  test('an MTU too small for IPv6 takes the address away, a larger one brings back that one alone', async (t) => {
    const tun = open(t, { mtu: 1232 });
    tun.setCarrier(true);
    await ready(tun);
    assert.deepEqual(addressesOf(show(tun)), []);
    tun.setMtu(1400);
    assert.deepEqual(addressesOf(show(tun)), ['fe80::1/64 link']);
    tun.setMtu(1232);
    tun.setMtu(1280);
    assert.deepEqual(addressesOf(show(tun)), ['fe80::1/64 link']);
  });

  test('where IPv6 is switched off a device opens all the same, without address', (t) => {
    const setting = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
    writeFileSync(setting, '1');
    t.after(() => writeFileSync(setting, '0'));
    assert.deepEqual(addressesOf(show(open(t))), []);
  });

  test('the kernel pings a host behind the device, and that host pings the kernel', async (t) => {
    const answers: Buffer[] = [];
    const tun = open(t, {}, (batch) => {
      for (const packet of batch.map((bytes) => Buffer.from(bytes))) {
        const type = packet[9] === 1 ? packet[20] : undefined;
        if (type === 8) farOf(tun).give([echo('198.51.100.2', '198.51.100.1', 0, packet.subarray(24))]);
        if (type === 0) answers.push(packet.subarray(24));
      }
    });
    tun.setCarrier(true);
    await ready(tun);
    ip('address', 'add', '198.51.100.1', 'peer', '198.51.100.2', 'dev', tun.name);
    const twenty = { count: 20, interval: 0.01 };
    const [program, ...args] = pingCommand('198.51.100.2', twenty);
    const { stdout } = await promisify(execFile)(program!, args);
    assert.equal(parsePing(stdout, twenty).received, 20);
    const rest = Buffer.from('0007000163727960', 'hex');
    farOf(tun).give([echo('198.51.100.2', '198.51.100.1', 8, rest)]);
    await waitFor('the answer', () => answers.length > 0);
    assert.deepEqual(answers, [rest]);
  });

  test('the interface of a route is found, for IPv4 and IPv6, and none where there is no way', async (t) => {
    const tun = open(t);
    tun.setCarrier(true);
    await ready(tun);
    const routeInterface = (address: string) => {
      const route = nativeTuns.route(address, 0);
      return route !== undefined && 'forbids' in route ? route.forbids : route?.interface;
    };
    ip('address', 'add', '198.51.100.1', 'peer', '198.51.100.2', 'dev', tun.name);
    ip('route', 'add', '203.0.113.0/24', 'via', '198.51.100.2');
    ip('route', 'add', 'unreachable', '203.0.113.9');
    ip('-6', 'route', 'add', '2001:db8:1::/48', 'via', 'fe80::2', 'dev', tun.name);
    ip('-6', 'route', 'add', 'blackhole', '2001:db8:1:9::/64');
    assert.equal(routeInterface('203.0.113.1'), tun.name);
    assert.equal(routeInterface('203.0.113.9'), 'unreachable');
    assert.equal(routeInterface('192.0.2.1'), undefined);
    assert.equal(routeInterface('127.0.0.1'), 'lo');
    assert.equal(routeInterface('2001:db8:1::1'), tun.name);
    assert.equal(routeInterface('2001:db8:1:9::1'), 'blackhole');
    assert.equal(routeInterface('2001:db8:2::1'), undefined);
    assert.equal(routeInterface('::1'), 'lo');
  });

  test('64 devices at once each carry their own packets both ways, read by one thread', async (t) => {
    const numbers = new Map<Tun, number[]>();
    const tuns = Array.from({ length: 64 }, (_, n) => {
      const own: number[] = [];
      const tun = open(t, { name: `cn-many${n}` }, (batch) => {
        const mine = batch.filter((packet) => numberOf(packet) !== undefined);
        own.push(...mine.map((packet) => numberOf(packet)!));
        farOf(tun).give(mine);
      });
      tun.setCarrier(true);
      numbers.set(tun, own);
      return tun;
    });
    assert.equal(threads('cryonet-tun'), 1);
    await Promise.all(tuns.map(ready));
    const sends: Promise<number>[] = [];
    for (let round = 0; round < 10; round++) {
      for (const [n, tun] of tuns.entries())
        sends.push(kernel.send(tun.ifindex, ethertype.ipv4, numbered(n * 100 + round)));
    }
    await Promise.all(sends);
    await waitFor('all packets', () => [...numbers.values()].every((own) => own.length >= 10));
    const expected = (n: number) => Array.from({ length: 10 }, (_, round) => n * 100 + round);
    for (const [n, tun] of tuns.entries()) {
      assert.deepEqual(numbers.get(tun), expected(n));
      const back = () => kernel.received.filter(({ ifindex }) => ifindex === tun.ifindex);
      const echoed = () => back().flatMap(({ bytes }) => numberOf(bytes) ?? []);
      await waitFor('the packets back', () => echoed().length >= 10);
      assert.deepEqual(echoed(), expected(n));
    }
  });

  test('opening and closing 1000 times leaves no descriptor and no thread behind', async () => {
    await waitFor('earlier devices to be closed', () => threads('cryonet-close') === 0);
    const before = [descriptors(), threads()];
    for (let n = 0; n < 1000; n++) {
      nativeTuns.open({ ...defaults, name: 'cn-again' }, () => {}).close();
    }
    assert.equal(threads('cryonet-tun'), 0);
    await waitFor('the kernel to finish', () => isDeepStrictEqual([descriptors(), threads()], before));
  });

  test('a flood at a slow sink is dropped, not stored, and other devices are served meanwhile', async (t) => {
    const beside = await PacketSocket.open();
    t.after(() => beside.close());
    let delivered = 0;
    let served = false;
    const other = open(t, {}, (batch) => {
      served ||= batch.some((packet) => numberOf(packet) === 7);
    });
    const tun = openSealed(t, {}, (batch) => {
      delivered += batch.length;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    });
    tun.setCarrier(true);
    other.setCarrier(true);
    await ready(tun);
    await ready(other);
    const before = process.memoryUsage().rss;
    const flood = kernel.send(tun.ifindex, ethertype.ipv4, numbered(1, 1400), 200_000);
    await waitFor('the flood', () => delivered > 1000);
    await beside.send(other.ifindex, ethertype.ipv4, numbered(7));
    const first = await Promise.race([
      flood.then(() => 'the flood’s end'),
      waitFor('the other device', () => served).then(() => 'the other device'),
    ]);
    assert.equal(first, 'the other device');
    await flood;
    assert(delivered < 100_000, `delivered ${delivered} of 200000`);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    assert(grown < 64, `grew by ${grown} MiB under 267 MiB of packets`);
  });

  test('a paused device under a flood keeps no more than its ring and the kernel’s queue', async (t) => {
    let delivered = 0;
    const tun = openSealed(t, {}, (batch) => {
      delivered += batch.length;
    });
    tun.setCarrier(true);
    await ready(tun);
    tun.pause();
    delivered = 0;
    await kernel.send(tun.ifindex, ethertype.ipv4, numbered(1, 1400), 10_000);
    assert.equal(delivered, 0);
    tun.resume();
    await waitFor('what was kept', () => delivered >= 1000);
    // 256 KiB of ring, 1000 packets in the device's queue and as many in the queueing discipline before it.
    assert(delivered < 2300, `delivered ${delivered}`);
    const known = delivered + tun.dropped();
    assert(
      known >= 10_000 && known < 10_020,
      `${known} delivered or counted; the kernel sends a few of its own`,
    );
  });

  test('devices close while packets flow', async (t) => {
    for (let n = 0; n < 20; n++) {
      let delivered = 0;
      const tun = open(t, {}, (batch) => {
        delivered += batch.length;
      });
      tun.setCarrier(true);
      await ready(tun);
      const flood = kernel.send(tun.ifindex, ethertype.ipv4, numbered(n), 20_000);
      await waitFor('packets', () => delivered > 0);
      tun.close();
      const atClose = delivered;
      await flood;
      assert.equal(delivered, atClose);
    }
    assert.equal(threads('cryonet-tun'), 0);
  });

  test('a device that the administrator removes loses packets, refuses changes and costs nothing', async (t) => {
    const tun = open(t);
    tun.setCarrier(true);
    await ready(tun);
    ip('link', 'delete', tun.name);
    farOf(tun).give([numbered(1)]);
    assert.equal(tun.direct().counters().rxRefused, 1);
    assert.throws(() => tun.setMtu(1300), { code: 'tun_failed' });
    assert.throws(() => tun.setCarrier(false), { code: 'tun_failed' });
    // A thread that spins on the dead descriptor would burn all of this time.
    assert.equal(threads('cryonet-tun'), 1);
    const before = processorTime('cryonet-tun');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const burnt = processorTime('cryonet-tun') - before;
    assert(burnt < 50, `${burnt} ms of a processor in 200 ms`);
    tun.close();
  });

  test('a device that is down loses packets', (t) => {
    const tun = open(t);
    ip('link', 'set', tun.name, 'down');
    farOf(tun).give([numbered(1)]);
    assert.equal(tun.direct().counters().rxRefused, 1);
  });

  test('an exception of a sink reaches the process and stops no later packet', async (t) => {
    const caught: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => caught.push(error.message));
    t.after(() => {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    });
    let numbers: number[] = [];
    const tun = open(t, {}, (batch) => {
      numbers = numbers.concat(batch.flatMap((packet) => numberOf(packet) ?? []));
      if (numbers.length === 1 && caught.length === 0) throw new Error('on purpose');
    });
    tun.setCarrier(true);
    await ready(tun);
    await kernel.send(tun.ifindex, ethertype.ipv4, numbered(1));
    await waitFor('the exception', () => caught.length > 0);
    await kernel.send(tun.ifindex, ethertype.ipv4, numbered(2));
    await waitFor('the second packet', () => numbers.length === 2);
    assert.deepEqual(caught, ['on purpose']);
  });

  for (const [mode, code] of [
    ['exit', 0],
    ['throw', 1],
    ['close', 0],
    ['worker', 0],
  ] as const) {
    test(`a process ends and its device goes: ${mode}`, async () => {
      const { output, ended } = await runOpenTun(mode);
      assert.match(output, /^open tun/);
      assert.deepEqual(ended, [code, null], output);
      assert.deepEqual(devices(), []);
    });
  }

  test('an open device keeps its process alive, and a signal ends both', async () => {
    const child = openTun('stay');
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    await waitFor('the device', () => devices().length === 1);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [null, 'SIGTERM']);
    await waitFor('the device to go', () => devices().length === 0);
  });

  test('CAP_NET_ADMIN and a read-only /proc/sys are enough', async () => {
    const limited = ['--bounding-set=-all,+net_admin', '--inh-caps=-all,+net_admin'];
    const script = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
    const { output } = await runOpenTun(
      'close',
      'unshare',
      '--mount',
      'sh',
      '-c',
      script,
      '--',
      'setpriv',
      ...limited,
    );
    assert.match(output, /^open tun0$/m);
  });

  test('asking whether a device could be opened makes none and keeps nothing open', () => {
    const before = descriptors();
    nativeTuns.try();
    assert.deepEqual([devices(), descriptors()], [[], before]);
  });
}

/** A device whose packets the sink is given opened. */
function open(t: TestContext, options: Partial<TunOptions> = {}, sink: RecordSink = () => {}): Tun {
  return openSealed(t, options, (batch) => sink(packetsIn(batch)));
}

/** A device for a sink that only counts records. */
function openSealed(t: TestContext, options: Partial<TunOptions>, sink: RecordSink): Tun {
  const tun = nativeTuns.open({ ...defaults, ...options }, sink);
  farEnds.set(tun, new FarEnd(tun));
  t.after(() => tun.close());
  return tun;
}

const farEnds = new WeakMap<Tun, FarEnd>();

function farOf(tun: Tun): FarEnd {
  return farEnds.get(tun)!;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** How many threads this process has, of one name or all. */
function threads(name = ''): number {
  return (name === '' ? readdirSync('/proc/self/task') : threadsCalled(name)).length;
}

function threadsCalled(name: string): string[] {
  return readdirSync('/proc/self/task').filter((id) => ofThread(id, 'comm')?.trim() === name);
}

/** Milliseconds for which the threads of this name have run, by the first number of their `schedstat`, in ns. */
function processorTime(name: string): number {
  return threadsCalled(name).reduce(
    (sum, id) => sum + Number(ofThread(id, 'schedstat')?.split(' ')[0]) / 1e6,
    0,
  );
}

/** A file of a thread that may have ended meanwhile. */
function ofThread(id: string, file: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${id}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
