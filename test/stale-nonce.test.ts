import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { openNodeDatachannel } from '../dataplane/io/engine/node-datachannel.ts';
import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { stunAttribute, stunRequest } from '../dataplane/io/stun.ts';
import { DataplaneShell } from '../dataplane/shell.ts';
import type { IceServer, NotificationParams } from '../protocol/dataplane.ts';
import { attemptWith, configOf } from './dataplane-pair.ts';
import { newLogLines } from './log-lines.ts';
import { waitFor } from './native/wait.ts';

const errorResponse = 0x0110;

/** RFC 8489 14.8. */
const errorCode = (code: number) => Buffer.from([0, 0, Math.floor(code / 100), code % 100]);

test('a TURN server that takes no nonce of its own is asked by no connection any more once that is found', {
  timeout: 30_000,
}, async (context) => {
  const server = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  let requests = 0;
  server.on('message', (request, { address, port }) => {
    requests++;
    const hasUser = request.includes(Buffer.from('stale-user'));
    const type = request.readUInt16BE(0) | errorResponse;
    const answer = stunRequest(type, request.subarray(8, 20), [
      [stunAttribute.errorCode, errorCode(hasUser ? 438 : 401)],
      [stunAttribute.realm, Buffer.from('lab')],
      [stunAttribute.nonce, Buffer.from(`nonce-${requests}`)],
    ]);
    server.send(answer, port, address);
  });
  const ended: NotificationParams<'ended'>[] = [];
  const shell = new DataplaneShell({
    log: newLogLines().log,
    tuns: new MemoryTunFactory(),
    openEngine: (udpPort, fixed) => openNodeDatachannel({ udpPort, fixed }),
    child: false,
  });
  context.after(() => shell.close());
  await shell.request('hello', { version: 1, config: configOf('a') });
  shell.attach({ notify: (name, params) => name === 'ended' && ended.push(params as never) });
  const { port } = server.address();
  const turn: IceServer = { kind: 'turn', host: '127.0.0.1', port, user: 'stale-user', credential: 'secret' };
  await shell.request('offer', { ...attemptWith('b', 'one', 'relay'), iceServers: [turn] });
  await waitFor('the end of the connection', () => ended.length > 0);
  assert.equal(ended[0]!.reason, 'its TURN server takes no nonce');
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = requests;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(requests - before, 0);
  context.diagnostic(`${before} requests`);
});
