/** What a reload of the configuration changes in whole nodes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Params } from '../protocol/dataplane.ts';
import { waitFor } from './native/wait.ts';
import { Lab } from './node-lab.ts';

test('a reload changes policy, servers and nothing else; what needs a start is named', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const [n1, n2, n3] = [await lab.add('n1', [n0]), await lab.add('n2', [n0]), await lab.add('n3', [n0])];
  await lab.fullMesh();
  const warned = async () =>
    (await n1.status()).warnings?.find(({ subject }) => subject === 'reload')?.message;
  const before = (await n1.status()).peers.map(({ id, interface: device }) => [id, device?.index]);
  const kept = (await n1.status()).node.identity;

  n1.reload(['--ws-servers', n2.url, '--deny', 'n3']);
  assert.equal(await warned(), undefined);
  assert.equal((await n1.peer('n3'))?.state, 'denied');
  assert.equal((await n1.peer('n3'))?.interface, null);
  await waitFor('n3 to know', async () => (await n3.peer('n1'))?.state === 'denied');
  await waitFor('the other server', async () => {
    const { bootstrap, neighbors } = await n1.status();
    const via = (id: string) => neighbors.find((neighbor) => neighbor.id === id)?.via.join();
    return bootstrap[0]?.id === 'n2' && bootstrap.length === 1 && via('n0') === 'link';
  });

  n1.reload(['--ws-servers', n2.url, '--listen', '127.0.0.1:1', '--mtu', '1400']);
  assert.equal(await warned(), 'another value counts after a restart of control: listen, mtu');
  await lab.fullMesh();
  assert.deepEqual(
    (await n1.status()).peers.flatMap(({ id, interface: device }) =>
      id === 'n3' ? [] : [[id, device?.index]],
    ),
    before.filter(([id]) => id !== 'n3'),
  );

  n1.reload(['--ws-servers', n2.url, '--deny', '*', '--listen', 'nowhere']);
  const refused =
    'the node goes on as it was, because of its configuration: --listen takes host:port, not "nowhere"';
  assert.equal(await warned(), refused);
  assert.ok((await n1.status()).peers.every(({ state }) => state === 'up'));

  n1.reload(['--ws-servers', n2.url]);
  assert.equal(await warned(), undefined);
  assert.equal((await n1.status()).node.identity, kept);

  const options = ['--ws-servers', n2.url, '--deny', 'n3', '--mtu', '1400'];
  const expected = { applied: ['deny'], needsRestart: ['mtu'] };
  assert.deepEqual(await n1.asked('GET /v1/reload', options), expected);
  assert.equal((await n1.peer('n3'))?.state, 'up');
  assert.deepEqual(await n1.asked('POST /v1/reload', options), expected);
  assert.equal((await n1.peer('n3'))?.state, 'denied');
  const mistaken = n1.asked('POST /v1/reload', ['--listen', 'nowhere']);
  await assert.rejects(mistaken, { code: 'bad_config', message: /^--listen takes host:port/ });
});

test('connections that are made after a reload ask the ICE servers of now; the first TURN server needs a start', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const n1 = await lab.add('n1', [n0]);
  await lab.fullMesh();
  const asked = (peer: string) =>
    n1.dataplane.asked.flatMap(({ method, params }) => {
      const { peer: other, iceServers } = params as Params<'answer'>;
      return other === peer && (method === 'offer' || method === 'answer') ? [iceServers] : [];
    });
  const warned = async () =>
    (await n1.status()).warnings?.find(({ subject }) => subject === 'reload')?.message;
  const by = (servers: string) => ['--ws-servers', n0.url, '--ice-servers', servers];

  n1.reload(by('stun:127.0.0.1:9'));
  assert.equal(await warned(), undefined);
  await lab.add('n2', [n0]);
  await lab.fullMesh();
  assert.deepEqual(asked('n0'), [[]]);
  assert.deepEqual(asked('n2'), [[{ kind: 'stun', host: '127.0.0.1', port: 9 }]]);

  n1.reload(by('stun:127.0.0.1:9,turn:127.0.0.1:9|u|geheim'));
  assert.equal(await warned(), 'another value counts after a restart of control: ice-servers');
  n1.reload(by('stun:127.0.0.1:8'));
  assert.equal(await warned(), undefined);
  await lab.add('n3', [n0]);
  await lab.fullMesh();
  assert.deepEqual(asked('n3'), [[{ kind: 'stun', host: '127.0.0.1', port: 8 }]]);
});

test('sections of peers count at once, name what changed, and touch no other link', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const [n1] = [await lab.add('n1', [n0]), await lab.add('n2', [n0]), await lab.add('n3', [n0])];
  await lab.fullMesh();
  const file = join(n1.folder, 'n1.toml');
  const by = ['--ws-servers', n0.url, '--config', file];
  const reloaded = (toml: string) => {
    writeFileSync(file, toml);
    return n1.asked('POST /v1/reload', by);
  };
  const indices = async () =>
    (await n1.status()).peers.flatMap(({ id, interface: device }) =>
      id === 'n3' ? [] : [[id, device?.index]],
    );
  const before = await indices();
  assert.deepEqual(await reloaded('[peer."n?"]\ncost = 7\n[peer.n3]\ndeny = true\n'), {
    applied: ['peer.n?', 'peer.n3'],
    needsRestart: [],
  });
  const { peers } = await n1.status();
  assert.deepEqual(
    peers.map(({ id, state, cost }) => [id, state, cost]),
    [
      ['n0', 'up', 7],
      ['n2', 'up', 7],
      ['n3', 'denied', null],
    ],
  );
  assert.deepEqual(await n1.asked('GET /v1/policy/{id}', by, { id: 'n3' }), {
    ...{ peer: 'n3', permitted: false, section: 'n3', settings: { cost: 7, deny: true } },
    ...{ sections: { cost: 'n?', deny: 'n3' }, state: 'denied', reason: 'denied by our policy' },
  });
  assert.deepEqual(await reloaded('[peer."n?"]\ncost = 7\n'), { applied: ['peer.n3'], needsRestart: [] });
  await lab.fullMesh();
  assert.deepEqual(await indices(), before);
  assert.deepEqual(await reloaded('[peer."n?"]\ncost = 7\n'), { applied: [], needsRestart: [] });
  await assert.rejects(reloaded('[peer.n3]\ndney = true\n'), { code: 'bad_config' });
});

test('a reload ends the warning that a node is alone, and begins it', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0');
  const n1 = await lab.add('n1');
  const alone = async () => (await n1.status()).warnings?.some(({ subject }) => subject === 'alone') === true;
  await waitFor('the warning', alone);
  n1.reload(['--ws-servers', n0.url]);
  assert.equal(await alone(), false);
  await lab.fullMesh();
});

test('a log level that was asked for counts in both processes until a reload, and until another control comes', async (context) => {
  const lab = new Lab(context);
  const n0 = await lab.add('n0', [], ['--log-level', 'warn']);
  const told = () =>
    n0.dataplane.asked.flatMap(({ method, params }) =>
      method === 'log-level' ? [(params as Params<'log-level'>).level] : [],
    );
  assert.deepEqual(await n0.asked('GET /v1/log-level'), { level: 'warn', configured: 'warn' });
  assert.deepEqual(await n0.control!.logFrom('debug'), {
    ...{ level: 'debug', configured: 'warn', dataplane: true },
  });
  assert.deepEqual(await n0.asked('GET /v1/log-level'), { level: 'debug', configured: 'warn' });
  assert.deepEqual([told(), n0.dataplane.levels.at(-1)], [['debug'], 'debug']);
  n0.reload();
  assert.deepEqual(await n0.asked('GET /v1/log-level'), { level: 'warn', configured: 'warn' });
  // A dataplane that no control has started logs as its own options say.
  await waitFor('the dataplane', () => n0.dataplane.levels.at(-1) === null);
  await n0.control!.logFrom('debug');
  await n0.stopControl();
  await n0.startControl([]);
  assert.equal(n0.dataplane.levels.at(-1), null);
  n0.dataplane.close();
  assert.equal((await n0.control!.logFrom('error')).dataplane, false);
});
