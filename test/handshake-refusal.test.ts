/** What either side of a handshake says that does not take the other for its ID. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import {
  ClientHandshake,
  type Local,
  Refused,
  refusal,
  ServerHandshake,
  Unwanted,
} from '../control/io/handshake.ts';
import { handshakeMessage, proofMessage, refuseCodes } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { dial, local } from './bootstrap-lab.ts';
import { waitFor } from './native/wait.ts';

/** The frames up to the server's refusal, and what the client makes of it. */
function refuse(a: Local, b: Local, onTheWay = (frame: Uint8Array) => frame): Refused {
  const [client, server] = [new ClientHandshake(a), new ServerHandshake(b)];
  const proof = client.receive(server.receive(client.start()).send);
  assert.ok('send' in proof);
  server.receive(proof.send);
  const last = server.refuse({ code: 'identity_mismatch', key: new Uint8Array(32).fill(7) });
  try {
    client.receive(onTheWay(last));
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown;
    throw thrown;
  }
  assert.fail('not refused');
}

test('a refusal is proved, or it is nobody’s: altered, of another server, without a proof, before the hello', () => {
  const [a, b] = [local('a'), local('b')];
  const genuine = refuse(a, b);
  assert.deepEqual([genuine.code, genuine.server?.id], ['identity_mismatch', 'b']);
  assert.equal(genuine.refusal.key?.[0], 7);
  const alter = (change: object) => (frame: Uint8Array) =>
    encode({ ...(parse(handshakeMessage, frame) as object), ...change });
  for (const change of [
    { key: new Uint8Array(32) },
    { code: 'id_in_use' },
    { mac: new Uint8Array(32) },
    { signature: new Uint8Array(64) },
  ]) {
    assert.equal(refuse(a, b, alter(change)).server, undefined, JSON.stringify(change));
  }
  assert.equal(refuse(a, b, () => refusal('id_in_use')).server, undefined);
  let earlier = new Uint8Array();
  refuse(a, b, (frame) => {
    earlier = Uint8Array.from(frame);
    return frame;
  });
  assert.equal(refuse(a, b, () => earlier).server, undefined, 'of an earlier handshake');
  assert.throws(
    () => new ClientHandshake(a).receive(earlier),
    (thrown) => thrown instanceof Refused && thrown.server === undefined,
  );
});

test('a client that does not take the server for its ID proves itself and says so, and believes it once the server is proved', () => {
  const [a, b] = [local('a'), local('b')];
  const judge = () => ({ code: 'identity_mismatch', key: new Uint8Array(32).fill(7) }) as const;
  for (const change of [undefined, { code: 'denied' }, { code: 'identity_mismatch' }]) {
    const [client, server] = [new ClientHandshake(a, judge), new ServerHandshake(b)];
    const proof = client.receive(server.receive(client.start()).send);
    assert.ok('send' in proof);
    if (change !== undefined) {
      const altered = encode({ ...parse(proofMessage, proof.send), refuse: change });
      assert.throws(() => server.receive(altered), { code: 'wrong_token' });
      continue;
    }
    const reply = server.receive(proof.send);
    assert.ok('proven' in reply);
    assert.deepEqual([reply.refusal?.code, reply.refusal?.key?.[0]], ['identity_mismatch', 7]);
    assert.throws(
      () => client.receive(reply.send),
      (thrown) => thrown instanceof Unwanted && thrown.server.id === 'b',
    );
  }
});

test('a server that does not prove itself is tried again after the pause of any failure, whatever it says', async (context) => {
  const said = [
    ...refuseCodes.map((code) => ({ code })),
    ...[1e9, -1, Number.NaN].map((rest) => ({ code: 'already_connected', rest })),
  ];
  let count = 0;
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    socket.send(encode({ type: 'refuse', ...said[count++ % said.length] }));
  });
  context.after(() => server.close());
  await once(server, 'listening');
  const { failures } = dial(context, `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, local('a'));
  await waitFor('a try after each', () => failures.length > said.length, 10_000);
  assert.deepEqual(
    failures.slice(0, said.length).map(({ code }) => code),
    said.map(({ code }) => code),
  );
});
