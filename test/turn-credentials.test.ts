import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnCredentials, turnExpiry } from '../dataplane/io/turn-credentials.ts';
import type { TurnServer } from '../dataplane/io/webrtc.ts';

const server: TurnServer = { kind: 'turn', host: 't', port: 3478, user: 'osaka', credential: 'north' };

test('a credential is used as it is', () => {
  assert.deepEqual(turnCredentials(server), { user: 'osaka', credential: 'north' });
});

test('of a secret a credential is made that lasts as long as was asked for', () => {
  // printf 1700003600:osaka | openssl dgst -sha1 -hmac north -binary | base64
  assert.deepEqual(turnCredentials({ ...server, lifetime: 3600 }, 1_700_000_000_999), {
    user: '1700003600:osaka',
    credential: 't4WuGR2iUluPAMf1EgJriXTyREQ=',
  });
});

test('the end of a credential that somebody made is read from its user', () => {
  const end = (user: string, lifetime?: number) => turnExpiry({ ...server, user, lifetime });
  assert.equal(end('1700003600:osaka'), 1_700_003_600_000);
  assert.equal(end('1700003600'), 1_700_003_600_000);
  for (const user of ['osaka', '17:osaka', 'osaka:1700003600', '1700003600osaka', ''])
    assert.equal(end(user), undefined, user);
  assert.equal(end('1700003600:osaka', 60), undefined, 'ours are made anew');
});
