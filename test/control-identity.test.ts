/** Nodes that were installed again, and bootstrap servers that are not who they were: what whole nodes say and do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';

async function warningOf(node: LabNode, subject: string): Promise<string | undefined> {
  return (await node.status()).warnings?.find((warning) => warning.subject === subject)?.message;
}

/** Lines that a user sees. */
const shown = (node: LabNode) => node.lines.filter(({ level }) => level !== 'debug');

/** What the warning says to do. The lab's nodes share a process: instead of the signal, what it leads to. */
function accept(node: LabNode, words: string): void {
  const [, command] = /accept its new key by: (echo .*) && kill -HUP \d+$/.exec(words) ?? [];
  execFileSync('sh', ['-c', command!]);
  node.control!.reload();
}

/** Four nodes, of which n0 is the bootstrap server of the others, after `id` was installed again. */
async function installedAgain(context: TestContext, id: string) {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const others = [n0];
  for (const other of ['n1', 'n2', 'n3']) others.push(await lab.add(other, [n0]));
  await lab.fullMesh();
  const again = lab.nodes.find((node) => node.id === id)!;
  const before = (await again.status()).node.identity;
  await again.stopControl();
  rmSync(join(again.folder, 'state'), { recursive: true });
  await again.replaceDataplane();
  await again.startControl(id === 'n0' ? [] : ['--ws-servers', n0.url]);
  const keys = [(await again.status()).node.identity, before] as const;
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
