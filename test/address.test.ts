import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatHostPort, type HostPort, isLoopback, parseHostPort } from '../control/config/address.ts';
import { parseIceServer, unservedIceServer } from '../control/config/ice-server.ts';
import type { IceServer } from '../protocol/dataplane.ts';
import { parseDuration } from '../protocol/duration.ts';

const addresses: readonly [text: string, parsed: HostPort | undefined][] = [
  ['127.0.0.1:2333', { host: '127.0.0.1', port: 2333 }],
  ['[::]:2333', { host: '::', port: 2333 }],
  ['[fe80::1%eth0]:1', { host: 'fe80::1%eth0', port: 1 }],
  ['node.example:65535', { host: 'node.example', port: 65_535 }],
  [':2333', { host: '', port: 2333 }],
  ['a:0', { host: 'a', port: 0 }],
  ['a:65536', undefined],
  ['a:123456', undefined],
  ['a', undefined],
  ['', undefined],
  [':', undefined],
  ['a:', undefined],
  ['a:b', undefined],
  ['a:-1', undefined],
  ['a: 1', undefined],
  ['::1:2333', undefined],
  ['[::1]', undefined],
  ['[::1:2333', undefined],
  ['[]:1', undefined],
  ['[a b]:1', undefined],
  ['a b:1', undefined],
  ['a,b:1', undefined],
  ['a:1\n', undefined],
];

for (const [text, parsed] of addresses) {
  test(`host and port: ${JSON.stringify(text)} is ${parsed === undefined ? 'refused' : formatHostPort(parsed)}`, () => {
    assert.deepEqual(parseHostPort(text), parsed);
  });
}

test('a port may be left out where there is a default', () => {
  assert.deepEqual(parseHostPort('stun.example', 3478), { host: 'stun.example', port: 3478 });
  assert.deepEqual(parseHostPort('[::1]', 3478), { host: '::1', port: 3478 });
  assert.deepEqual(parseHostPort('stun.example:1', 3478), { host: 'stun.example', port: 1 });
});

test('what is formatted is parsed the same', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(host, fc.nat(65_535), (host, port) => {
      assert.deepEqual(parseHostPort(formatHostPort({ host, port })), { host, port });
    }),
    { numRuns: 2000 },
  );
});

const servers: readonly [text: string, parsed: IceServer | undefined][] = [
  ['stun:stun.example', { kind: 'stun', host: 'stun.example', port: 3478 }],
  ['stun:stun.example:19302', { kind: 'stun', host: 'stun.example', port: 19_302 }],
  ['stun:[2001:db8::1]:5000', { kind: 'stun', host: '2001:db8::1', port: 5000 }],
  [' stun:192.0.2.1 ', { kind: 'stun', host: '192.0.2.1', port: 3478 }],
  ['turn:t.example|u|c', { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'c' }],
  [
    'turn:t.example:443|u:1|c:2=',
    { kind: 'turn', host: 't.example', port: 443, user: 'u:1', credential: 'c:2=' },
  ],
  ['turn:[::1]|u|c', { kind: 'turn', host: '::1', port: 3478, user: 'u', credential: 'c' }],
  [
    'turn:t.example?transport=udp|u|c?d=1',
    { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'c?d=1' },
  ],
  [
    'TURN:[2001:db8::1]:443?transport=UDP|u|c',
    { kind: 'turn', host: '2001:db8::1', port: 443, user: 'u', credential: 'c' },
  ],
  ['stun:[fe80::1%eth0]', { kind: 'stun', host: 'fe80::1%eth0', port: 3478 }],
  ['stun:stün.example.', { kind: 'stun', host: 'stün.example.', port: 3478 }],
  ['turn:t.example?transport=tcp|u|c', undefined],
  ['turn:t.example?transport=|u|c', undefined],
  ['turn:t.example?udp|u|c', undefined],
  ['turn:t.example?transport=udp&x=1|u|c', undefined],
  ['turn:t.example?|u|c', undefined],
  ['stun:s.example?transport=udp', undefined],
  ['stun://s.example', undefined],
  ['turn:u@t.example|u|c', undefined],
  ['stun:[::zz]', undefined],
  ['stun:2001:db8::1', undefined],
  ['stun:-', undefined],
  ['stun:a/b', undefined],
  ['turns:t.example|u|c', undefined],
  ['turn:t.example', undefined],
  ['turn:t.example|u', undefined],
  ['turn:t.example|u|', undefined],
  ['turn:t.example||c', undefined],
  ['turn:t.example|u|c|d', undefined],
  [
    'turn:t.example|u|secret:x:y/z=',
    { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'x:y/z=', lifetime: 86_400 },
  ],
  [
    'turn:t.example?transport=udp|u|secret:x|1h30m',
    { kind: 'turn', host: 't.example', port: 3478, user: 'u', credential: 'x', lifetime: 5400 },
  ],
  ['turn:t.example|u|secret:', undefined],
  ['turn:t.example|u|secret:|1h', undefined],
  ['turn:t.example||secret:x', undefined],
  ['turn:t.example|u|secret:x|', undefined],
  ['turn:t.example|u|secret:x|1', undefined],
  ['turn:t.example|u|secret:x|19s', undefined],
  ['turn:t.example|u|secret:x|1h|1h', undefined],
  ['turn:t.example|u|c|1h', undefined],
  ['turn:|u|c', undefined],
  ['stun:s.example|u|c', undefined],
  ['stun:', undefined],
  ['stun::3478', undefined],
  ['stun:s.example:0', undefined],
  ['stun:s.example:99999', undefined],
  ['stuns:s.example', undefined],
  ['s.example', undefined],
  ['', undefined],
];

for (const [text, parsed] of servers) {
  test(`ICE server: ${JSON.stringify(text)} is ${parsed === undefined ? 'refused' : 'taken'}`, () => {
    assert.deepEqual(parseIceServer(text), parsed);
  });
}

const unserved: readonly [text: string, reason: RegExp | undefined][] = [
  [
    'turn:t.example?transport=tcp|u|secret',
    /over another transport than UDP.*give \?transport=udp, or none$/,
  ],
  ['turn:t.example?transport=tls|u|secret', /over another transport than UDP/],
  ['turns:t.example|u|secret', /by turns:, over TLS.*give turn:, over UDP$/],
  ['STUNS:s.example', /by stuns:, over TLS.*give stun:, over UDP$/],
  ['turn:t.example?transport=udp|u|secret', undefined],
  ['turn:t.example|u|secret?transport=tcp', undefined],
  ['stun:s.example', undefined],
  ['http://s.example', undefined],
];

for (const [text, reason] of unserved) {
  test(`ICE server: ${JSON.stringify(text)} is ${reason === undefined ? 'of no other kind' : 'refused by its kind'}`, () => {
    const given = unservedIceServer(text);
    if (reason === undefined) assert.equal(given, undefined);
    else assert.match(given!, reason);
    assert.doesNotMatch(given ?? '', /secret|\|u/);
  });
}

test('any text is an address, a server and a duration, or none', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.stringMatching(/^(stun|turn)s?:[a-z0-9.:|?=[\]-]*$/),
    fc.stringMatching(/^([0-9]{1,20} ?(ms|s|m|h|d|w|sec|x) ?){1,6}$/),
    fc.constantFrom('9'.repeat(64), `${'9'.repeat(60)}w`, '1'.repeat(70), '1s'.repeat(32), '1 '.repeat(32)),
  );
  fc.assert(
    fc.property(text, (text) => {
      const at = parseHostPort(text, 1);
      if (at !== undefined) assert.ok(at.port >= 0 && at.port <= 65_535 && !/[\s,|]/.test(at.host));
      const server = parseIceServer(text);
      if (server !== undefined) assert.ok(server.host !== '' && server.port > 0 && server.port <= 65_535);
      const milliseconds = parseDuration(text);
      if (milliseconds !== undefined) assert.ok(Number.isSafeInteger(milliseconds) && milliseconds >= 0);
    }),
    { numRuns: 2000 },
  );
});

const second = 1000;
const durations: readonly [text: string, milliseconds: number | undefined][] = [
  ['10s', 10 * second],
  ['1m', 60 * second],
  ['1m30s', 90 * second],
  ['500ms', 500],
  ['2h 15min', 8100 * second],
  ['1h1m1s1ms', 3_661_001],
  ['1 hour 2 minutes 3 seconds', 3_723_000],
  ['1hr', 3600 * second],
  ['2 hours', 7200 * second],
  ['3min', 180 * second],
  ['1 minute', 60 * second],
  ['4 sec', 4 * second],
  ['1 second', second],
  ['7 msec', 7],
  ['1500us', 2],
  ['1500 usec', 2],
  ['999999ns', 1],
  ['2000000nsec', 2],
  ['1d', 86_400 * second],
  ['2days', 172_800 * second],
  ['1 day', 86_400 * second],
  ['1w', 604_800 * second],
  ['2 weeks', 1_209_600 * second],
  ['1week', 604_800 * second],
  ['30s1m', 90 * second],
  [' 10s ', 10 * second],
  ['0s', 0],
  ['010s', 10 * second],
  ['10', undefined],
  ['s', undefined],
  ['', undefined],
  ['10 fortnights', undefined],
  ['-1s', undefined],
  ['1.5s', undefined],
  ['10S', undefined],
  ['1s,2s', undefined],
  ['1e3s', undefined],
  ['١s', undefined],
  ['99999999999999999999s', undefined],
];

for (const [text, milliseconds] of durations) {
  test(`duration: ${JSON.stringify(text)} is ${milliseconds === undefined ? 'refused' : `${milliseconds} ms`}`, () => {
    assert.equal(parseDuration(text), milliseconds);
  });
}

test('a duration is the sum of its parts', () => {
  const part = fc.tuple(
    fc.nat(1000),
    fc.constantFrom<[string, number]>(['ms', 1], ['s', 1e3], ['m', 6e4], ['h', 36e5], ['d', 864e5]),
    fc.constantFrom('', ' '),
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const text = parts.map(([amount, [unit], gap]) => `${amount}${gap}${unit}${gap}`).join('');
      fc.pre(text.length <= 64);
      assert.equal(
        parseDuration(text),
        parts.reduce((sum, [amount, [, factor]]) => sum + amount * factor, 0),
      );
    }),
    { numRuns: 1000 },
  );
});

for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'LOCALHOST'])
  test(`only this machine reaches ${host}`, () => assert.ok(isLoopback(host)));

for (const host of [
  '',
  '::',
  '0.0.0.0',
  '192.0.2.1',
  '127.example.net',
  'localhost.example.net',
  '2001:db8::1',
])
  test(`others may reach ${host === '' ? 'every address' : host}`, () => assert.ok(!isLoopback(host)));
