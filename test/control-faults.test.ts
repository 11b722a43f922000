/** What is wrong around a node and may pass: it goes on without, says so once, and has it when it is there. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { CryonetError } from '../protocol/errors.ts';
import { waitFor } from './native/wait.ts';
import { Lab, LabNode } from './node-lab.ts';
import { temporaryFolder } from './socket-pair.ts';

async function warningOf(node: LabNode, subject: string): Promise<string | undefined> {
  return (await node.status()).warnings?.find((warning) => warning.subject === subject)?.message;
}

/** A port of loopback that another program has until `release`. */
async function takenPort(context: TestContext): Promise<{ port: number; release(): void }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return { port: (server.address() as { port: number }).port, release: () => server.close() };
}

test('a node whose port is taken has its links all the same, says so once, and listens when the port is free', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const taken = await takenPort(context);
  const n1 = await lab.add('n1', [n0], ['--listen', `127.0.0.1:${taken.port}`]);
  assert.equal(
    await warningOf(n1, 'listen'),
    `--listen 127.0.0.1:${taken.port}: another program has that port; tried again, nobody can join through this node until then`,
  );
  assert.match(n1.control!.summary(), /; listen: .*another program has that port/);
  await lab.fullMesh();
  taken.release();
  await waitFor('the port to be had', async () => (await warningOf(n1, 'listen')) === undefined, 10_000);
  assert.equal(n1.logged('warning').length, 1);
  assert.equal(n1.logged('warning is over').length, 1);
  const n2 = await lab.add('n2', [n1]);
  await lab.fullMesh([n0, n1, n2]);
});

test('an address that is not there is waited for, a node that waits can be stopped', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0', [], ['--listen', '192.0.2.1:2333']);
  assert.match((await warningOf(n0, 'listen'))!, /^--listen 192\.0\.2\.1:2333: .*EADDRNOTAVAIL/);
  assert.equal((await n0.status()).node.listen, '192.0.2.1:2333');
  await n0.stopControl();
});

test('a certificate that is none is refused: no time mends it', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  await n0.stopControl();
  const file = import.meta.filename;
  await assert.rejects(n0.startControl(['--tls-cert', file, '--tls-key', file]), { code: 'bad_config' });
});

test('a second node of an ID is told so, with both keys, and goes on trying; the first is undisturbed', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const n1 = await lab.add('n1', [n0]);
  await lab.fullMesh();
  const before = [n0.tun('n1'), n1.tun('n0')];
  const twin = await lab.add('n1', [n0]);
  const words = await waitFor('the twin to know', () => warningOf(twin, 'id'));
  const [ours, theirs] = [(await twin.status()).node.fingerprint, (await n1.status()).node.fingerprint];
  assert.match(words, /^node ID "n1" is not taken by n0: this ID belongs to another identity key/);
  assert.ok(words.includes(`our key is ${ours}, that of the other ${theirs}; give one of them`), words);
  assert.deepEqual([n0.tun('n1'), n1.tun('n0')], before);
  assert.equal(twin.logged('warning').length, 1);
  assert.equal(twin.logged('bootstrap server not reached').filter(({ level }) => level === 'warn').length, 0);
  for (const node of [n0, n1]) assert.equal(node.logged('link lost').length, 0);
});

test('a node with the ID of its own bootstrap server is told so', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const twin = await lab.add('n0', [n0]);
  const keys = await Promise.all([n0, twin].map(async (node) => (await node.status()).node.fingerprint!));
  for (const node of [n0, twin]) {
    const words = await waitFor('both to know', () => warningOf(node, 'id-elsewhere'));
    assert.match(words, /^another node has the ID "n0": our key is /);
    for (const key of keys) assert.ok(words.includes(key), words);
  }
});

test('an ID that was taken is had when the other node is gone, and the warning is over', async (context) => {
  const lab = new Lab(context);
  const first = await lab.add('n0');
  const twin = await lab.add('n0', [first], ['--check-timeout', '2s']);
  await waitFor('the twin to know', () => warningOf(twin, 'id-elsewhere'));
  await first.stopControl();
  first.dataplane.close();
  const other = new LabNode(lab.network, 'n9', first.folder);
  lab.nodes.push(other);
  other.port = first.port;
  await other.dataplane.listen(other.dataplaneSocket);
  await other.startControl([]);
  await waitFor(
    'the twin to be taken',
    async () => (await warningOf(twin, 'id-elsewhere')) === undefined,
    15_000,
  );
  await lab.fullMesh([twin, other]);
});

/** A node that was not started, with a dataplane that refuses. */
async function refused(context: TestContext, cause: CryonetError): Promise<{ lab: Lab; node: LabNode }> {
  const lab = new Lab(context);
  const node = new LabNode(lab.network, 'n1', temporaryFolder(context));
  lab.nodes.push(node);
  await node.dataplane.listen(node.dataplaneSocket);
  node.dataplane.refusal = cause;
  return { lab, node };
}

test('a UDP port that is taken is waited for: the node knows its mesh meanwhile, and links when the port is free', async (context) => {
  const words = 'another program has UDP port 2333';
  const { lab, node } = await refused(context, new CryonetError('port_in_use', words));
  const n0 = await lab.add('n0');
  await node.startControl(['--ws-servers', n0.url]);
  assert.equal(await warningOf(node, 'dataplane'), `${words}; tried again, no link comes up until then`);
  assert.equal((await node.status()).dataplane.connected, false);
  await waitFor('the mesh to be known', async () => (await node.status()).peers.length === 1);
  node.dataplane.refusal = undefined;
  await lab.fullMesh([n0, node]);
  assert.equal(await warningOf(node, 'dataplane'), undefined);
  assert.equal(node.logged('warning').length, 1);
});

test('what the dataplane refuses ends a start by hand, where somebody has to mend it; a service waits', async (context) => {
  const { node } = await refused(context, new CryonetError('tun_denied'));
  await assert.rejects(node.startControl([]), { code: 'tun_denied' });
  await node.stopControl();
  await node.startControl(['--service']);
  assert.match((await warningOf(node, 'dataplane'))!, /CAP_NET_ADMIN; tried again/);
  node.dataplane.refusal = undefined;
  await waitFor('the dataplane', async () => (await node.status()).dataplane.connected, 10_000);
  const { node: bad } = await refused(context, new CryonetError('bad_config', 'no such thing'));
  await assert.rejects(bad.startControl(['--service']), { code: 'bad_config' });
});

test('a dataplane that stays away is said, with pauses that grow', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  n0.dataplane.close();
  const words = await waitFor('it to be said', () => warningOf(n0, 'dataplane'), 10_000);
  assert.match(words, /^no dataplane serves .*; tried again, no link comes up until then$/);
  await n0.replaceDataplane();
  await waitFor('it to be back', async () => (await warningOf(n0, 'dataplane')) === undefined, 15_000);
});

test('a runtime directory that cannot be written to costs the control socket, and no more', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  await n0.stopControl();
  const make = fs.mkdirSync;
  const mock = context.mock.method(fs, 'mkdirSync', (path: string, options: fs.MakeDirectoryOptions) => {
    if (path === n0.folder) throw Object.assign(new Error('EROFS: read-only'), { code: 'EROFS' });
    return make(path, options);
  });
  const mend = () => {
    mock.mock.restore();
    syncBuiltinESMExports();
  };
  syncBuiltinESMExports();
  context.after(mend);
  await n0.startControl([]);
  const { warnings } = await n0.control!.status();
  assert.deepEqual(
    warnings!.map(({ subject, message }) => `${subject}: ${message}`),
    [`control-socket: cannot make ${n0.folder}: EROFS: read-only; tried again, cryoc cannot ask until then`],
  );
  await assert.rejects(n0.status(), { code: 'no_control' });
  mend();
  await waitFor('the socket', () => n0.status().catch(() => undefined), 10_000);
  assert.deepEqual((await n0.status()).warnings, []);
});

test('a weak token is warned of, by its source and without a word of it', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0', [], ['--token', 'opensesame']);
  const words = (await warningOf(n0, 'token'))!;
  assert.match(words, /^the token, from --token, is weak: it has less than 16 characters; make one by: /);
  assert.ok(!JSON.stringify([n0.lines, await n0.status()]).includes('opensesame'));
  const n1 = await lab.add('n1');
  assert.equal(await warningOf(n1, 'token'), undefined);
});

test('what listens by a variable is complained of by its name', () => {
  const { listenSource } = readConfig(['--token', 't', 'n'], { LISTEN: 'h:1' }, 0);
  assert.equal(listenSource, 'the environment variable LISTEN');
});
