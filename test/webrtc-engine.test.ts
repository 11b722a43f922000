/** Which WebRTC engine a node may be told to use. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { connectDataplane, planOf, socketOf } from '../control/io/dataplane-process.ts';
import { dataplaneVersion } from '../protocol/dataplane.ts';
import { exitCode } from '../protocol/errors.ts';
import { RpcConnection } from '../protocol/rpc.ts';
import { configOf } from './dataplane-pair.ts';
import { temporaryFolder } from './socket-pair.ts';

for (const [program, argv, line] of [
  [
    'control',
    ['--token', 's', 'a'],
    /^cryonet: --webrtc takes node-datachannel \(werift.*\), not "werift"\n$/,
  ],
  [
    'dataplane',
    [],
    /^cryonet-dataplane: option '--webrtc <ENGINE>' .* It takes node-datachannel \(werift.*\)\.\n$/,
  ],
] as const) {
  test(`${program} --webrtc werift: refused in one line, as bad configuration`, () => {
    const path = join(import.meta.dirname, '..', program, 'main.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [path, '--webrtc', 'werift', ...argv], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      timeout: 20_000,
    });
    assert.match(stderr, line);
    assert.deepEqual({ status, stdout }, { status: exitCode.config, stdout: '' });
  });
}

test('werift is used where a test says that it knows all its peers, by the dataplane that is started, too', async (context) => {
  process.env.CRYONET_UNVERIFIED_DTLS = '1';
  context.after(() => delete process.env.CRYONET_UNVERIFIED_DTLS);
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
