/** Who comes to a node and is no neighbor, or is one that it comes to: what the status counts of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { maxOfSource } from '../control/io/unproven.ts';
import { subprotocol } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { Member } from './hostile/member.ts';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';

const token = 'the secret of the lab';

const refusedBy = async (node: LabNode) => (await node.status()).refused;

async function nodeOf(context: TestContext): Promise<LabNode> {
  return new Lab(context).add('n0');
}

test('a client that is refused is counted by what for', async (context) => {
  const n0 = await nodeOf(context);
  const member = new Member('m', token);
  const way = await member.join(n0.url);
  context.after(() => way.close());
  const another = new Member('m', token);
  await assert.rejects(another.join(n0.url), { code: 'identity_mismatch' });
  await assert.rejects(another.join(n0.url, { id: 'n0' }), { code: 'id_in_use' });
  way.say({ type: 'members', entries: [{ ...member.record(), age: 0 }] });
  await waitFor('the member', async () => (await n0.peer('m')) !== undefined);
  await assert.rejects(member.join(n0.url, { id: 'again' }), { code: 'key_in_use' });
  await assert.rejects(member.join(n0.url), { code: 'already_connected' });
  for (const token of ['a guess', 'another guess']) {
    await assert.rejects(new Member('g', token).join(n0.url), { code: 'wrong_token' });
  }
  assert.deepEqual(await refusedBy(n0), {
    ...{ identity_mismatch: 1, id_in_use: 1, key_in_use: 1, already_connected: 1, wrong_token: 2 },
  });
  const shown = n0.logged('neighbor refused').filter(({ level }) => level !== 'debug');
  assert.equal(shown.length, 1, 'the first guess is said, not each of them');
});

test('connections that make room are counted', async (context) => {
  const n0 = await nodeOf(context);
  for (let i = 0; i < maxOfSource + 3; i++) {
    const socket = connect(n0.port, '127.0.0.1').on('error', () => {});
    context.after(() => socket.destroy());
    await once(socket, 'connect');
  }
  await waitFor('all of them', async () => (await refusedBy(n0))?.connections === 3);
});

test('a server that refuses without a proof is counted, and tried again', async (context) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol });
  context.after(() => server.close());
  await once(server, 'listening');
  server.on('connection', (socket) => {
    context.after(() => socket.terminate());
    socket.once('message', () => socket.send(encode({ type: 'refuse', code: 'id_in_use' })));
  });
  const { port } = server.address() as { port: number };
  const n0 = await new Lab(context).add('n0', [], ['--ws-servers', `ws://127.0.0.1:${port}`]);
  await waitFor('three refusals', async () => ((await refusedBy(n0))?.unproven ?? 0) >= 3, 10_000);
  assert.deepEqual(Object.keys((await refusedBy(n0))!), ['unproven']);
});
