import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectDataplane } from '../control/io/dataplane-process.ts';
import { lockStateDirectory } from '../control/io/state-lock.ts';
import { listenUnix } from '../protocol/listen.ts';
import { refuseForeign } from '../protocol/own-folder.ts';
import { temporaryFolder } from './socket-pair.ts';

/** What we made is somebody else's: given away, or where only root can do that, we are not who we were. */
function giveAway(context: TestContext, path: string): void {
  const uid = process.getuid!();
  if (uid === 0) chownSync(path, 65_533, 65_533);
  else context.mock.method(process as { getuid: () => number }, 'getuid', () => uid + 1);
}

/** A folder that everybody may write to, sticky as /tmp, in one that is ours. */
function shared(context: TestContext, mode = 0o1777): string {
  const path = join(temporaryFolder(context), 'shared');
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

const judge = (path: string) => refuseForeign(path, 'go elsewhere');

test('what we made in /tmp is ours, and nobody’s is what is not there', (context) => {
  const folder = shared(context);
  mkdirSync(join(folder, 'mine'));
  for (const path of [folder, join(folder, 'mine'), join(folder, 'mine', 'x'), join(folder, 'none', 'x')])
    judge(path);
});

test('what another made where anybody may is refused, with whose it is and what to do', (context) => {
  const folder = shared(context);
  mkdirSync(join(folder, 'theirs', 'deep'), { recursive: true });
  const ours = join(folder, '..', 'way');
  symlinkSync('shared/theirs', ours);
  giveAway(context, join(folder, 'theirs'));
  const said = new RegExp(
    `^${tmpdir()}/.* belongs to another user \\(\\d+\\), in /.* where anybody may make it; go elsewhere$`,
  );
  for (const path of [join(folder, 'theirs'), join(folder, 'theirs', 'deep', 'x'), join(ours, 'deep')]) {
    assert.throws(() => judge(path), { code: 'bad_config', message: said });
  }
});

test('what anybody can replace is refused, also where it is ours', (context) => {
  const folder = shared(context, 0o777);
  mkdirSync(join(folder, 'mine'));
  for (const path of [join(folder, 'mine'), join(folder, 'none')]) {
    assert.throws(() => judge(path), {
      code: 'bad_config',
      message: `everybody may replace what is in ${folder}; go elsewhere`,
    });
  }
});

test('neither sockets nor state are made in a folder of somebody else’s, and its dataplane is not believed', async (context) => {
  const folder = join(shared(context), 'theirs');
  const socket = join(folder, 'dataplane.sock');
  const theirs = createServer((connection) => connection.destroy());
  context.after(() => theirs.close());
  await listenUnix(theirs, socket);
  let asked = false;
  theirs.on('connection', () => {
    asked = true;
  });
  giveAway(context, folder);
  const refused = {
    code: 'bad_config',
    message: /belongs to another user .*; (set XDG_RUNTIME_DIR|name another --state-dir)/,
  };
  await assert.rejects(connectDataplane(socket), refused);
  await assert.rejects(listenUnix(createServer(), join(folder, 'control.sock')), refused);
  assert.throws(() => lockStateDirectory(folder), refused);
  assert.equal(asked, false);
});
