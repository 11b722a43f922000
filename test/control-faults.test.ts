/** What is wrong around a node and may pass: it goes on without, says so once, and has it when it is there. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { readConfig } from '../control/config.ts';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';

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
  const [ours, theirs] = [(await twin.status()).node.identity, (await n1.status()).node.identity];
  assert.match(words, /^node ID "n1" is not taken by ws:.*this ID belongs to another identity key/);
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
  const words = await waitFor('the twin to know', () => warningOf(twin, 'id'));
  assert.match(words, /another running node has this ID/);
  assert.ok(words.includes((await n0.status()).node.identity), words);
});

test('an ID that was taken is had when the other node is gone, and the warning is over', async (context) => {
  const lab = new Lab(context);
  const first = await lab.add('n0');
  const twin = await lab.add('n0', [first]);
  await waitFor('the twin to know', () => warningOf(twin, 'id'));
  await first.stopControl();
  first.dataplane.close();
  const other = new (await import('./node-lab.ts')).LabNode(lab.network, 'n9', first.folder);
  lab.nodes.push(other);
  other.port = first.port;
  await other.dataplane.listen(other.dataplaneSocket);
  await other.startControl([]);
  await waitFor('the twin to be taken', async () => (await warningOf(twin, 'id')) === undefined, 15_000);
  await lab.fullMesh([twin, other]);
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
