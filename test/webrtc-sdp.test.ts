import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fingerprintOf,
  hostCandidate,
  parseCandidate,
  remoteCandidate,
  remoteDescription,
  withoutCandidates,
} from '../dataplane/io/engine/sdp.ts';
import { CryonetError } from '../protocol/errors.ts';

const print = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const lines = [
  'v=0',
  'o=- 1 0 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  `a=fingerprint:sha-256 ${print}`,
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=setup:actpass',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789abcdefghijkl',
];
const good = `${lines.join('\r\n')}\r\n`;

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6().filter((text) => isIP(text) === 6),
);
const port = fc.integer({ min: 1, max: 65_535 });
/** Lines made of what SDP is made of, so that they get past the first check. */
const almostSdp = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...lines,
        'a=fingerprint:sha-256',
        'a=candidate:1 1 UDP 1 1.2.3.4 5 typ host',
        'm=',
        'a=',
        '=',
      ),
      fc.string(),
      fc.string({ unit: 'binary', maxLength: 40 }),
    ),
  )
  .chain((all) => fc.constantFrom('\r\n', '\n', '\r', '\0').map((end) => all.join(end)));

test('a fingerprint is found in any case, with any line ends, and told in upper case', () => {
  for (const end of ['\r\n', '\n']) {
    const sdp = lines.join(end).toLowerCase().replace('a=fingerprint', 'a=fingerprint');
    assert.equal(fingerprintOf(sdp), print);
  }
  assert.equal(fingerprintOf(`${good}a=fingerprint:sha-256 ${print.toLowerCase()}\r\n`), print);
});

test('a description with two ways to read its fingerprint has none', () => {
  const other = print.replace('00:', 'FF:');
  for (const extra of [
    `a=fingerprint:sha-256 ${other}`,
    `a=fingerprint:sha-1 ${print.slice(0, 59)}`,
    ` a=fingerprint:sha-256 ${other}`,
    `A=Fingerprint:sha-256 ${other}`,
    'a=fingerprint:',
    `a=fingerprint:SHA-256  ${print}`,
  ]) {
    assert.throws(() => fingerprintOf(`${good}${extra}\r\n`), { code: 'bad_sdp' }, extra);
    assert.throws(() => fingerprintOf(`${good}s=x\n${extra}`), { code: 'bad_sdp' }, extra);
  }
  assert.throws(() => fingerprintOf(''), { code: 'bad_sdp' });
});

test('no text makes the parsers throw anything but bad_sdp, nor take long', () => {
  fc.assert(
    fc.property(almostSdp, (sdp) => {
      for (const read of [fingerprintOf, remoteDescription, withoutCandidates]) {
        try {
          read(sdp);
        } catch (error) {
          assert.ok(error instanceof CryonetError && error.code === 'bad_sdp', String(error));
        }
      }
      assert.ok(parseCandidate(sdp) !== null && remoteCandidate(sdp) !== null);
    }),
    { numRuns: 2000 },
  );
});

test('megabytes of anything are refused at once', () => {
  const begun = performance.now();
  for (const unit of ['a=', ' ', '\n', 'a=fingerprint:sha-256 00:', 'a=candidate:1 1 UDP ', ':', '\0']) {
    const text = unit.repeat(2_000_000 / unit.length);
    assert.throws(() => remoteDescription(text), { code: 'bad_sdp' });
    assert.equal(parseCandidate(`candidate:${text}`), undefined);
  }
  assert.ok(performance.now() - begun < 5000);
});

test('a good description passes, without its candidates and with its own lines', () => {
  const candidates = 'a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n';
  assert.equal(remoteDescription(good + candidates), good);
  assert.equal(withoutCandidates(`${lines.join('\n')}\nA=candidate:x`), good);
});

test('a description that lacks or doubles a line that matters is refused', () => {
  for (const prefix of ['a=fingerprint', 'm=', 'a=setup', 'a=ice-ufrag', 'a=ice-pwd']) {
    const line = lines.find((text) => text.startsWith(prefix))!;
    assert.throws(() => remoteDescription(good.replace(`${line}\r\n`, '')), { code: 'bad_sdp' }, prefix);
    const twice = prefix === 'a=fingerprint' ? line.replace('00:', '11:') : line;
    assert.throws(() => remoteDescription(`${good}${twice}\r\n`), { code: 'bad_sdp' }, prefix);
  }
});

test('every well-formed candidate is understood, with and without the a=', () => {
  const candidate = fc.record({
    address,
    port,
    type: fc.constantFrom('host', 'srflx', 'prflx', 'relay'),
    transport: fc.constantFrom('udp', 'UDP', 'tcp', 'TCP'),
    prefix: fc.constantFrom('a=', ''),
    suffix: fc.constantFrom('', ' raddr 0.0.0.0 rport 0', ' generation 0 ufrag abcd'),
  });
  fc.assert(
    fc.property(candidate, ({ prefix, suffix, ...expected }) => {
      const { transport, type } = expected;
      const line = `${prefix}candidate:a1+/ 1 ${transport} 2113937151 ${expected.address} ${expected.port} typ ${type}${suffix}`;
      assert.deepEqual(parseCandidate(line), { ...expected, transport: transport.toLowerCase() });
    }),
  );
});

test('names, zones, ports and priorities out of range are no candidates', () => {
  for (const bad of [
    'candidate:1 1 UDP 1 host.local 9 typ host',
    'candidate:1 1 UDP 1 fe80::1%eth0 9 typ host',
    'candidate:1 1 UDP 1 1.2.3 9 typ host',
    'candidate:1 1 UDP 1 1.2.3.4 65536 typ host',
    'candidate:1 1 UDP 2147483648 1.2.3.4 9 typ host',
    'candidate:1 1 UDP 1 1.2.3.4 9 typ hosted',
    'candidate:1 1 UDP 1 1.2.3.4 9',
    ' candidate:1 1 UDP 1 1.2.3.4 9 typ host',
    'candidate:1 1 UDP 1 1.2.3.4 9 typ host\n',
  ]) {
    assert.equal(parseCandidate(bad), undefined, bad);
  }
});

test('what an engine is given is rebuilt, unicast and UDP', () => {
  const line = (transport: string, to: string) =>
    `a=candidate:1 1 ${transport} 7 ${to} 9 typ srflx raddr 1.1.1.1 rport 1`;
  assert.equal(remoteCandidate(line('udp', '192.0.2.1')), 'candidate:1 1 UDP 7 192.0.2.1 9 typ srflx');
  for (const to of ['0.0.0.0', '0.1.2.3', '224.0.0.251', '255.255.255.255', '::', '0::0', 'ff02::1']) {
    assert.equal(remoteCandidate(line('udp', to)), undefined, to);
  }
  assert.equal(remoteCandidate(line('tcp', '192.0.2.1')), undefined);
  assert.equal(remoteCandidate('candidate:1 2 UDP 7 192.0.2.1 9 typ host'), undefined);
  assert.equal(remoteCandidate('candidate:1 1 UDP 7 192.0.2.1 0 typ host'), undefined);
});

test('our host candidates are understood by ourselves, earlier ones first', () => {
  fc.assert(
    fc.property(address, port, fc.nat(23), (text, at, index) => {
      const parsed = parseCandidate(hostCandidate(text, at, index))!;
      assert.deepEqual(parsed, { type: 'host', address: text, port: at, transport: 'udp' });
    }),
  );
  const priority = (text: string, index: number) => Number(hostCandidate(text, 9, index).split(' ')[3]);
  assert.ok(priority('127.0.0.1', 0) > priority('::1', 1));
  assert.ok(priority('127.0.0.1', 0) > priority('127.0.0.1', 1));
});
