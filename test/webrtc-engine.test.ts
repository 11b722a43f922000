/** Which WebRTC engine a node may be told to use. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectDataplane, ensureDataplane } from '../control/io/dataplane-process.ts';
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
  const socket = join(temporaryFolder(context), 'dataplane.sock');
  const pid = await ensureDataplane({ socket, webrtc: 'werift', logLevel: 'error', logFormat: 'text' });
  context.after(() => process.kill(pid!, 'SIGKILL'));
  const rpc = new RpcConnection((await connectDataplane(socket))!, {
    request: () => Promise.reject(new Error('nobody asks')),
    notification: () => {},
    closed: () => {},
  });
  context.after(() => rpc.close());
  const { engine } = await rpc.call('hello', { version: dataplaneVersion, config: configOf('a') });
  assert.equal(engine, 'werift');
});
