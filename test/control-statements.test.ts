/** What operators say, in whole nodes with their real sockets and signatures. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  newOperatorKey,
  openOperatorKey,
  type StatementDraft,
  signStatement,
} from '../control/io/operator-key.ts';
import { waitFor } from './native/wait.ts';
import { Lab, type LabNode } from './node-lab.ts';

function newOperator() {
  const { file, line } = newOperatorKey(undefined);
  const key = openOperatorKey('', file, undefined);
  const say = (node: LabNode, draft: StatementDraft) => {
    const { statement, signature } = signStatement(key, draft);
    const [one, other] = [statement, signature].map((part) => Buffer.from(part).toString('base64url'));
    return node.asked('POST /v1/statements', undefined, { statement: one!, signature: other! });
  };
  return { line, say };
}

test('a revoked node is cut off, its WebSockets and handshakes included, until its new key is accepted anywhere', async (context) => {
  const { line, say } = newOperator();
  const lab = new Lab(context);
  const argv = ['--operators', line];
  const n0 = await lab.add('n0', [], argv);
  const [n1, n2] = [await lab.add('n1', [n0], argv), await lab.add('n2', [n0], argv)];
  await lab.fullMesh();
  const time = Date.now();
  const told = await say(n1, { kind: 'revoke', subject: 'n2', time });
  assert.deepEqual(
    [told.kind, told.subject, told.time, told.operator, told.counts],
    ['revoke', 'n2', time, line, true],
  );
  await waitFor('both to have cut it off', async () => {
    const reports = await Promise.all([n0, n1].map((node) => node.status()));
    return reports.every(
      ({ neighbors, peers }) =>
        !neighbors.some(({ id }) => id === 'n2') &&
        peers.some(
          ({ id, reason, interface: device }) => id === 'n2' && device === null && /revoked/.test(reason),
        ),
    );
  });
  assert.equal(n0.tun('n2'), undefined);
  await waitFor('its handshakes to be refused', async () => ((await n0.status()).refused?.denied ?? 0) > 0);
  const warnings = async () => (await n2.status()).warnings?.map(({ subject }) => subject);
  await waitFor('it to say so', async () => (await warnings())?.includes('id'));
  assert.equal((await n1.peer('n0'))?.state, 'up');

  await n2.stopControl();
  for (const file of ['identity.pem', 'identities', 'statements'])
    rmSync(join(n2.folder, 'state', file), { force: true });
  await n2.startControl(['--ws-servers', n0.url, ...argv]);
  const { fingerprint } = (await n2.status()).node;
  await say(n1, { kind: 'accept', subject: 'n2', fingerprint: fingerprint!, time: time + 1 });
  await lab.fullMesh();

  await n1.stopControl();
  await say(n0, { kind: 'revoke', subject: fingerprint!, time: time + 2 });
  await n1.startControl(['--ws-servers', n0.url, ...argv]);
  await waitFor('n1 to hear what was said while it was away', async () => {
    const { statements } = await n1.asked('GET /v1/statements');
    return statements.length === 2 && (await n1.status()).neighbors.every(({ id }) => id !== 'n2');
  });
  const everything = await n0.asked('GET /v1/statements');
  assert.deepEqual(
    everything.statements.map(({ kind, counts }) => [kind, counts]),
    [
      ['accept', true],
      ['revoke', true],
    ],
  );

  n0.reload([]);
  n1.reload(['--ws-servers', n0.url]);
  n2.reload(['--ws-servers', n0.url]);
  await lab.fullMesh();
  assert.deepEqual(await n0.asked('GET /v1/statements'), { operators: [], statements: [] });
});

test('what no operator of the node has signed is refused, and says what belongs where', async (context) => {
  const [one, other] = [newOperator(), newOperator()];
  const n0 = await new Lab(context).add('n0', [], ['--operators', one.line]);
  const draft = { kind: 'forget', subject: 'n1', time: Date.now() } as const;
  await assert.rejects(other.say(n0, draft), {
    code: 'denied',
    message: new RegExp(
      `put operators = \\["${other.line}"\\] into /etc/cryonet/config\\.toml of every node`,
    ),
  });
  const { statement, signature } = { statement: 'AAAA', signature: 'A'.repeat(86) };
  await assert.rejects(n0.asked('POST /v1/statements', undefined, { statement, signature }), {
    code: 'bad_message',
    message: /^no statement that is signed/,
  });
  assert.equal((await one.say(n0, draft)).counts, true);
  assert.equal((await one.say(n0, { ...draft, time: draft.time - 1 })).counts, false);
});
