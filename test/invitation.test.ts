/** Invitations: the text, the keys that are made of it, the handshake, and what an inviter keeps. */
import assert from 'node:assert/strict';
import { createHash, createHmac, createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { tokenKey } from '../control/io/crypto.ts';
import {
  ClientHandshake,
  type Local,
  ofInvitees,
  Refused,
  ServerHandshake,
} from '../control/io/handshake.ts';
import {
  invitationText,
  invitedKey,
  inviteeOf,
  readInvitation,
  sealedText,
} from '../control/io/invitation.ts';
import { Invitations } from '../control/io/invitations.ts';
import type { CryonetError } from '../protocol/errors.ts';
import { helloMessage, proofMessage } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { newIdentity } from './identity.ts';
import { bytesFrom } from './messages.ts';
import { temporaryFolder } from './socket-pair.ts';

const secret = bytesFrom(1, 16);
const payload = {
  ...{ secret, inviter: 'berlin', fingerprint: bytesFrom(0x40, 32), servers: ['wss://berlin.example.net'] },
  expires: 1_764_000_000_123,
};
const text =
  'cryonet-join:v1:haZzZWNyZXTEEAECAwQFBgcICQoLDA0ODxCnaW52aXRlcqZiZXJsaW6rZmluZ2VycHJpbnTEIEBBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fp3NlcnZlcnORuHdzczovL2Jlcmxpbi5leGFtcGxlLm5ldKdleHBpcmVzy0J5q2l-h7AAyxk3kw';
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const mesh = await tokenKey('the token of the mesh');

suite('the text', () => {
  test('golden: an invitation as text, the key of the invitee, and what takes the token’s place', () => {
    assert.equal(invitationText(payload), text);
    assert.deepEqual(readInvitation(text), payload);
    const seed = Buffer.from(hkdfSync('sha256', secret, '', 'cryonet.2 invitation', 32));
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { x } = createPublicKey(key).export({ format: 'jwk' });
    const { publicKey } = inviteeOf(secret);
    assert.equal(Buffer.from(publicKey).toString('base64url'), x);
    assert.equal(hex(publicKey), '3c03ce34cff1289ba601988eec4048fdcf488792e6d410e677949bcf34fef626');
    assert.deepEqual(
      Buffer.from(invitedKey(publicKey)),
      Buffer.from(hkdfSync('sha256', publicKey, '', 'cryonet.2 invited', 32)),
    );
  });

  const cut = text.slice(0, -1);
  const other = (fields: object) => sealedText(encode({ ...payload, ...fields }));
  const refusals: readonly (readonly [what: string, text: string, said: RegExp])[] = [
    ['nothing', '', /does not begin with cryonet-join:v1:$/],
    ['a token', 'hunter2', /does not begin with/],
    ['one of a later version', text.replace(':v1:', ':v2:'), /another version: upgrade cryonet$/],
    ['one that was cut', cut, /cut short or mistyped$/],
    ['a mistyped one', `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`, /mistyped$/],
    ['one with a line break in it', `${cut}\n`, /characters that do not belong there$/],
    ['one without end', `cryonet-join:v1:${'A'.repeat(5000)}`, /characters that do not belong there$/],
    ['the prefix alone', 'cryonet-join:v1:', /characters that do not belong there$/],
    ['four bytes', 'cryonet-join:v1:47DEQQ', /cut short/],
    ['one without a server', other({ servers: [] }), /another version/],
    ['a server that is none', other({ servers: ['http://berlin'] }), /another version/],
    ['a server that ends a quote', other({ servers: ['ws://a/"\n'] }), /another version/],
    ['a short secret', other({ secret: bytesFrom(1, 15) }), /another version/],
  ];
  for (const [what, bad, said] of refusals) {
    test(`refused in words that do not show it: ${what}`, () => {
      assert.throws(
        () => readInvitation(bad),
        (error: CryonetError) => {
          assert.match(error.message, said);
          assert.ok(bad.length < 30 || !error.message.includes(bad.slice(16, 40)));
          return error.code === 'bad_config';
        },
      );
    });
  }
});

test('whatever text is given for an invitation is one or is refused in words', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^cryonet-join:v1:[\w-]{0,300}$/),
    fc
      .tuple(fc.nat(text.length), fc.string())
      .map(([at, more]) => `${text.slice(0, at)}${more}${text.slice(at)}`),
    fc.uint8Array({ maxLength: 200 }).map(sealedText),
  );
  fc.assert(
    fc.property(texts, (any) => {
      try {
        assert.equal(invitationText(readInvitation(any)), any);
      } catch (error) {
        assert.equal((error as CryonetError).code, 'bad_config', String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

const inviter: Local = { id: 'berlin', epoch: 5, identity: newIdentity(), tokenKeys: [mesh] };

function invitee(of = secret): Local {
  const identity = inviteeOf(of);
  return { id: 'osaka', epoch: 7, identity, tokenKeys: [invitedKey(identity.publicKey)] };
}

/** Knows the invitation of `secret` alone. */
const invited = (key: Uint8Array) =>
  hex(key) === hex(inviteeOf(secret).publicKey) ? invitedKey(key) : undefined;

/** Both sides, each by the domains of `as`. */
function shake(client: Local, server = new ServerHandshake(inviter, invited), as?: typeof ofInvitees) {
  const asking = new ClientHandshake(client, undefined, as);
  const asked = asking.receive(server.receive(asking.start()).send);
  assert.ok('send' in asked);
  const admitted = server.receive(asked.send);
  assert.ok('proven' in admitted);
  const done = asking.receive(admitted.send);
  assert.ok('proven' in done);
  return { admitted, done, server, asking };
}

suite('the handshake', () => {
  test('an invitee and the inviter prove each other without the token, and the inviter knows it for no member', () => {
    const { admitted, done } = shake(invitee(), undefined, ofInvitees);
    assert.equal(admitted.isInvited, true);
    assert.deepEqual(Uint8Array.from(done.proven.peer.key), inviter.identity.publicKey);
    const said = Buffer.from('the token');
    assert.deepEqual(done.proven.incoming.open(admitted.proven.outgoing.seal(said)), said);
    const member = { ...inviter, id: 'lima', identity: newIdentity() };
    assert.equal(shake(member).admitted.isInvited, false);
  });

  const asInvitee = invitee();
  const publicHalf = {
    ...asInvitee,
    identity: { ...newIdentity(), publicKey: asInvitee.identity.publicKey },
  };
  const strangers: readonly (readonly [who: string, client: Local, as: typeof ofInvitees | undefined])[] = [
    ['another secret', invitee(bytesFrom(2, 16)), ofInvitees],
    ['the file of the inviter, or a hello that was seen on the way', publicHalf, ofInvitees],
    ['an invitation, and says that it is a member', asInvitee, undefined],
    ['an invitation and the token, of which it may use one', { ...asInvitee, tokenKeys: [mesh] }, undefined],
    ['a token, and says that it is invited', { ...inviter, identity: newIdentity() }, ofInvitees],
  ];
  for (const [who, client, as] of strangers) {
    test(`proves nothing: who has ${who}`, () => {
      assert.throws(() => shake(client, undefined, as), { code: 'wrong_token' });
    });
  }

  test('the key in place of the token is public, and yet no other node proves to be the inviter', () => {
    const impostor: Local = {
      ...inviter,
      identity: { privateKey: newIdentity().privateKey, publicKey: inviter.identity.publicKey },
    };
    assert.throws(() => shake(invitee(), new ServerHandshake(impostor, invited), ofInvitees), {
      code: 'wrong_token',
      message: /server/,
    });
  });

  test('who refuses a node by its key has proved nothing to it', () => {
    const judge = () => {
      throw new TypeError('another node');
    };
    const asking = new ClientHandshake(invitee(), judge, ofInvitees);
    const hello = new ServerHandshake(inviter, invited).receive(asking.start()).send;
    assert.throws(() => asking.receive(hello), TypeError);
  });

  test('a refusal is believed where the inviter has proved it', () => {
    const asking = new ClientHandshake(invitee(), undefined, ofInvitees);
    const server = new ServerHandshake(inviter, invited);
    const asked = asking.receive(server.receive(asking.start()).send);
    assert.ok('send' in asked && 'proven' in server.receive(asked.send));
    assert.throws(
      () => asking.receive(server.refuse({ code: 'invitation_used' })),
      (error) =>
        error instanceof Refused && error.server?.id === 'berlin' && /has been used/.test(error.message),
    );
  });

  test('proofs are made as protocol/invitation.ts says', () => {
    const asking = new ClientHandshake(invitee(), undefined, ofInvitees);
    const server = new ServerHandshake(inviter, invited);
    const hello = asking.start();
    const reply = server.receive(hello).send;
    const asked = asking.receive(reply);
    assert.ok('send' in asked);
    assert.equal(hex(parse(helloMessage, hello).key), hex(inviteeOf(secret).publicKey));
    const transcript = createHash('sha256').update(hello).update(reply).digest();
    const message = Buffer.concat([Buffer.from('cryonet.2 invitee\0'), transcript]);
    const proof = parse(proofMessage, asked.send);
    assert.deepEqual(
      Buffer.from(proof.mac),
      createHmac('sha256', invitedKey(inviteeOf(secret).publicKey))
        .update(message)
        .digest(),
    );
    assert.deepEqual(Buffer.from(proof.signature), sign(null, message, inviteeOf(secret).privateKey));
  });
});

interface Keeping {
  readonly path: string;
  readonly warned: string[];
  /** Moves the clock on. */
  later(milliseconds: number): void;
  /** As a control that starts reads it. */
  open(): Invitations;
}

function keeping(context: TestContext): Keeping {
  const folder = temporaryFolder(context);
  const warned: string[] = [];
  let now = 1_764_000_000_000;
  const tell = { set: (_subject: string, words: string) => void warned.push(words), clear: () => {} };
  const path = join(folder, 'invitations');
  return {
    ...{ path, warned },
    later: (milliseconds) => {
      now += milliseconds;
    },
    open: () => new Invitations(path, tell, () => now),
  };
}

const anybody = { id: null, uses: 1, ttl: 3_600_000 };
const guest = (of: Uint8Array, id = 'osaka') => ({ id, key: inviteeOf(of).publicKey });

suite('what an inviter keeps', () => {
  test('a use is counted before anything is given, and by the next start, too', (context) => {
    const { open } = keeping(context);
    const first = open();
    const invitation = first.invite({ ...anybody, uses: 2 });
    assert.equal(first.use(guest(invitation.secret)), undefined);
    const next = open();
    assert.deepEqual(
      next.list().map(({ used, state }) => [used, state]),
      [[1, 'open']],
    );
    assert.equal(next.use(guest(invitation.secret)), undefined);
    assert.equal(next.use(guest(invitation.secret)), 'invitation_used');
    assert.equal(open().use(guest(invitation.secret)), 'invitation_used');
  });

  test('one that has expired, was revoked, is for another ID or was never made lets nobody in, and each says so', (context) => {
    const { open, later } = keeping(context);
    const kept = open();
    const [named, revoked, late] = [
      kept.invite({ ...anybody, id: 'lima' }),
      kept.invite(anybody),
      kept.invite({ ...anybody, ttl: 60_000 }),
    ];
    assert.equal(kept.revoke(revoked!.status.name).state, 'revoked');
    later(60_000);
    assert.equal(kept.use(guest(named!.secret)), 'invitation_other');
    assert.equal(kept.use(guest(revoked!.secret)), 'unknown_invitation');
    assert.equal(kept.use(guest(late!.secret)), 'invitation_expired');
    assert.equal(kept.use(guest(bytesFrom(9, 16))), 'unknown_invitation');
    assert.equal(kept.keyOf(inviteeOf(bytesFrom(9, 16)).publicKey), undefined);
    assert.equal(kept.use(guest(named!.secret, 'lima')), undefined, 'nobody has used it');
    assert.throws(() => kept.revoke('00000000'), { code: 'unknown_invitation' });
  });

  test('the file has nothing that invites', (context) => {
    const { open, path } = keeping(context);
    const { secret: made } = open().invite(anybody);
    const content = readFileSync(path, 'utf8');
    for (const coded of ['hex', 'base64', 'base64url'] as const)
      assert.ok(!content.includes(Buffer.from(made).toString(coded)));
    assert.deepEqual(Object.keys(JSON.parse(content)[0]), [
      'key',
      'id',
      'expires',
      'uses',
      'used',
      'revoked',
    ]);
  });

  test('sixty-four are open at most; those that have ended make room, the oldest first, and go after a day', (context) => {
    const { open, later } = keeping(context);
    const kept = open();
    const all = Array.from({ length: 64 }, () => kept.invite(anybody));
    assert.throws(() => kept.invite(anybody), { code: 'bad_config', message: /^64 invitations are open/ });
    kept.use(guest(all[0]!.secret));
    kept.use(guest(all[1]!.secret));
    kept.invite(anybody);
    assert.equal(kept.list().length, 64);
    assert.equal(kept.use(guest(all[0]!.secret)), 'unknown_invitation');
    assert.equal(kept.use(guest(all[1]!.secret)), 'invitation_used');
    later(anybody.ttl + 86_400_000);
    kept.invite(anybody);
    assert.equal(kept.list().length, 1);
  });

  test('what cannot be written down does not count: nobody is invited, and nobody let in', (context) => {
    const { open, path } = keeping(context);
    const kept = open();
    const { secret: made } = kept.invite(anybody);
    // As root may write anywhere, a folder takes the file's place.
    rmSync(path);
    mkdirSync(join(path, 'x'), { recursive: true });
    assert.equal(kept.use(guest(made)), 'unavailable');
    assert.throws(() => kept.invite(anybody), /invitations cannot be written/);
    assert.throws(() => kept.revoke(kept.list()[0]!.name), /invitations cannot be written/);
    assert.deepEqual(
      kept.list().map(({ used, state }) => [used, state]),
      [[0, 'open']],
    );
    assert.deepEqual(readdirSync(join(path, '..')), ['invitations']);
    rmSync(path, { recursive: true });
    assert.equal(kept.use(guest(made)), undefined);
  });

  for (const [what, content] of [
    ['no JSON', '{'],
    ['something else', '{"a":1}'],
    ['a list of halves', '[{"key":"00"}]'],
  ] as const) {
    test(`a file that is ${what} invites nobody, and is a warning`, (context) => {
      const { open, path, warned } = keeping(context);
      writeFileSync(path, content);
      assert.deepEqual(open().list(), []);
      assert.equal(warned.length, 1);
      assert.match(warned[0]!, /cannot be used: .*nobody is invited by it/);
    });
  }
});
