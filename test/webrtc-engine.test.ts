/** Which WebRTC engine a node may be told to use. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { connectDataplane, planOf, socketOf } from '../control/io/dataplane-process.ts';
import { dataplaneVersion } from '../protocol/dataplane.ts';
import { RpcConnection } from '../protocol/rpc.ts';
import { configOf } from './dataplane-pair.ts';
import { temporaryFolder } from './socket-pair.ts';

test('the dataplane that control starts has the WebRTC engine that it was told', async (context) => {
  const folder = temporaryFolder(context);
  const args = ['--token', 's', '--webrtc', 'werift', '--runtime-dir', folder, '--log-level', 'error', 'a'];
  const config = readConfig(args, process.env, process.getuid!());
  const { command, environment } = planOf(config);
  const [program, ...rest] = command as [string, ...string[]];
  const started = spawn(program, rest, { env: environment, stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  context.after(() => started.kill('SIGKILL'));
  assert.equal(String((await once(started.stdio[3]!, 'data'))[0]), 'running\n');
  const rpc = new RpcConnection((await connectDataplane(socketOf(config)))!, {
    request: () => Promise.reject(new Error('nobody asks')),
    notification: () => {},
    closed: () => {},
  });
  context.after(() => rpc.close());
  const { engine } = await rpc.call('hello', { version: dataplaneVersion, config: configOf('a') });
  assert.equal(engine, 'werift');
});
