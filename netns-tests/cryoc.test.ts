/** The local control socket, by `cryoc` and by curl. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { statusReport } from '../protocol/status.ts';
import { meshed } from './lab/mesh.ts';
import { CryonetNode, programs } from './lab/node.ts';
import { shell } from './lab/shell.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';

const cryoc = join(programs, 'cryoc');

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story('cryoc and curl tell the same of a running node', ['curl'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b']);
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  await meshed([a, b], 30_000);

  const byCryoc = await shell`${cryoc} --runtime-dir ${b.runtimeDirectory} status --json`;
  const byCurl = await shell`curl -sS --fail --unix-socket ${b.controlSocket} http://cryonet/status`;
  const [one, other] = [byCryoc, byCurl].map(({ stdout }) => statusReport.parse(JSON.parse(stdout)));
  assert.equal(one?.node.id, 'b');
  assert.deepEqual(one?.node.pid, b.program.pid);
  assert.deepEqual(
    other?.peers.map(({ id, state, interface: device }) => [id, state, device?.name]),
    [['a', 'up', 'cna']],
  );
  assert.deepEqual(
    one?.bootstrap.map(({ state, id }) => [state, id]),
    [['connected', 'a']],
  );
  assert.deepEqual(
    one?.neighbors.map(({ id, via }) => [id, ...via.toSorted()]),
    [['a', 'link', 'websocket']],
  );

  const { stdout } = await shell`${cryoc} --runtime-dir ${b.runtimeDirectory} status`;
  assert.match(stdout, /\ba\b.*\bup\b.*\bcna\b|\ba\b.*\bcna\b.*\bup\b/, stdout);
  const missing =
    await shell`curl -sS --unix-socket ${b.controlSocket} -o /dev/null -w %{http_code} http://cryonet/nowhere`;
  assert.equal(missing.stdout, '404');
});

/*
 *   a   nothing runs
 */
story('cryoc without a node, and with a wrong word, is one line', [], async (lab) => {
  const silent = shell({ nothrow: true });
  const alone = await silent`${cryoc} --runtime-dir ${lab.directory} status`;
  assert.equal(alone.exitCode, 1);
  assert.equal(alone.stderr.trim().split('\n').length, 1, alone.stderr);
  assert.match(alone.stderr, /^cryoc: .*control\.sock/);
  const wrong = await silent`${cryoc} frobnicate`;
  assert.equal(wrong.exitCode, 78);
  assert.match(wrong.stderr, /^cryoc: .*frobnicate.*\n$/);
});
