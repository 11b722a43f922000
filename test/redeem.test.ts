/** Redeeming an invitation, at inviters of all kinds. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { sha256 } from '../control/io/crypto.ts';
import { ServerHandshake } from '../control/io/handshake.ts';
import { invitedKey, inviteeOf } from '../control/io/invitation.ts';
import { fingerprintText } from '../protocol/fingerprint.ts';
import { subprotocol } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { newIdentity } from './identity.ts';
import { come, inviting, operator, tokens } from './inviting-lab.ts';
import { waitFor } from './native/wait.ts';

suite('an invitation', () => {
  test('gives tokens, servers without credentials and the inviter’s key, once, and makes no neighbor', async (context) => {
    const server = await inviting(context);
    const invitation = server.invite();
    const welcome = await come(invitation);
    assert.deepEqual(welcome.tokens, tokens);
    assert.deepEqual(welcome.servers, ['wss://lima.example.net/']);
    assert.deepEqual(
      welcome.operators?.map((key) => Buffer.from(key).toString('hex')),
      [operator],
    );
    assert.deepEqual(
      welcome.pins.map(({ id, key }) => [id, fingerprintText(sha256(key))]),
      [['server', fingerprintText(invitation.fingerprint)]],
    );
    await assert.rejects(come(invitation), {
      code: 'invitation_used',
      message: /has been used, if not by you then by somebody else: tell server, and /,
    });
    assert.deepEqual([server.neighbors, server.used], [[], ['osaka']]);
    assert.match(server.logged(), /"an invitation was used","fields":{"id":"osaka",/);
    for (const secret of [
      ...tokens,
      ...(['hex', 'base64', 'base64url'] as const).map((coded) =>
        Buffer.from(invitation.secret).toString(coded),
      ),
    ])
      assert.ok(!server.logged().includes(secret));
    assert.deepEqual(
      server.refused.map(({ code }) => code),
      ['invitation_used'],
    );
  });

  test('for one machine lets in one of ten that come at once', async (context) => {
    const server = await inviting(context);
    const invitation = server.invite();
    const all = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => come(invitation, `n${i}`)));
    const codes = all.map((each) => (each.status === 'fulfilled' ? 'in' : each.reason.code));
    assert.deepEqual(codes.toSorted(), ['in', ...Array(9).fill('invitation_used')]);
    assert.equal(server.used.length, 1);
  });

  test('that has expired, was revoked, or is for another, says so to who has it', async (context) => {
    const server = await inviting(context);
    const [late, revoked, named] = [
      server.invite({ ttl: 60_000 }),
      server.invite(),
      server.invite({ id: 'lima' }),
    ];
    server.inviter.revoke(server.inviter.list()[1]!.name);
    server.later(60_000);
    await assert.rejects(come(late!), {
      code: 'invitation_expired',
      message: /has expired: ask for another/,
    });
    await assert.rejects(come(revoked!), { code: 'unknown_invitation', message: /was revoked: ask for/ });
    await assert.rejects(come(named!), { code: 'invitation_other', message: /name it by --id$/ });
    assert.deepEqual((await come(named!, 'lima')).tokens, tokens);
  });

  test('that the node does not know is a failed handshake like any other, and counts as a guess', async (context) => {
    const server = await inviting(context);
    const unknown = { ...server.invite(), secret: new Uint8Array(16).fill(7) };
    await assert.rejects(come(unknown), { code: 'unavailable', message: /does not know this invitation: / });
    assert.deepEqual(
      server.refused.map(({ code }) => code),
      ['wrong_token'],
    );
  });

  test('is not redeemed at another node, which is told nothing, and is redeemed at the next server', async (context) => {
    const server = await inviting(context);
    const other = await inviting(context);
    const invitation = server.invite();
    await assert.rejects(come({ ...invitation, servers: [other.url] }), {
      code: 'unavailable',
      message: /another node than the inviter answers there, with the key SHA256:/,
    });
    await waitFor('the other to see it go', () => other.refused.length > 0);
    assert.deepEqual([other.refused[0]!.code, other.used], ['connection_closed', []]);
    const { tokens: told } = await come({
      ...invitation,
      servers: ['ws://127.0.0.1:1', other.url, server.url],
    });
    assert.deepEqual(told, tokens);
  });

  test('where no server is reached, each is named with its reason', async () => {
    const invitation = {
      ...{ secret: new Uint8Array(16), inviter: 'x', fingerprint: new Uint8Array(32) },
      expires: 5,
    };
    await assert.rejects(come({ ...invitation, servers: ['ws://127.0.0.1:1', 'ws://127.0.0.1:2'] }), {
      code: 'unavailable',
      message: /^ws:\/\/127.0.0.1:1: connection refused .*; ws:\/\/127.0.0.1:2: connection refused /,
    });
  });
});

/** A server that has the inviter's key and the invitation, and then does what it likes. */
async function dishonest(
  context: TestContext,
  secret: Uint8Array,
  welcome: (seal: (plain: Uint8Array) => Uint8Array, socket: WebSocket) => void,
) {
  const identity = newIdentity();
  const { publicKey } = inviteeOf(secret);
  const own = { id: 'berlin', epoch: 5, identity, tokenKeys: [new Uint8Array(32)] as const };
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol });
  context.after(() => {
    server.close();
    for (const client of server.clients) client.terminate();
  });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    const handshake = new ServerHandshake(own, () => invitedKey(publicKey));
    socket.on('message', (received: Buffer) => {
      const answer = handshake.receive(received);
      socket.send(answer.send);
      if ('proven' in answer) welcome((plain) => answer.proven.outgoing.seal(plain), socket);
    });
  });
  await waitFor('the server', () => server.address() !== null);
  const { port } = server.address() as { port: number };
  const fingerprint = sha256(identity.publicKey);
  const pins = [{ id: 'berlin', key: identity.publicKey }];
  return {
    invitation: { secret, inviter: 'berlin', fingerprint, servers: [`ws://127.0.0.1:${port}`], expires: 5 },
    pins,
  };
}

const good = (pins: object[]) => ({ type: 'welcome', tokens: ['a-token'], servers: [], pins });
const welcomes: readonly (readonly [what: string, (pins: object[]) => Uint8Array, said: RegExp])[] = [
  ['garbage', () => new Uint8Array(100).fill(0xc1), /bad_frame|: /],
  ['no tokens', (pins) => encode({ ...good(pins), tokens: [] }), /tokens: /],
  ['nine tokens', (pins) => encode({ ...good(pins), tokens: Array(9).fill('x') }), /tokens: /],
  ['a token of two lines', (pins) => encode({ ...good(pins), tokens: ['a\nb'] }), /tokens\.0: /],
  ['an empty token', (pins) => encode({ ...good(pins), tokens: [''] }), /tokens\.0: /],
  [
    'a server that ends a quote',
    (pins) => encode({ ...good(pins), servers: ['ws://a"]\nlisten = "x'] }),
    /servers\.0: /,
  ],
  [
    'an ID that ends a quote',
    (pins) => encode(good([{ id: 'a"\n', key: new Uint8Array(32) }, ...pins])),
    /pins\.0\.id: /,
  ],
  [
    'the keys of others alone',
    () => encode(good([{ id: 'berlin', key: new Uint8Array(32) }])),
    /does not name it/,
  ],
  ['thousands of keys', (pins) => encode(good(Array(500).fill(pins[0]))), /pins: /],
  [
    'nine operators',
    (pins) => encode({ ...good(pins), operators: Array(9).fill(new Uint8Array(32)) }),
    /operators: /,
  ],
  ['megabytes', () => new Uint8Array(4_000_000), /closed before its welcome/],
];
suite('an inviter', () => {
  for (const [what, message, said] of welcomes) {
    test(`that says ${what} is refused in words`, async (context) => {
      const { invitation, pins } = await dishonest(context, new Uint8Array(16).fill(3), (seal, socket) =>
        socket.send(seal(message(pins))),
      );
      await assert.rejects(come(invitation), { code: 'unavailable', message: said });
    });
  }

  test('that seals nothing, says nothing or hangs up gives nothing', async (context) => {
    for (const act of [
      (_seal: unknown, socket: WebSocket) => socket.send(encode(good([]))),
      (_seal: unknown, socket: WebSocket) => socket.terminate(),
    ]) {
      const { invitation } = await dishonest(context, new Uint8Array(16).fill(3), act);
      await assert.rejects(come(invitation), { code: 'unavailable', message: /not sealed|closed before/ });
    }
  });
});

test('who stands between sees no token, and what it changes ends the handshake', async (context) => {
  const server = await inviting(context);
  const seen: Buffer[] = [];
  for (const changed of [-1, 0, 1, 2, 3, 4]) {
    const between = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => subprotocol });
    context.after(() => {
      between.close();
      for (const client of between.clients) client.terminate();
    });
    between.on('connection', (client) => {
      const onward = new WebSocket(server.url, subprotocol);
      let count = 0;
      const pass = (to: WebSocket) => (message: Buffer) => {
        const passed = Buffer.from(message);
        seen.push(Buffer.from(message));
        if (count++ === changed) passed[passed.length - 1]! ^= 1;
        to.send(passed);
      };
      const opened = new Promise((resolve) => onward.once('open', resolve));
      client.on('message', (message: Buffer) => void opened.then(() => pass(onward)(message)));
      onward.on('message', pass(client));
      onward.on('close', () => client.close());
      client.on('close', () => onward.close());
      for (const each of [client, onward]) each.on('error', () => {});
    });
    await waitFor('the server between', () => between.address() !== null);
    const { port } = between.address() as { port: number };
    const joining = come({ ...server.invite(), servers: [`ws://127.0.0.1:${port}`] });
    if (changed === -1) assert.deepEqual((await joining).tokens, tokens);
    else await assert.rejects(joining, { code: 'unavailable' }, `message ${changed}`);
  }
  const all = Buffer.concat(seen);
  for (const token of tokens) assert.ok(!all.includes(token));
});
