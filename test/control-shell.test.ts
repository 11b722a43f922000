import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { renderStatus } from '../cli/render-status.ts';
import { dataplaneVersion, type Method, type Params } from '../protocol/dataplane.ts';
import { numbersOf, packet } from './dataplane-pair.ts';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';
import { plain } from './status-example.ts';

async function meshOf(context: TestContext, size: number): Promise<{ lab: Lab; nodes: LabNode[] }> {
  const lab = new Lab(context);
  const nodes = [await lab.add('n0')];
  for (let i = 1; i < size; i++) nodes.push(await lab.add(`n${i}`, [nodes[0]!]));
  await lab.fullMesh();
  return { lab, nodes };
}

async function crosses(from: LabNode, to: LabNode, number: number): Promise<void> {
  await waitFor(`packet ${number} from ${from.id} to ${to.id}`, () => {
    from.tun(to.id)?.inject(packet(number));
    return numbersOf(to.tun(from.id)?.written ?? []).includes(number);
  });
}

test('five nodes that know one bootstrap node are a full mesh, and packets cross every link', async (context) => {
  const { nodes } = await meshOf(context, 5);
  for (const a of nodes) for (const b of nodes) if (a !== b) await crosses(a, b, 1);
  const report = await nodes[1]!.status();
  assert.equal(report.peers.length, 4);
  for (const peer of report.peers) {
    assert.equal(peer.state, 'up');
    assert.equal(peer.path, 'datachannel');
    assert.equal(peer.relayed, false);
    assert.equal(peer.interface?.name, `cn${peer.id}`);
    assert.ok(peer.interface?.carrier);
    assert.equal(peer.identity.length, 43);
    assert.ok(peer.counters!.txPackets > 0 && peer.counters!.rxPackets > 0);
  }
  assert.deepEqual(report.neighbors.find(({ id }) => id === 'n0')?.via, ['link', 'websocket']);
  assert.deepEqual(report.neighbors.find(({ id }) => id === 'n2')?.via, ['link']);
  assert.deepEqual(
    report.bootstrap.map(({ url, state, id, error }) => [url, state, id, error]),
    [[`${nodes[0]!.url}/`, 'connected', 'n0', null]],
  );
  assert.match(renderStatus(report, plain), /peers {6}4 of 4 up/);
});

test('the dataplane is told of our options and identity, and of the identity of each peer that it is to connect to', async (context) => {
  const lab = new Lab(context);
  const options = [
    '--no-direct',
    '--segmentation',
    'off',
    '--workers',
    '3',
    '--fwmark',
    '0x2a',
    '--mtu',
    '1400',
  ];
  const n0 = await lab.add('n0', [], options);
  const n1 = await lab.add('n1', [n0], ['--buf-size', '9000', '--workers', '2']);
  await lab.fullMesh();
  const asked = ({ dataplane }: LabNode, method: Method) =>
    dataplane.asked.find((each) => each.method === method)!.params;
  const keys = await Promise.all(
    [n0, n1].map(
      async (node) => new Uint8Array(Buffer.from((await node.status()).node.identity, 'base64url')),
    ),
  );
  const common = { interfacePrefix: 'cn', autoInterfaceName: false, packetInformation: false, udpPort: null };
  assert.deepEqual(asked(n0, 'hello'), {
    version: dataplaneVersion,
    config: {
      ...{ ...common, node: 'n0', identity: keys[0], mtu: 1400, autoMtu: false },
      ...{ fwmark: 42, direct: false, workers: 3, segmentation: false },
    },
  });
  assert.deepEqual(asked(n1, 'hello'), {
    version: dataplaneVersion,
    config: {
      ...{ ...common, node: 'n1', identity: keys[1], mtu: 8996, autoMtu: true },
      ...{ fwmark: 0, direct: true, workers: 2 },
    },
  });
  assert.deepEqual((asked(n1, 'offer') as Params<'offer'>).identity, keys[0]);
  assert.deepEqual((asked(n0, 'answer') as Params<'answer'>).identity, keys[1]);
});

test('a control that starts again adopts its links: packets cross all the while, nothing is negotiated anew', async (context) => {
  const { lab, nodes } = await meshOf(context, 3);
  const [n0, n1] = nodes as [LabNode, LabNode];
  for (const restarted of [n1, n0]) {
    const peers = nodes.filter((node) => node !== restarted);
    const before = peers.map((peer) => restarted.tun(peer.id)!);
    await restarted.stopControl();
    for (const peer of peers) {
      await crosses(restarted, peer, 100);
      await crosses(peer, restarted, 100);
    }
    await restarted.startControl(restarted === n0 ? [] : ['--ws-servers', n0.url]);
    await lab.fullMesh();
    assert.deepEqual(
      peers.map((peer) => restarted.tun(peer.id)),
      before,
      'the same interfaces',
    );
    assert.ok(before.every(({ carrier }) => carrier));
    assert.equal(restarted.logged('link adopted').length, 2);
    assert.equal(restarted.logged('link lost').length, 0);
    for (const peer of peers) {
      assert.equal(peer.logged('link lost').length, 0, peer.id);
      await crosses(restarted, peer, 101);
    }
  }
});

test('a dataplane that dies is found again, and its links come back by themselves', async (context) => {
  const { lab, nodes } = await meshOf(context, 3);
  const [n0, n1] = nodes as [LabNode, LabNode];
  const old = n1.tun('n0')!;
  await n1.replaceDataplane();
  await waitFor('control to notice', () => n1.logged('dataplane lost').length > 0);
  await waitFor('the dataplane to be back', () => n1.logged('dataplane is back').length > 0);
  await lab.fullMesh();
  assert.ok(old.closed);
  await crosses(n1, n0, 7);
  await crosses(n0, n1, 7);
});

test('without the bootstrap node the others keep their links, and take in a newcomer', async (context) => {
  const { lab, nodes } = await meshOf(context, 4);
  const [n0, n1, n2] = nodes as [LabNode, LabNode, LabNode];
  await n0.stopControl();
  n0.dataplane.close();
  const rest = nodes.slice(1);
  const before = n1.tun('n2');
  await waitFor('the loss of n0', () => rest.every((node) => node.logged('link lost').length > 0));
  await crosses(n1, n2, 1);
  const late = await lab.add('late-one', [n2]);
  await lab.fullMesh([...rest, late]);
  assert.equal(n1.tun('n2'), before);
  await crosses(late, n1, 1);
});

test('another token is refused on both sides by one clear line; no token is in any line', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const stranger = await lab.add('stranger', [n0], ['--token', 'a different secret']);
  await waitFor(
    'both to say so',
    () =>
      n0.logged('neighbor refused').length > 0 && stranger.logged('bootstrap server not reached').length > 0,
  );
  assert.equal(n0.logged('neighbor refused')[0]!.level, 'warn');
  assert.match(
    String(n0.logged('neighbor refused')[0]!.fields.reason),
    /client does not have the same token/,
  );
  assert.match(
    String(stranger.logged('bootstrap server not reached')[0]!.fields.reason),
    /refused by the server: the token is not the one of this mesh \(ours is from --token\)$/,
  );
  await waitFor('a second try', () => stranger.logged('bootstrap server not reached').length > 1);
  const warnings = stranger.lines.filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, 1, 'the same again is no warning');
  assert.deepEqual((await n0.status()).peers, []);
  const { bootstrap, neighbors } = await stranger.status();
  assert.match(bootstrap[0]!.error!, /the token is not the one of this mesh/);
  assert.deepEqual(neighbors, []);
  const text = JSON.stringify([n0.lines, stranger.lines]);
  for (const secret of ['the secret of the lab', 'a different secret']) assert.ok(!text.includes(secret));
});

test('one list of servers for all nodes: each leaves itself alone', async (context) => {
  const { lab, nodes } = await meshOf(context, 2);
  const [n0, n1] = nodes as [LabNode, LabNode];
  await n0.stopControl();
  await n0.startControl(['--ws-servers', `${n0.url},${n1.url}`]);
  await lab.fullMesh();
  await waitFor('both servers to be tried', async () =>
    (await n0.status()).bootstrap.every(({ state }) => state !== 'connecting'),
  );
  assert.equal(n0.logged('bootstrap server not reached').length, 0);
});

test('a denied peer never gets an interface, and each side says why', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const n1 = await lab.add('n1', [n0], ['--deny', 'n2*']);
  const n2 = await lab.add('n2', [n0]);
  await lab.fullMesh([n0, n1]);
  await lab.fullMesh([n0, n2]);
  await waitFor(
    'both to know',
    async () => (await n1.peer('n2'))?.state === 'denied' && (await n2.peer('n1'))?.state === 'denied',
  );
  assert.match((await n1.peer('n2'))!.reason, /our policy/);
  assert.match((await n2.peer('n1'))!.reason, /peer’s policy/);
  assert.equal(n1.tun('n2'), undefined);
  assert.equal(n2.tun('n1'), undefined);
});

test('a peer that is denied at a start loses its link, the others do not', async (context) => {
  const { nodes } = await meshOf(context, 3);
  const [n0, n1, n2] = nodes as [LabNode, LabNode, LabNode];
  const kept = n1.tun('n0');
  await n1.stopControl();
  await n1.startControl(['--ws-servers', n0.url, '--deny', 'n2']);
  await waitFor('the link to go', () => n1.tun('n2') === undefined && n2.tun('n1')?.carrier !== true);
  await waitFor('n0 to be up', async () => (await n1.peer('n0'))?.state === 'up');
  assert.equal(n1.tun('n0'), kept);
  assert.equal(n0.logged('link lost').length, 0);
});

test('intervals of months are kept, not taken for none', async (context) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  context.after(() => process.off('warning', onWarning));
  const lab = new Lab(context);
  await lab.add(
    'n0',
    [],
    ['--check-interval', '4000d', '--send-alive-interval', '4000d', '--check-timeout', '4000d'],
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    warnings.map(({ name }) => name),
    [],
  );
});

test('a taken socket is refused by one line; what was opened before is closed', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const first = n0.control;
  await assert.rejects(n0.startControl([]), {
    code: 'socket_in_use',
    message: new RegExp(`another cryonet serves ${n0.controlSocket}`),
  });
  await n0.stopControl();
  n0.control = first;
  assert.equal((await n0.status()).node.id, 'n0');
});

test('without a dataplane at the given socket a start is refused', async (context) => {
  const lab = new Lab(context);
  const node = await lab.add('n0');
  await node.stopControl();
  node.dataplane.close();
  await assert.rejects(node.startControl([]), { code: 'no_dataplane', message: /no dataplane serves/ });
});

/** What the control socket answers to these bytes until it closes. */
function ask(context: TestContext, path: string, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    context.after(() => socket.destroy());
    socket.write(bytes);
  });
}

const asked: readonly [what: string, bytes: string | Uint8Array, answer: RegExp][] = [
  [
    'the status',
    'GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 200 OK\r\n.*"id":"n0"/s,
  ],
  [
    'another path',
    'GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 404 .*unknown_method.*no GET \/nothing here/s,
  ],
  [
    'another method',
    'DELETE /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 405 .*no DELETE \/status here/s,
  ],
  [
    'a path that leaves the folder',
    'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 404 /,
  ],
  ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['bytes', Uint8Array.from({ length: 3000 }, (_, i) => (i * 31) & 255), /^HTTP\/1\.1 400 /],
  ['endless headers', `GET /status HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}`, /^(HTTP\/1\.1 4\d\d |$)/],
  [
    'a body larger than any',
    `POST /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
    /^HTTP\/1\.1 413 .*frame_too_large/s,
  ],
];

test('whatever is said to the control socket gets an answer or is closed, and the next question is answered', async (context) => {
  const lab = new Lab(context);
  const node = await lab.add('n0');
  for (const [what, bytes, answer] of asked) {
    assert.match(await ask(context, node.controlSocket, bytes), answer, what);
    assert.equal((await node.status()).node.id, 'n0', `after ${what}`);
  }
});

test('who connects to the control socket and never says all of a request keeps nobody from asking', async (context) => {
  const lab = new Lab(context);
  const node = await lab.add('n0');
  const sockets = Array.from({ length: 200 }, () => connect(node.controlSocket).on('error', () => {}));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.write('GET /status HTTP/1.1\r\nX: ');
  await waitFor('all to be there', () => sockets.filter(({ closed }) => closed).length === 200 - 64);
  assert.equal((await node.status()).node.id, 'n0');
});

test('garbage to the dataplane’s socket closes that connection; control and its links do not notice', async (context) => {
  const { nodes } = await meshOf(context, 2);
  const [n0, n1] = nodes as [LabNode, LabNode];
  for (const bytes of [
    Buffer.alloc(8, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0, 0, 0, 1, 0xc1]),
  ]) {
    await ask(context, n0.dataplaneSocket, bytes);
  }
  await crosses(n0, n1, 3);
  assert.equal(n0.logged('dataplane lost').length, 0);
});

test('a warning of the dataplane stands in the status until it is over, also for a control that comes later', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0', [], ['--fwmark', '7']);
  await lab.add('n1', [n0]);
  assert.deepEqual((await n0.status()).warnings, []);
  n0.dataplane.tuns.markRefusal = 'EPERM';
  await lab.fullMesh();
  const warned = async () => (await n0.status()).warnings!.map(({ subject, message }) => [subject, message]);
  const expected = [['fwmark', 'packets are not marked: EPERM']];
  await waitFor('the warning', async () => (await warned()).length > 0);
  assert.deepEqual(await warned(), expected);
  assert.match(n0.control!.summary(), /^1 of 1 up; fwmark: packets are not marked: EPERM$/);
  assert.match(
    renderStatus(await n0.status(), plain),
    /^warning {4}fwmark: packets are not marked: EPERM \(\d+s\)$/m,
  );
  await n0.stopControl();
  await n0.startControl(['--fwmark', '7']);
  assert.deepEqual(await warned(), expected);
  await n0.stopControl();
  n0.dataplane.tuns.markRefusal = undefined;
  await n0.startControl(['--fwmark', '8']);
  assert.deepEqual(await warned(), []);
  await n0.replaceDataplane();
  await waitFor('the dataplane to be back', () => n0.logged('dataplane is back').length > 0);
  assert.deepEqual(await warned(), []);
});

test('a node to which nobody can come and that joins nobody says so, until somebody came all the same', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const warned = async () => (await n0.status()).warnings!.map(({ subject }) => subject);
  await waitFor('the warning', async () => (await warned()).includes('alone'), 20_000);
  const { message } = (await n0.status()).warnings![0]!;
  assert.match(
    message,
    /^no ws-servers .* listen is 127\.0\.0\.1:\d+, .* set ws-servers, or listen to "\[::\]:2333"$/,
  );
  assert.match(n0.control!.summary(), /^no peers yet; alone: /);
  const n1 = await lab.add('n1', [n0]);
  await lab.fullMesh();
  assert.deepEqual(await warned(), []);
  assert.deepEqual((await n1.status()).warnings, [], 'it has where to join');
});

test('a node that is stopped leaves nothing behind, also when stopped twice', async (context) => {
  const { nodes } = await meshOf(context, 2);
  const [n0, n1] = nodes as [LabNode, LabNode];
  const control = n1.control!;
  await Promise.all([control.stop(), control.stop()]);
  await waitFor('the neighbor to go', () => n0.logged('neighbor gone').length > 0);
  await assert.rejects(n1.status(), { code: 'no_control' });
  await n1.startControl(['--ws-servers', n0.url]);
  assert.equal((await n1.status()).node.id, 'n1');
});

test('no time in the status changes when the clock is set, neither control’s nor the dataplane’s', async (context) => {
  const lab = new Lab(context);
  const weak = ['--token', 'opensesame'];
  const n0 = await lab.add('n0', [], [...weak, '--fwmark', '7']);
  n0.dataplane.tuns.markRefusal = 'EPERM';
  const n1 = await lab.add('n1', [n0], weak);
  await lab.fullMesh([n0, n1]);
  await n1.stopControl();
  n1.dataplane.close();
  await waitFor('the link to be lost', async () => (await n0.peer('n1'))!.state !== 'up');
  const ages = async () => {
    const { node, peers, warnings } = await n0.status();
    return [
      node.uptime,
      ...peers.map(({ downSince }) => (Date.now() - downSince!) / 1000),
      ...warnings!.map(({ since }) => (Date.now() - since) / 1000),
    ];
  };
  await waitFor('the warning', async () => (await ages()).length === 4);
  const before = await ages();
  for (const days of [-1, 1, 20_786]) {
    const clock = Date.now;
    context.mock.method(Date, 'now', () => clock() + days * 86_400_000);
    const after = await ages();
    assert.ok(
      after.every((age, i) => Math.abs(age - before[i]!) < 10),
      `${days} days: ${after}`,
    );
    context.mock.restoreAll();
  }
});
