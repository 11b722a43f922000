/** `cryoc invite` and `cryoc join`: what they ask, write and say. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import type { Ask, Given } from '../cli/command.ts';
import { inviteCommand } from '../cli/local/invite-command.ts';
import { joinCommand } from '../cli/local/join-command.ts';
import { readConfig } from '../control/config/config.ts';
import { invitationText, inviteeOf, readInvitation } from '../control/io/invitation.ts';
import { Invitations } from '../control/io/invitations.ts';
import { Inviter } from '../control/io/inviter.ts';
import { CryonetError } from '../protocol/errors.ts';
import { fingerprintText } from '../protocol/fingerprint.ts';
import { come, type Inviting, inviting, operator, tokens, wish } from './inviting-lab.ts';
import { newLogLines } from './log-lines.ts';
import { temporaryFolder } from './socket-pair.ts';
import { plain } from './status-example.ts';

suite('inviting', () => {
  test('takes a token of the mesh; after a wrong one none for a second', async (context) => {
    const { inviter } = await inviting(context);
    const by = (token: string, now: number) => inviter.invite({ ...wish, servers: ['ws://h'], token }, now);
    assert.ok(by(tokens[1]!, 0).text);
    assert.throws(() => by('a guess', 10_000), {
      code: 'wrong_token',
      message: 'that is no token of this node',
    });
    assert.throws(() => by(tokens[0], 10_999), { code: 'wrong_token', message: /try again/ });
    assert.throws(() => by('', 10_999), { code: 'wrong_token' });
    assert.ok(by(tokens[0], 12_000).text);
  });

  test('names the address that the node listens on, where others reach it; else it is to be said', async (context) => {
    const server = await inviting(context);
    const at = (host: string, tls: null | { cert: string; key: string } = null) => {
      const given = () => ({ tokens, wsServers: [], operators: [], listen: { host, port: 2333 }, tls });
      const { local } = server;
      const invitations = new Invitations(join(temporaryFolder(context), 'i'), {
        set: assert.fail,
        clear: () => {},
      });
      const inviter = new Inviter({ local, invitations, log: newLogLines().log, given, used: () => {} });
      return readInvitation(inviter.invite(wish, 0).text).servers;
    };
    assert.deepEqual(at('192.0.2.7'), ['ws://192.0.2.7:2333']);
    assert.deepEqual(at('2001:db8::1', { cert: '', key: '' }), ['wss://[2001:db8::1]:2333']);
    assert.throws(() => at('127.0.0.1'), {
      code: 'bad_config',
      message: /by --server .*listens on 127.0.0.1:2333/,
    });
    assert.throws(() => at('::'), { code: 'bad_config', message: /by --server ws:\/\/… or wss:\/\/…$/ });
  });

  test('cryoc reads the token where the node has it, and sends what was asked for', async (context) => {
    const file = join(temporaryFolder(context), 'token');
    writeFileSync(file, `${tokens.join('\n')}\n`, { mode: 0o600 });
    const asked: unknown[] = [];
    const ask = (async (route: string, parameters: unknown) => {
      if (route === 'GET /v1/status') return { tokens: { accepted: 2, source: file, file } };
      asked.push(route, parameters);
      const status = {
        name: '0123abcd',
        id: null,
        expires: 1_795_982_400_000,
        uses: 1,
        used: 0,
        state: 'open',
      };
      return route === 'GET /v1/invitations'
        ? { invitations: [status] }
        : { ...status, text: 'cryonet-join:v1:x' };
    }) as unknown as Ask;
    const run = async (options: Given['options']) =>
      (await inviteCommand({ args: [], options }, ask, () => {})).text(plain);
    assert.equal(await run({}), 'cryonet-join:v1:x\n');
    assert.equal(await run({ server: ['wss://a'], ttl: '2h', uses: '3', id: 'lima' }), 'cryonet-join:v1:x\n');
    assert.deepEqual(asked, [
      ...['POST /v1/invitations', { token: tokens[0], ttl: 3_600_000, uses: 1 }],
      ...[
        'POST /v1/invitations',
        { token: tokens[0], servers: ['wss://a'], ttl: 7_200_000, uses: 3, id: 'lima' },
      ],
    ]);
    assert.equal(
      await run({ list: true }),
      'NAME      STATE  FOR      USED    EXPIRES\n0123abcd  open   anybody  0 of 1  2026-11-29T20:00:00.000Z\n',
    );
    const bad: readonly Given['options'][] = [
      { server: ['http://a'] },
      { ttl: 'soon' },
      { ttl: '59s' },
      { ttl: '31d' },
      { id: 'a b' },
      { uses: '0' },
      { uses: 'many' },
      { revoke: 'x' },
      { tokenFile: join(file, 'none') },
    ];
    for (const options of bad)
      await assert.rejects(run(options), { code: 'bad_config' }, JSON.stringify(options));
  });
});

test('who would invite where no node runs is told so, and not that there is no token', async () => {
  const absent = new CryonetError('no_control', 'no cryonet runs here');
  const ask = (async () => {
    throw absent;
  }) as unknown as Ask;
  await assert.rejects(inviteCommand({ args: [], options: {} }, ask, assert.fail), absent);
});

const yes = { yes: true } as const;

/** Everything in a folder, by path from there. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort();
}

suite('cryoc join', () => {
  const joined = async (text: string, folder: string, options: Given['options'] = {}) =>
    joinCommand({ args: [text], options: { configDir: folder, ...yes, ...options } }, () => {});

  test('writes token and configuration, by which the node joins', async (context) => {
    const server = await inviting(context);
    const folder = join(temporaryFolder(context), 'etc');
    const invitation = server.invite();
    const { json, text } = await joined(invitationText(invitation), folder, { id: 'osaka' });
    assert.deepEqual(filesIn(folder), ['config.toml', 'token']);
    assert.equal(readFileSync(join(folder, 'token'), 'utf8'), `${tokens.join('\n')}\n`);
    assert.equal(statSync(join(folder, 'token')).mode & 0o7777, 0o600);
    const config = readConfig(['--config', join(folder, 'config.toml')], {}, 0);
    assert.deepEqual([config.id, config.tokens], ['osaka', tokens]);
    assert.deepEqual(config.wsServers, [`${server.url}/`, 'wss://lima.example.net/']);
    assert.deepEqual(config.operators, [operator]);
    assert.deepEqual(config.peerSections, [
      { pattern: 'server', settings: { fingerprint: fingerprintText(invitation.fingerprint) } },
    ]);
    assert.match(
      text(plain),
      /^wrote .*config.toml and .*token\nnext: cryonet --config .*config.toml, then cryoc wait\n$/,
    );
    assert.ok(!JSON.stringify(json).includes(tokens[0]) && !text(plain).includes(tokens[0]));
  });

  test('leaves the configuration that is there, and writes a file beside it with its mode', async (context) => {
    const server = await inviting(context);
    const folder = temporaryFolder(context);
    const own =
      'id = "berlin-2"\noperators = []\npeer = ["riga=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]\n';
    writeFileSync(join(folder, 'config.toml'), own);
    chmodSync(join(folder, 'config.toml'), 0o640);
    await joined(invitationText(server.invite()), folder);
    assert.equal(readFileSync(join(folder, 'config.toml'), 'utf8'), own);
    const written = join(folder, 'config.d/50-join.toml');
    assert.equal(statSync(written).mode & 0o7777, 0o640);
    assert.deepEqual(Object.keys(parseToml(readFileSync(written, 'utf8'))), [
      'token-file',
      'ws-servers',
      'peer',
    ]);
    const config = readConfig(['--config', join(folder, 'config.toml')], {}, 0);
    assert.deepEqual(config.operators, []);
    assert.deepEqual([config.id, config.tokens, config.wsServers.length], ['berlin-2', tokens, 2]);
    assert.deepEqual(
      [[...config.peers.keys()], config.peerSections.map(({ pattern }) => pattern)],
      [['riga'], ['server']],
    );
  });

  test('refuses where there is a token, unless it is forced; the file keeps its mode', async (context) => {
    const server = await inviting(context);
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'token'), 'another mesh’s\n', { mode: 0o640 });
    const text = invitationText(server.invite());
    await assert.rejects(joined(text, folder), {
      code: 'bad_config',
      message: /has a token: .*--force replaces it$/,
    });
    assert.deepEqual([filesIn(folder), server.used], [['token'], []]);
    await joined(text, folder, { force: true });
    assert.equal(readFileSync(join(folder, 'token'), 'utf8'), `${tokens.join('\n')}\n`);
    assert.equal(statSync(join(folder, 'token')).mode & 0o7777, 0o640);
  });

  const refusals: readonly (readonly [
    what: string,
    text: (server: Inviting) => string,
    options: Given['options'],
    code: string,
  ])[] = [
    ['is no invitation', () => 'cryonet-join:v1:x', {}, 'bad_config'],
    ['is used', (server) => usedUp(server), {}, 'invitation_used'],
    [
      'is of another mesh',
      (server) => invitationText({ ...server.invite(), secret: new Uint8Array(16) }),
      {},
      'unavailable',
    ],
    [
      'is for another ID',
      (server) => invitationText(server.invite({ id: 'lima' })),
      { id: 'oslo' },
      'invitation_other',
    ],
    ['nobody can be asked about', (server) => invitationText(server.invite()), { yes: false }, 'bad_config'],
    ['is for an ID that is none', (server) => invitationText(server.invite()), { id: 'a b' }, 'bad_config'],
  ];
  for (const [what, text, options, code] of refusals) {
    test(`writes nothing by an invitation that ${what}`, async (context) => {
      const server = await inviting(context);
      const folder = temporaryFolder(context);
      await assert.rejects(joined(text(server), folder, options), { code });
      assert.deepEqual(filesIn(folder), []);
    });
  }

  function usedUp(server: Inviting): string {
    const invitation = server.invite();
    server.inviter.answer({ id: 'x', key: inviteeOf(invitation.secret).publicKey } as never);
    return invitationText(invitation);
  }

  test('finds out that it cannot write before the invitation is used', async (context) => {
    const server = await inviting(context);
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'file'), '');
    const text = invitationText(server.invite());
    await assert.rejects(joined(text, join(folder, 'file/etc')), {
      code: 'bad_config',
      message: /cannot be/,
    });
    mkdirSync(join(folder, 'etc'));
    writeFileSync(join(folder, 'etc/config.toml'), '');
    // In place of the folder of more configuration.
    writeFileSync(join(folder, 'etc/config.d'), '');
    await assert.rejects(joined(text, join(folder, 'etc')), {
      code: 'bad_config',
      message: /cannot be written/,
    });
    assert.deepEqual(server.used, []);
    assert.deepEqual(filesIn(folder), ['etc/config.d', 'etc/config.toml', 'file']);
  });

  test('leaves nothing behind where it is stopped while it waits for the inviter', async (context) => {
    const folder = temporaryFolder(context);
    const silent = createServer();
    const arrived = once(silent, 'connection');
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    context.after(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const server = await inviting(context);
    const text = invitationText(server.invite({ servers: [`ws://127.0.0.1:${port}`] }));
    const main = join(import.meta.dirname, '../cli/main.ts');
    const child = spawn(process.execPath, [main, 'join', '--yes', '--config-dir', folder, text], {
      timeout: 60_000,
    });
    const ended = once(child, 'exit');
    const [socket] = (await arrived) as [Socket];
    context.after(() => socket.destroy());
    child.kill('SIGINT');
    assert.deepEqual([await ended, filesIn(folder)], [[null, 'SIGINT'], []]);
  });

  test('on a full disk leaves nothing behind, and the invitation good', async (context) => {
    const server = await inviting(context);
    const folder = temporaryFolder(context);
    // Files of 16 KiB at most, where the disk would be full.
    const main = join(import.meta.dirname, '../cli/main.ts');
    const words = [process.execPath, main, 'join', '--yes', '--config-dir', folder, '-'];
    const script = 'trap "" XFSZ; ulimit -f 16; exec "$@"';
    const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], {
      input: invitationText(server.invite()),
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^Join the mesh of server, whose key is SHA256:.{43}\n {2}as {5}/);
    assert.ok(stderr.includes(hostname().split('.')[0]!.slice(0, 20)));
    assert.match(stderr, /\ncryoc: .* cannot be written: EFBIG: .*\n$/);
    assert.deepEqual([filesIn(folder), server.used], [[], []]);
  });
});

test('a refusal names nothing that was secret', async (context) => {
  const server = await inviting(context);
  const invitation = server.invite();
  const text = invitationText(invitation);
  await come(invitation);
  await assert.rejects(
    joinCommand({ args: [text], options: { configDir: temporaryFolder(context), ...yes } }, () => {}),
    (error: CryonetError) => !error.message.includes(text) && !error.message.includes(tokens[0]),
  );
});
