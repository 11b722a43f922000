/** Whole nodes one of which starts with an earlier epoch than before. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { prefixed } from '../control/core/environment.ts';
import { signWith, tokenKey } from '../control/io/crypto.ts';
import { ClientHandshake, type Local, type Proven } from '../control/io/handshake.ts';
import { shakeHands } from '../control/io/neighbor-socket.ts';
import { openStateDirectory } from '../control/io/state-directory.ts';
import { subprotocol } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain } from '../protocol/signaling.ts';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';

const year = 365 * 86_400_000;

const epochFile = (node: LabNode) => join(node.folder, 'state', 'epoch');
const keptEpoch = (node: LabNode) => Number(readFileSync(epochFile(node), 'utf8'));

async function warningOf(node: LabNode, peer: string | null): Promise<string | undefined> {
  const { warnings = [] } = await node.status();
  return warnings.find((each) => each.subject === 'epoch' && each.peer === peer)?.message;
}

/** `n1` of a mesh of two; its control is stopped, and what started last had an epoch a year ahead. */
async function setBack(context: TestContext): Promise<{ lab: Lab; n0: LabNode; n1: LabNode; ahead: number }> {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const n1 = await lab.add('n1', [n0]);
  await n1.stopControl();
  writeFileSync(epochFile(n1), `${Date.now() + year}\n`);
  await n1.startControl(['--ws-servers', n0.url]);
  await lab.fullMesh();
  const ahead = keptEpoch(n1);
  await n1.stopControl();
  rmSync(epochFile(n1));
  return { lab, n0, n1, ahead };
}

/** The node of that state directory in another epoch, as far as its WebSocket goes. */
async function dialAs(
  context: TestContext,
  node: LabNode,
  url: string,
  epoch: number,
  answersPings: boolean,
): Promise<{ socket: WebSocket; proven: Proven; local: Local }> {
  const { identity } = openStateDirectory(join(node.folder, 'state'), 0);
  const local = {
    id: node.id,
    epoch,
    identity,
    tokenKeys: [await tokenKey('the secret of the lab')] as const,
  };
  const socket = new WebSocket(url, subprotocol, { autoPong: answersPings });
  socket.on('error', () => {});
  context.after(() => socket.terminate());
  await waitFor('the WebSocket', () => socket.readyState === socket.OPEN);
  const handshake = new ClientHandshake(local);
  const { proven } = await shakeHands(socket, handshake, handshake.start());
  return { socket, proven, local };
}

test('a node whose clock went back a year and whose epoch is lost continues after its last start, and both say so', async (context) => {
  const { lab, n0, n1, ahead } = await setBack(context);
  await n1.startControl(['--ws-servers', n0.url]);
  await waitFor('the epoch to be kept', () => keptEpoch(n1) === ahead + 1);
  await n1.dataplane.close();
  await n1.replaceDataplane();
  await lab.fullMesh();
  assert.match(
    (await warningOf(n1, null))!,
    /^the mesh knows a start of this node that was 36[45] days later/,
  );
  assert.match((await warningOf(n0, 'n1'))!, /earlier than that of its last start/);
  await n1.stopControl();
  await n1.startControl(['--ws-servers', n0.url]);
  assert.equal(keptEpoch(n1), ahead + 2);
  await lab.fullMesh();
  assert.equal(await warningOf(n1, null), undefined, 'the next start is a later one again');
});

test('a WebSocket that its earlier start left behind keeps nobody out, whichever epoch that had', async (context) => {
  const { lab, n0, n1, ahead } = await setBack(context);
  const left = await dialAs(context, n1, n0.url, ahead + 5, false);
  await n1.startControl(['--ws-servers', n0.url]);
  await lab.fullMesh();
  await waitFor('the left one to be closed', () => left.socket.readyState === left.socket.CLOSED);
});

test('a node that took a later epoch is no twin of itself', async (context) => {
  const { n0, n1, ahead } = await setBack(context);
  const first = await dialAs(context, n1, n0.url, 1000, true);
  const second = { id: 'n1', key: first.local.identity.publicKey, epoch: ahead + 1, turn: false };
  await assert.rejects(dialAs(context, n1, n0.url, ahead + 1, true), /another running node has this ID/);
  const record = encode(second);
  const signature = signWith(first.local.identity, prefixed(domain.record, record));
  const message = { type: 'members', entries: [{ record, signature, age: 0 }] };
  first.socket.send(first.proven.outgoing.seal(encode(message)));
  // It is the same node, and one connection is enough.
  await waitFor('it to be known', () =>
    dialAs(context, n1, n0.url, ahead + 1, true).then(
      () => assert.fail('let in twice'),
      ({ code }) => code === 'already_connected',
    ),
  );
  assert.equal(first.socket.readyState, first.socket.OPEN);
});
