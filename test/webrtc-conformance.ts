/** What every engine of `dataplane/io/webrtc.ts` does, alone and with each other. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { fingerprintOf } from '../dataplane/io/engine/sdp.ts';
import type { ChannelName, Engine } from '../dataplane/io/webrtc.ts';
import { channelNames, connected, End, negotiate } from './webrtc-end.ts';

export interface EnginePair {
  readonly offerer: Engine;
  readonly answerer: Engine;
}

export interface Traits {
  /** Milliseconds within which an end sees that the other closed. */
  readonly closeSeenWithin?: number;
  /** Bytes with which the flood of `data` goes on until the queue has held that many. */
  readonly flood?: number;
}

export function conformance(name: string, open: () => Promise<EnginePair>, traits: Traits = {}): void {
  suite(name, () => {
    let engines: EnginePair;
    before(async () => {
      engines = await open();
    });
    after(() => {
      engines.offerer.close();
      engines.answerer.close();
    });
    carrying(() => engines, traits);
    ending(() => engines, traits);
    refusing(() => engines);
  });
}

function carrying(engines: () => EnginePair, traits: Traits): void {
  test('three channels open and carry messages of 1 byte to 16 KiB both ways', async () => {
    const { offerer, answerer, close } = await connected(engines());
    try {
      for (const [from, to] of [
        [offerer, answerer],
        [answerer, offerer],
      ] as const) {
        for (const channel of channelNames) {
          for (const size of [1, 2, 1155, 1156, 1157, 1200, 1400, 4096, 16_384]) {
            await exchange(from, to, channel, size);
          }
        }
      }
      for (const end of [offerer, answerer]) {
        assert.deepEqual(end.opened.toSorted(), [...channelNames].sort());
        assert.equal(end.states.filter((state) => state === 'connected').length, 1);
      }
    } finally {
      close();
    }
  });

  test('candidates connect in any order, doubled, and among garbage', async () => {
    const garbage = [
      '',
      'candidate:',
      'candidate:1 1 UDP 1 1.2.3.4 1 typ',
      `candidate:1 1 UDP 2113937151 ${'9'.repeat(100_000)} 9 typ host`,
      'candidate:1 1 UDP 2113937151 b6a7c1e0-0000-4000-8000-000000000000.local 9 typ host',
      'candidate:1 1 UDP 2113937151 example.com 9 typ host',
      'candidate:1 1 UDP 2113937151 224.0.0.1 9 typ host',
      'candidate:1 1 UDP 2113937151 0.0.0.0 9 typ host',
      'candidate:1 1 TCP 2113937151 192.0.2.1 9 typ host tcptype active',
      'candidate:1 1 UDP 99999999999 192.0.2.1 99999 typ host',
      'candidate:1 1 UDP 2113937151 192.0.2.1 9 typ host\r\na=ice-lite',
      '\0'.repeat(1000),
    ];
    const shuffle = (lines: readonly string[]) => [...garbage, ...[...lines, ...lines].reverse(), ...garbage];
    const { close } = await connected(engines(), { shuffle });
    close();
  });

  test('a flood of ten thousand candidates neither stops nor delays a connection for long', async () => {
    const flood = Array.from(
      { length: 10_000 },
      (_, i) => `candidate:${i} 1 UDP ${i + 1} 198.51.100.${i & 255} ${i + 1} typ host`,
    );
    let flooded = false;
    const shuffle = (lines: readonly string[]) => {
      if (flooded || lines.length === 0) return lines;
      flooded = true;
      return [...lines, ...flood];
    };
    const { ms, close } = await connected(engines(), { shuffle });
    close();
    assert.ok(ms < 15_000, `${ms} ms`);
  });

  test('an offerer may claim the role of the DTLS client', async () => {
    const claim = (offer: string) => offer.replace('a=setup:actpass', 'a=setup:active');
    const { offerer, answerer, close } = await connected(engines(), { edit: claim });
    await exchange(offerer, answerer, 'wire', 10);
    close();
  });

  test('the pair names both ends once connected, and only while it is', async () => {
    const { offerer, answerer, close } = await connected(engines());
    try {
      await Promise.all([
        exchange(offerer, answerer, 'signal', 10),
        exchange(answerer, offerer, 'signal', 10),
      ]);
      const [ours, theirs] = [offerer.connection.pair()!, answerer.connection.pair()!];
      for (const end of [ours.local, ours.remote, theirs.local, theirs.remote]) {
        assert.match(end.type, /^(host|srflx|prflx|relay)$/);
        assert.ok(isIP(end.address) !== 0, end.address);
        assert.ok(end.port > 0 && end.port < 65_536);
      }
      assert.equal(ours.local.type, 'host');
      const { offerer: ourEngine, answerer: theirEngine } = engines();
      // An engine with a socket per address may send on one and receive on another.
      if (ourEngine.udpPort !== 0 && theirEngine.udpPort !== 0) {
        assert.equal(ours.local.port, ourEngine.udpPort);
        assert.deepEqual([ours.local.port, ours.remote.port], [theirs.remote.port, theirs.local.port]);
      }
    } finally {
      close();
    }
    assert.equal(new End(engines().offerer).connection.pair(), undefined);
  });

  test('an engine that tells of a pair tells once, and has one', async () => {
    const { offerer, answerer, close } = await connected(engines());
    close();
    for (const { pairs } of [offerer, answerer]) {
      assert.ok(pairs.length <= 1);
      assert.ok(!pairs.includes(undefined));
    }
  });

  test('data that is sent faster than it leaves is queued, counted, and drained', async () => {
    const { offerer, answerer, close } = await connected(engines());
    try {
      const { connection } = offerer;
      const high = traits.flood ?? 300_000;
      const message = new Uint8Array(1200);
      let sent = 0;
      while (connection.buffered('data') < high) {
        assert.ok(connection.send('data', message));
        sent += 1;
        assert.ok(sent < 100_000, 'the queue never fills');
        if (sent % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const { drains } = offerer;
      await offerer.until('a drain', () => offerer.drains > drains);
      assert.ok(
        connection.buffered('data') <= high / 2,
        `${connection.buffered('data')} bytes after a drain`,
      );
      await answerer.until('most of the flood', () => answerer.messages.data.length > 0);
      await exchange(offerer, answerer, 'wire', 100);
    } finally {
      close();
    }
  });

  test('wire carries two megabytes whole and in order while data is full', async () => {
    const { offerer, answerer, close } = await connected(engines());
    try {
      const [sent, got] = [createHash('sha256'), createHash('sha256')];
      let bytes = 0;
      answerer.onMessage = (channel, message) => {
        if (channel !== 'wire') return;
        got.update(message);
        bytes += message.length;
      };
      for (let i = 0; i < 128; i += 1) {
        const message = new Uint8Array(16_384).fill(i);
        sent.update(message);
        assert.ok(offerer.connection.send('wire', message));
        if (i % 8 === 0) assert.ok(offerer.connection.send('data', new Uint8Array(1200)));
      }
      await answerer.until('two megabytes', () => bytes === 128 * 16_384, 20_000);
      assert.equal(got.digest('hex'), sent.digest('hex'));
    } finally {
      close();
    }
  });
}

function ending(engines: () => EnginePair, traits: Traits): void {
  test('nothing is sent before a channel is open, nor after the end', async () => {
    const end = new End(engines().offerer);
    assert.equal(end.connection.send('signal', new Uint8Array(1)), false);
    await end.connection.offer();
    for (const channel of channelNames) {
      assert.equal(end.connection.send(channel, new Uint8Array(1)), false);
      assert.equal(end.connection.buffered(channel), 0);
    }
    end.connection.close();
    const { offerer, answerer, close } = await connected(engines());
    offerer.connection.close();
    await answerer.untilState('closed');
    for (const { connection } of [offerer, answerer]) {
      assert.equal(connection.send('data', new Uint8Array(1)), false);
      assert.equal(connection.buffered('data'), 0);
      assert.equal(connection.pair(), undefined);
      connection.addCandidate('candidate:1 1 UDP 2113937151 192.0.2.1 9 typ host');
    }
    close();
  });

  test('a close is seen by the other end at once, as its last event', async () => {
    for (const closer of ['offerer', 'answerer'] as const) {
      const ends = await connected(engines());
      const other = closer === 'offerer' ? ends.answerer : ends.offerer;
      const begun = performance.now();
      ends[closer].connection.close();
      await other.untilState('closed', 5000);
      const ms = performance.now() - begun;
      assert.ok(ms < (traits.closeSeenWithin ?? 1000), `${ms} ms`);
      await turns(20);
      assert.equal(other.log.at(-1), 'closed');
      assert.equal(other.log.filter((event) => event === 'closed').length, 1);
      ends.close();
    }
  });

  test('close is idempotent and no event follows it, at any stage', async () => {
    const stages = [
      async () => {},
      async (a: End) => void (await a.connection.offer()),
      async (a: End, b: End) => void (await b.connection.answer(await a.connection.offer())),
      async (a: End, b: End) => {
        await negotiate(a, b);
      },
      async (a: End, b: End) => {
        await negotiate(a, b);
        await Promise.all([a.untilOpen(), b.untilOpen()]);
        for (let i = 0; i < 200; i += 1) a.connection.send('data', new Uint8Array(1200));
      },
    ];
    for (const stage of stages) {
      const [a, b] = [new End(engines().offerer), new End(engines().answerer)];
      await stage(a, b);
      a.inside((connection) => connection.close());
      b.inside((connection) => connection.close());
      const [before, after] = [a.log.length, b.log.length];
      a.inside((connection) => connection.close());
      await turns(20);
      assert.equal(a.log.length, before);
      assert.equal(b.log.length, after);
    }
  });

  test('an offer under way when the connection is closed is rejected', async () => {
    const end = new End(engines().offerer);
    const offer = end.connection.offer();
    end.connection.close();
    await assert.rejects(offer, { code: 'connection_closed' });
    await assert.rejects(end.connection.offer(), { code: 'connection_closed' });
  });

  test('a new connection takes the place of a closed one at once, under load, ten times', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { offerer, close } = await connected(engines());
      for (let i = 0; i < 300; i += 1) offerer.connection.send('data', new Uint8Array(1200));
      close();
    }
  });
}

function refusing(engines: () => EnginePair): void {
  test('descriptions that are garbage are refused, and the engine goes on', async () => {
    const { answerer } = engines();
    const source = new End(engines().offerer);
    const offer = await source.connection.offer();
    source.connection.close();
    const lines = offer.split('\r\n');
    const garbage = [
      '',
      '\r\n',
      'v=0\r\n',
      'x'.repeat(1_000_000),
      `${offer}${'a=x:y\r\n'.repeat(100_000)}`,
      '\0'.repeat(100),
      offer.replaceAll('a=', 'b='),
      offer.replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:'),
      offer.replace(/a=ice-pwd:.*/, `a=ice-pwd:${'p'.repeat(5000)}`),
      offer.replace(/fingerprint:sha-256 .*/, 'fingerprint:sha-256 00:11'),
      offer.replace(/fingerprint:sha-256/, 'fingerprint:sha-1'),
      offer.replace(/m=application[^\r]*/, 'm=audio 9 UDP/TLS/RTP/SAVPF 111'),
      `${offer}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n`,
      JSON.stringify({ offer }),
    ];
    for (const sdp of garbage) {
      const end = new End(answerer);
      await assert.rejects(end.connection.answer(sdp), { code: 'bad_sdp' }, JSON.stringify(sdp.slice(0, 80)));
      end.connection.close();
    }
    // Cut after each line: refused or, once all that matters is there, answered; nothing in between.
    for (let count = 0; count < lines.length; count += 1) {
      const end = new End(answerer);
      const cut = `${lines.slice(0, count).join('\r\n')}\r\n`;
      const outcome = await end.connection.answer(cut).catch((error) => error);
      if (typeof outcome !== 'string') assert.equal(outcome.code, 'bad_sdp');
      else assert.match(fingerprintOf(outcome), /^[0-9A-F:]{95}$/);
      end.connection.close();
    }
    const { close } = await connected(engines());
    close();
  });

  test('an answer is refused where it is garbage, to no offer, or our own offer', async () => {
    const end = new End(engines().offerer);
    await assert.rejects(end.connection.accept('v=0'), { code: 'bad_sdp' });
    const offer = await end.connection.offer();
    await assert.rejects(end.connection.accept('garbage'), { code: 'bad_sdp' });
    await assert.rejects(end.connection.answer(offer), { code: 'bad_sdp' });
    const other = new End(engines().answerer);
    await assert.rejects(other.connection.accept(offer), { code: 'bad_sdp' });
    end.connection.close();
    other.connection.close();
  });

  test('descriptions have one fingerprint and no candidates', async () => {
    const { offerer, answerer, close } = await connected(engines());
    close();
    const [a, b] = [new End(engines().offerer), new End(engines().answerer)];
    const offer = await a.connection.offer();
    const answer = await b.connection.answer(offer);
    for (const sdp of [offer, answer]) {
      assert.match(fingerprintOf(sdp), /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
      assert.doesNotMatch(sdp, /candidate/);
    }
    for (const end of [offerer, answerer]) {
      assert.ok(end.candidates.length > 0);
      for (const line of end.candidates) assert.match(line, /^candidate:\S+ 1 udp \d+ [0-9a-f.:]+ \d+ typ /i);
    }
    a.connection.close();
    b.connection.close();
  });
}

/** Sends one message until it is there; `data` may lose it, but not for long. */
async function exchange(from: End, to: End, channel: ChannelName, size: number): Promise<void> {
  const message = new Uint8Array(size).map((_, i) => (size + i) & 255);
  const seen = to.messages[channel].length;
  const arrived = () =>
    to.messages[channel].slice(seen).some((bytes) => Buffer.compare(bytes, message) === 0);
  for (let tries = channel === 'data' ? 5 : 1; tries > 0; tries -= 1) {
    assert.ok(from.connection.send(channel, message), `${channel} takes ${size} bytes`);
    const last = tries === 1;
    const wait = to.until(`${size} bytes on ${channel}`, arrived, last ? 10_000 : 500);
    if (
      await (last
        ? wait.then(() => true)
        : wait.then(
            () => true,
            () => false,
          ))
    )
      return;
  }
}

/** Turns of the event loop in which an engine may still tell something. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
