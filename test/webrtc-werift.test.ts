import assert from 'node:assert/strict';
import { Socket } from 'node:dgram';
import { promises } from 'node:dns';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { openWerift } from '../dataplane/io/engine/werift.ts';
import { conformance } from './webrtc-conformance.ts';
import { connected } from './webrtc-end.ts';

conformance('werift with werift', async () => ({
  offerer: await openWerift(),
  answerer: await openWerift(),
}));

test('werift asks nobody where it is given no server: no name is looked up, and all is sent to the peer', async (context) => {
  const [offerer, answerer] = [await openWerift(), await openWerift()];
  context.after(() => {
    offerer.close();
    answerer.close();
  });
  const asked = new Set<string>();
  context.mock.method(promises, 'lookup', async (name: string) => {
    asked.add(name);
    throw new Error('no name server');
  });
  const { send } = Socket.prototype;
  context.mock.method(Socket.prototype, 'send', function (this: Socket, ...args: never[]) {
    asked.add(args[2]!);
    return Reflect.apply(send, this, args);
  });
  const { close } = await connected({ offerer, answerer });
  close();
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => address),
  );
  assert.deepEqual(
    [...asked].filter((host) => !own.includes(host)),
    [],
  );
  assert.ok(asked.size > 0);
});
