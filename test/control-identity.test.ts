/** Nodes that were installed again, and bootstrap servers that are not who they were: what whole nodes say and do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { interfaceName } from '../protocol/interface-name.ts';
import { twins } from './interface-twins.ts';
import { waitFor } from './native/wait.ts';
import { Lab, LabNode } from './node-lab.ts';
import { temporaryFolder } from './socket-pair.ts';

async function warningOf(node: LabNode, subject: string): Promise<string | undefined> {
  return (await node.status()).warnings?.find((warning) => warning.subject === subject)?.message;
}

/** Lines that a user sees. */
const shown = (node: LabNode) => node.lines.filter(({ level }) => level !== 'debug');

/** What the warning says to do. The lab's nodes share a process: instead of the signal, what it leads to. */
function accept(node: LabNode, words: string): void {
  const [, command] = /accept its new key by: (echo .*) && kill -HUP \d+$/.exec(words) ?? [];
  execFileSync('sh', ['-c', command!]);
  node.reload();
}

/** Four nodes, of which n0 is the bootstrap server of the others, after `id` was installed again. */
async function installedAgain(context: TestContext, id: string) {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const others = [n0];
  for (const other of ['n1', 'n2', 'n3']) others.push(await lab.add(other, [n0]));
  await lab.fullMesh();
  const again = lab.nodes.find((node) => node.id === id)!;
  const before = (await again.status()).node.fingerprint!;
  await again.stopControl();
  rmSync(join(again.folder, 'state'), { recursive: true });
  await again.replaceDataplane();
  await again.startControl(id === 'n0' ? [] : ['--ws-servers', n0.url]);
  const keys = [(await again.status()).node.fingerprint!, before] as const;
  return { lab, n0, again, keys, rest: others.filter((node) => node !== again) };
}

for (const id of ['n0', 'n3']) {
  test(`${id}, installed again, and who knows it say so with both keys and few lines, and it is linked when its key is accepted`, async (context) => {
    const { lab, n0, again, keys, rest } = await installedAgain(context, id);
    const first = id === 'n0' ? rest : [n0];
    for (const node of first) {
      const words = await waitFor('it to be said', () => warningOf(node, 'identity'), 10_000);
      for (const key of keys) assert.ok(words.includes(key), words);
    }
    const words = await waitFor('the node itself to know', () => warningOf(again, 'id'), 10_000);
    for (const key of keys) assert.ok(words.includes(key), words);
    const before = [again, ...rest].map((node) => shown(node).length);
    // A dozen tries of each, by their check interval.
    await sleep(5000);
    for (const [i, node] of [again, ...rest].entries()) {
      const more = shown(node).slice(before[i]!);
      assert.ok(more.length <= 2, `${node.id}: ${JSON.stringify(more)}`);
    }
    assert.equal((await n0.status()).bootstrap.length, 0);
    for (const node of rest) {
      assert.notEqual((await node.peer(id))?.state, 'up');
      const said = await waitFor('each to be told', () => warningOf(node, 'identity'), 15_000);
      accept(node, said);
      await waitFor('the link', async () => (await node.peer(id))?.state === 'up', 10_000);
    }
    await lab.fullMesh();
    for (const node of rest) {
      assert.equal(await warningOf(node, 'identity'), undefined);
      const lines = readFileSync(join(node.folder, 'state', 'identities'), 'utf8')
        .trimEnd()
        .split('\n');
      assert.equal(lines.at(-1), `${id} ${keys[0]}`);
      await node.stopControl();
      await node.startControl(node === n0 ? [] : ['--ws-servers', n0.url]);
    }
    await lab.fullMesh();
  });
}

test('a copy of a machine at another bootstrap server: both say so, in few lines', async (context) => {
  const lab = new Lab(context);
  const quick = ['--send-alive-interval', '500ms'];
  const n0 = await lab.add('n0', [], quick);
  const n1 = await lab.add('n1', [n0], quick);
  const node = await lab.add('n2', [n0], quick);
  await lab.fullMesh();
  const copy = new LabNode(lab.network, 'n2', temporaryFolder(context));
  lab.nodes.push(copy);
  cpSync(join(node.folder, 'state'), join(copy.folder, 'state'), { recursive: true });
  await copy.dataplane.listen(copy.dataplaneSocket);
  await copy.startControl(['--ws-servers', n1.url, ...quick]);
  for (const each of [node, copy]) {
    const words = await waitFor('both to know', () => warningOf(each, 'clone'), 15_000);
    assert.match(words, /^another machine runs as "n2" with our identity key /);
    assert.equal(each.lines.filter(({ level }) => level === 'error').length, 1);
  }
  const before = [n0, n1].map((each) => shown(each).length);
  const own = [node, copy].map((each) => each.logged('warning').length);
  await sleep(4000);
  for (const [i, each] of [node, copy].entries()) {
    assert.notEqual(await warningOf(each, 'clone'), undefined);
    assert.ok(each.logged('warning').length - own[i]! <= 2, JSON.stringify(each.logged('warning')));
  }
  for (const [i, each] of [n0, n1].entries()) {
    const more = shown(each).slice(before[i]!);
    assert.ok(more.length <= 6, JSON.stringify(more));
  }
});

test('one WebSocket of a node is enough: more are refused while it answers, and the servers that they led to are at rest', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const urls = [n0.url, `${n0.url}/?a`, `${n0.url}/?b`];
  const n1 = await lab.add('n1', [], ['--ws-servers', urls.join(',')]);
  await lab.fullMesh();
  const states = async () => (await n1.status()).bootstrap.map(({ state }) => state).sort();
  await waitFor('all to be tried', async () => !(await states()).includes('connecting'));
  assert.deepEqual(await states(), ['connected', 'waiting', 'waiting']);
  assert.equal(n0.logged('neighbor').length, 1);
  assert.deepEqual(
    n1.lines.filter(({ level }) => level === 'warn'),
    [],
  );
  const [{ error } = { error: null }] = (await n1.status()).bootstrap.filter(
    ({ state }) => state === 'waiting',
  );
  assert.match(error!, /this node is connected already/);
});

test('an ID that was chosen for the name of another node’s interface does not get it, also not from a dataplane that never saw the other', async (context) => {
  const lab = new Lab(context);
  const [first, second] = twins;
  const n0 = await lab.add('n0');
  const victim = await lab.add(first, [n0]);
  await lab.fullMesh();
  const name = n0.tun(first)!.name;
  await victim.stopControl();
  victim.dataplane.close();
  await n0.replaceDataplane();
  const twin = await lab.add(second, [n0]);
  await lab.fullMesh([n0, twin]);
  assert.equal(interfaceName('cn', second), name);
  assert.notEqual(n0.tun(second)!.name, name);
});
