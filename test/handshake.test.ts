import assert from 'node:assert/strict';
import {
  createHash,
  createHmac,
  createPublicKey,
  hkdfSync,
  randomBytes,
  scryptSync,
  sign,
  verify,
} from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { expand, FrameCipher, mac, newEphemeral, tokenKey, verifyWith } from '../control/io/crypto.ts';
import {
  ClientHandshake,
  type Local,
  type Proven,
  Refused,
  refusal,
  ServerHandshake,
} from '../control/io/handshake.ts';
import type { Identity } from '../control/io/state-directory.ts';
import { CryonetError } from '../protocol/errors.ts';
import { type Hello, helloMessage, proofMessage, refuseCodes } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import { parse } from '../protocol/schema.ts';
import { newIdentity } from './identity.ts';

const token = 'correct horse battery staple';
const keys = new Map<string, Uint8Array>();
for (const each of [token, 'another token', '']) keys.set(each, await tokenKey(each));

function local(id: string, secret = token): Local {
  return { id, epoch: 1_764_000_000_000, identity: newIdentity(), tokenKeys: [keys.get(secret)!] };
}

interface Shaken {
  readonly client: Proven;
  readonly server: Proven;
  /** Client hello, server hello, client proof, server proof. */
  readonly frames: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
}

/** Both sides by the book; each frame may be altered on its way. */
function shake(
  a: Local,
  b: Local,
  onTheWay: (frame: Uint8Array, index: number) => Uint8Array = (frame) => frame,
): Shaken {
  const client = new ClientHandshake(a);
  const server = new ServerHandshake(b);
  const clientHello = client.start();
  const serverHello = server.receive(onTheWay(clientHello, 0)).send;
  const asked = client.receive(onTheWay(serverHello, 1));
  assert.ok('send' in asked);
  const admitted = server.receive(onTheWay(asked.send, 2));
  assert.ok('proven' in admitted);
  const concluded = client.receive(onTheWay(admitted.send, 3));
  assert.ok('proven' in concluded);
  return {
    client: concluded.proven,
    server: admitted.proven,
    frames: [clientHello, serverHello, asked.send, admitted.send],
  };
}

function signed(identity: Identity, message: Uint8Array): Uint8Array {
  return sign(null, message, identity.privateKey);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

test('two nodes with the same token prove each other, and their frames cross both ways', () => {
  const [a, b] = [local('a'), local('berlin')];
  const { client, server } = shake(a, b);
  assert.equal(client.peer.id, 'berlin');
  assert.equal(server.peer.id, 'a');
  assert.deepEqual(Uint8Array.from(client.peer.key), b.identity.publicKey);
  assert.deepEqual(Uint8Array.from(server.peer.key), a.identity.publicKey);
  for (let i = 0; i < 5; i++) {
    const text = Buffer.from(`message ${i}`);
    assert.deepEqual(server.incoming.open(client.outgoing.seal(text)), text);
    assert.deepEqual(client.incoming.open(server.outgoing.seal(text)), text);
  }
});

test('proofs and frame keys are made as protocol/handshake.ts says', () => {
  const [a, b] = [local('a'), local('b')];
  const { frames, client } = shake(a, b);
  const transcript = sha256(frames[0], frames[1]);
  const key = scryptSync(token, 'cryonet.2 token', 32, { N: 2 ** 14, r: 8, p: 1 });
  const hellos = [parse(helloMessage, frames[0]), parse(helloMessage, frames[1])];
  for (const [hello, frame, label] of [
    [hellos[0]!, frames[2], 'cryonet.2 client\0'],
    [hellos[1]!, frames[3], 'cryonet.2 server\0'],
  ] as const) {
    const proof = parse(proofMessage, frame);
    const message = Buffer.concat([Buffer.from(label), transcript]);
    assert.deepEqual(Buffer.from(proof.mac), createHmac('sha256', key).update(message).digest());
    const x = Buffer.from(hello.key).toString('base64url');
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    assert.ok(verify(null, message, publicKey, proof.signature));
  }
  assert.equal(client.peer.epoch, b.epoch);
});

test('golden: the token key, a MAC, frame keys and sealed frames', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  assert.equal(hex(keys.get(token)!), '581871d7cd1cb2eefd4a6ba87e2c512b85a72210a7416bc726675810b204054e');
  assert.equal(
    hex(mac(new Uint8Array(32), Buffer.from('message'))),
    'eb08c1f56d5ddee07f7bdf80468083da06b64cf4fac64fe3a90883df5feacae4',
  );
  const okm = expand(new Uint8Array(32), new Uint8Array(32).fill(1), Buffer.from('cryonet.2 frames'), 64);
  assert.equal(
    hex(okm),
    '9f0b84c326a07dcd1e4bab2ccccd419a30437caa40144055613b960be854620e87c5ec3620ab5844e53c01fa061235bde98bfa93f6f320cde5f276d631f5eb71',
  );
  assert.deepEqual(
    Buffer.from(okm),
    Buffer.from(hkdfSync('sha256', new Uint8Array(32), new Uint8Array(32).fill(1), 'cryonet.2 frames', 64)),
  );
  const cipher = new FrameCipher(okm.slice(0, 32));
  assert.equal(hex(cipher.seal(Buffer.from('first'))), '8ad467123dd19fc4d4f28d574d8358a6522ec78916');
  assert.equal(hex(cipher.seal(Buffer.from('second'))), '3633c1888986ff076bd540ddc8b60407473c68ceeaa3');
});

test('a server lets in who has any of its tokens and answers by that one; a client has its first alone', () => {
  const [old, next] = [keys.get('another token')!, keys.get(token)!];
  const having = (id: string, ...tokenKeys: [Uint8Array, ...Uint8Array[]]) => ({ ...local(id), tokenKeys });
  const [before, first] = [having('a', old), having('b', old, next)];
  const [second, after] = [having('c', next, old), having('d', next)];
  const meets = (one: Local, other: Local) => {
    try {
      const { client, server } = shake(one, other);
      return Buffer.from(server.incoming.open(client.outgoing.seal(old))!).equals(old);
    } catch (error) {
      assert.equal((error as CryonetError).code, 'wrong_token');
      return false;
    }
  };
  const oneStep = [
    [before, first],
    [first, second],
    [second, after],
  ] as const;
  for (const [one, other] of oneStep) assert.ok(meets(one, other) && meets(other, one));
  assert.ok(!meets(before, after) && !meets(after, before));
  assert.ok(!meets(before, { ...second, tokenKeys: [next] }));
  assert.ok(meets(first, before) && !meets(first, after) && meets(after, first));
});

test('a refusal by a server with several tokens is proved by that of the client', () => {
  const [old, next] = [keys.get('another token')!, keys.get(token)!];
  const client = new ClientHandshake({ ...local('a'), tokenKeys: [old] });
  const server = new ServerHandshake({ ...local('b'), tokenKeys: [next, old] });
  const asked = client.receive(server.receive(client.start()).send);
  assert.ok('send' in asked && 'proven' in server.receive(asked.send));
  assert.throws(
    () => client.receive(server.refuse({ code: 'denied' })),
    (error) => error instanceof Refused && error.server?.id === 'b',
  );
});

test('another token is refused with wrong_token, by the server and by the client', () => {
  assert.throws(() => shake(local('a', 'another token'), local('b')), {
    code: 'wrong_token',
    message: /client/,
  });
  const client = new ClientHandshake(local('a'));
  const impostor = new ServerHandshake(local('b', 'another token'));
  const hello = impostor.receive(client.start()).send;
  const proof = client.receive(hello);
  assert.ok('send' in proof);
  assert.throws(() => impostor.receive(proof.send), { code: 'wrong_token' });
  assert.throws(() => client.receive(refusal('wrong_token')), {
    code: 'wrong_token',
    message: /refused by the server/,
  });
});

test('a server that takes any client cannot prove itself without the token', () => {
  const client = new ClientHandshake(local('a'));
  const b = local('b', 'another token');
  const hello = new ServerHandshake(b).receive(client.start()).send;
  assert.ok('send' in client.receive(hello));
  for (const forged of [randomBytes(32), mac(b.tokenKeys[0], sha256(client.start(), hello))]) {
    assert.throws(
      () =>
        client.receive(encode({ type: 'proof', mac: new Uint8Array(forged), signature: new Uint8Array(64) })),
      {
        code: 'wrong_token',
        message: /server/,
      },
    );
  }
});

test('a client’s own proof sent back to it proves nothing', () => {
  const client = new ClientHandshake(local('a'));
  const hello = new ServerHandshake(local('b')).receive(client.start()).send;
  const proof = client.receive(hello);
  assert.ok('send' in proof);
  assert.throws(() => client.receive(proof.send), { code: 'wrong_token' });
});

test('who sends back what a client says, or says hello in its name, is not that node, and proves nothing', () => {
  const client = new ClientHandshake(local('a'));
  const said = client.receive(client.start());
  assert.ok('send' in said);
  assert.throws(() => client.receive(said.send), { code: 'wrong_token' });
});

test('a node that reaches its own server says self_connection; another start of it does not', () => {
  const a = local('a');
  assert.throws(() => shake(a, a), { code: 'self_connection' });
  assert.doesNotThrow(() => shake(a, { ...a, epoch: a.epoch + 1 }));
});

test('proofs of an earlier connection prove nothing in a later one, to either side', () => {
  const [a, b] = [local('a'), local('b')];
  const { frames } = shake(a, b);
  const server = new ServerHandshake(b);
  server.receive(frames[0]);
  assert.throws(() => server.receive(frames[2]), { code: 'wrong_token' });
  const client = new ClientHandshake(a);
  client.receive(frames[1]);
  assert.throws(() => client.receive(frames[3]), { code: 'wrong_token' });
});

test('proofs carried to a third node prove nothing there', () => {
  const [a, b, c] = [local('a'), local('b'), local('c')];
  const client = new ClientHandshake(a);
  const [toB, toC] = [new ServerHandshake(b), new ServerHandshake(c)];
  toC.receive(client.start());
  const proof = client.receive(toB.receive(client.start()).send);
  assert.ok('send' in proof);
  assert.throws(() => toC.receive(proof.send), { code: 'wrong_token' });
});

test('who has the token but not the identity key of its hello is refused', () => {
  const a = local('a');
  const thief = {
    ...local('a'),
    identity: { privateKey: newIdentity().privateKey, publicKey: a.identity.publicKey },
  };
  assert.throws(() => shake(thief, local('b')), { code: 'wrong_token' });
  assert.throws(() => shake(local('b'), thief), { code: 'wrong_token' });
});

test('a byte changed anywhere on the way fails the handshake', () => {
  const [a, b] = [local('a'), local('b')];
  const { frames } = shake(a, b);
  for (const [index, { length }] of frames.entries()) {
    for (let at = 0; at < length; at++) {
      assert.throws(
        () =>
          shake(a, b, (frame, i) => {
            if (i !== index) return frame;
            const altered = Uint8Array.from(frame);
            altered[at]! ^= 1 << (at % 8);
            return altered;
          }),
        CryonetError,
        `message ${index}, byte ${at}`,
      );
    }
  }
});

test('messages altered, exchanged or made up are refused with an error of the table', () => {
  const [a, b] = [local('a'), local('b')];
  const known = shake(a, b).frames;
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.constantFrom(...known, ...refuseCodes.map((code) => refusal(code))),
    fc.tuple(fc.constantFrom(...known), fc.nat(), fc.nat(255)).map(([frame, at, byte]) => {
      const altered = Uint8Array.from(frame);
      altered[at % altered.length] = byte;
      return altered;
    }),
  );
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
      for (const side of [new ClientHandshake(a), new ServerHandshake(b)]) {
        try {
          if (side instanceof ClientHandshake) side.start();
          for (const each of messages)
            assert.ok(!('proven' in side.receive(each)), 'proven by made-up messages');
        } catch (error) {
          assert.ok(error instanceof CryonetError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('messages out of order are refused', () => {
  const [a, b] = [local('a'), local('b')];
  const { frames } = shake(a, b);
  assert.throws(() => new ServerHandshake(b).receive(frames[2]), { code: 'bad_message' });
  assert.throws(() => new ClientHandshake(a).receive(frames[3]), { code: 'bad_message' });
  const twice = new ClientHandshake(a);
  twice.receive(frames[1]);
  assert.throws(() => twice.receive(frames[1]), { code: 'bad_message' });
  const server = new ServerHandshake(b);
  server.receive(frames[0]);
  assert.throws(() => server.receive(frames[0]), { code: 'bad_message' });
});

test('an ephemeral key that is no point of use is refused with bad_message', () => {
  const [a, b] = [local('a'), local('b')];
  const useless = (hello: Uint8Array) => encode({ ...parse(helloMessage, hello), dh: new Uint8Array(32) });
  // Both sides see the same altered hello, as if a node with the token had made it.
  const server = new ServerHandshake(b);
  const identity = newIdentity();
  const clientHello = useless(new ClientHandshake({ ...a, identity }).start());
  const serverHello = server.receive(clientHello).send;
  const message = Buffer.concat([Buffer.from('cryonet.2 client\0'), sha256(clientHello, serverHello)]);
  const proof = encode({
    type: 'proof',
    mac: new Uint8Array(mac(a.tokenKeys[0], message)),
    signature: new Uint8Array(signed(identity, message)),
  });
  assert.throws(() => server.receive(proof), { code: 'bad_message' });
});

test('the refusal of each code reaches the client as that code, with words', () => {
  for (const code of refuseCodes) {
    const client = new ClientHandshake(local('a'));
    client.receive(new ServerHandshake(local('b')).receive(client.start()).send);
    assert.throws(
      () => client.receive(refusal(code)),
      (error: CryonetError) => error.code === code && error.message.length > 25,
    );
  }
});

test('the token and its key are in no message, not even to an impostor', () => {
  const secret = Buffer.from(token);
  const { frames, client, server } = shake(local('a'), local('b'));
  const impostor = new ServerHandshake(local('b', 'another token'));
  const victim = new ClientHandshake(local('a'));
  const given = victim.receive(impostor.receive(victim.start()).send);
  assert.ok('send' in given);
  const sealed = [client.outgoing.seal(Buffer.from('x')), server.outgoing.seal(Buffer.from('y'))];
  const stream = Buffer.concat([...frames, victim.start(), given.send, ...sealed]);
  for (const leak of [secret, secret.subarray(0, 6), sha256(secret), Buffer.from(keys.get(token)!)]) {
    for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      assert.ok(
        !stream.includes(Buffer.from(leak.toString(encoding), encoding === 'latin1' ? 'latin1' : 'utf8')),
      );
    }
  }
});

test('keys, nonces and ephemerals differ from connection to connection', () => {
  const [a, b] = [local('a'), local('b')];
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { client, server, frames } = shake(a, b);
    const hellos: Hello[] = [parse(helloMessage, frames[0]), parse(helloMessage, frames[1])];
    for (const { nonce, dh } of hellos)
      for (const each of [nonce, dh]) seen.add(Buffer.from(each).toString('hex'));
    for (const each of [client.outgoing, server.outgoing])
      seen.add(Buffer.from(each.seal(Buffer.alloc(32))).toString('hex'));
  }
  assert.equal(seen.size, 20 * 6);
});

test('a frame is opened once, in order, by the other side alone', () => {
  const { client, server } = shake(local('a'), local('b'));
  const frames = ['one', 'two', 'three'].map((text) => client.outgoing.seal(Buffer.from(text)));
  assert.deepEqual(server.incoming.open(frames[0]!), Buffer.from('one'));
  assert.equal(server.incoming.open(frames[0]!), undefined, 'replayed');

  const again = shake(local('a'), local('b'));
  const late = ['one', 'two'].map((text) => again.client.outgoing.seal(Buffer.from(text)));
  assert.equal(again.server.incoming.open(late[1]!), undefined, 'out of order');

  const other = shake(local('a'), local('b'));
  assert.equal(
    other.server.incoming.open(client.outgoing.seal(Buffer.from('x'))),
    undefined,
    'another connection',
  );
  assert.equal(
    other.client.incoming.open(other.client.outgoing.seal(Buffer.from('x'))),
    undefined,
    'reflected',
  );
});

test('a frame altered in any byte, cut or lengthened is not opened', () => {
  const key = randomBytes(32);
  const sealed = new FrameCipher(key).seal(Buffer.from('membership'));
  for (let at = 0; at < sealed.length; at++) {
    const altered = Uint8Array.from(sealed);
    altered[at]! ^= 0x80;
    assert.equal(new FrameCipher(key).open(altered), undefined);
    assert.equal(new FrameCipher(key).open(sealed.subarray(0, at)), undefined);
  }
  assert.equal(new FrameCipher(key).open(Buffer.concat([sealed, Buffer.alloc(1)])), undefined);
  assert.deepEqual(new FrameCipher(key).open(sealed), Buffer.from('membership'));
});

test('a signature is refused by another key, for another message, and by bytes that are no key', () => {
  const identity = newIdentity();
  const message = Buffer.from('message');
  const signature = signed(identity, message);
  assert.ok(verifyWith(identity.publicKey, message, signature));
  assert.ok(!verifyWith(newIdentity().publicKey, message, signature));
  assert.ok(!verifyWith(identity.publicKey, Buffer.from('massage'), signature));
  assert.ok(!verifyWith(identity.publicKey, message, signature.subarray(1)));
  for (const size of [0, 31, 32, 33])
    assert.ok(!verifyWith(new Uint8Array(size).fill(255), message, signature));
});

test('both sides of an exchange agree on one secret', () => {
  const [a, b] = [newEphemeral(), newEphemeral()];
  assert.deepEqual(a.agree(b.publicKey), b.agree(a.publicKey));
  assert.throws(() => a.agree(new Uint8Array(32)));
});
