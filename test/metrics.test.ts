/** Metrics: the text, what has series, and who is served it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { type Figures, maxPeers, metrics } from '../control/io/metrics.ts';
import { MetricsServer, type MetricsServerOptions } from '../control/io/metrics-server.ts';
import { metricsText } from '../control/io/metrics-text.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { Warnings } from '../protocol/warnings.ts';
import { readExposition } from './exposition.ts';
import { exampleFigures, figuresOf } from './figures-example.ts';
import { newLogLines } from './log-lines.ts';
import { exampleReport } from './status-example.ts';

const [lima] = exampleReport.peers as [PeerStatus];

async function familiesOf(figures: Figures) {
  return readExposition((await metricsText(figures)).text);
}

suite('the text', () => {
  test('is what Prometheus reads, with a family for each row of the table', async () => {
    const { type, text: written } = await metricsText(exampleFigures);
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    const families = readExposition(written);
    assert.deepEqual(
      [...families.keys()],
      metrics.map(({ name }) => name),
    );
    for (const [name, { series }] of families) assert.ok(series.length > 0, `${name} has no series`);
  });

  test('has seconds, ratios, the path in use and drops by direction', async () => {
    const families = await familiesOf(exampleFigures);
    const of = (name: string, labels: Readonly<Record<string, string>>) =>
      families
        .get(`cryonet_${name}`)!
        .series.find((each) => Object.entries(labels).every(([label, value]) => each.labels[label] === value))
        ?.value;
    assert.equal(of('peer_rtt_seconds', { peer: 'osaka' }), 0.2389);
    assert.equal(of('peer_rtt_seconds', { peer: 'riga' }), undefined);
    assert.equal(of('peer_up', { peer: 'riga' }), 0);
    assert.equal(of('peer_path', { peer: 'lima', path: 'relayed' }), 1);
    assert.equal(of('peers', { state: 'up' }), 2);
    assert.equal(of('peers', { state: 'refused' }), 0);
    assert.equal(of('peer_dropped_packets_total', { direction: 'receive', reason: 'replayed' }), 3);
    assert.equal(of('handshake_failures_total', { reason: 'wrong_token' }), 4);
    assert.equal(of('process_cpu_seconds_total', { process: 'dataplane' }), 2.25);
    assert.equal(of('process_open_fds', { process: 'dataplane' }), undefined);
  });

  test('is OpenMetrics where that is asked for', async () => {
    const { type, text: written } = await metricsText(
      exampleFigures,
      'application/openmetrics-text;version=1.0.0,text/plain;q=0.5',
    );
    assert.match(type, /^application\/openmetrics-text; version=1\.0\.0/);
    assert.match(written, /\n# EOF\n$/);
    assert.match(written, /^# TYPE cryonet_negotiations counter$/m);
    assert.match(written, /^cryonet_negotiations_total\{result="unanswered"\} 7$/m);
  });

  test('has no address in it', async () => {
    const { text: written } = await metricsText(exampleFigures);
    assert.doesNotMatch(written, /\d+\.\d+\.\d+\.\d+|fe80|::/);
  });
});

suite('peers', () => {
  test('that were never linked make no series, however many there are, and are counted', async () => {
    const invented = Array.from({ length: 4096 }, (_, i) => ({
      ...lima,
      id: `n${i}`,
      state: 'idle' as const,
    }));
    const families = await familiesOf(figuresOf([...invented, lima], ['lima']));
    for (const { series } of families.values())
      for (const { labels } of series) assert.ok(['lima', undefined].includes(labels.peer), labels.peer);
    const idle = families.get('cryonet_peers')!.series.find(({ labels }) => labels.state === 'idle');
    assert.equal(idle!.value, 4096);
  });

  test('beyond so many have none, and those that were linked first keep theirs', async () => {
    const peers = Array.from({ length: maxPeers + 500 }, (_, i) => ({ ...lima, id: `n${i}` }));
    const known = peers.map(({ id }) => id);
    const families = await familiesOf(figuresOf(peers.toReversed(), known));
    const shown = families.get('cryonet_peer_up')!.series.map(({ labels }) => labels.peer);
    assert.deepEqual(shown, known.slice(0, maxPeers));
  });

  test('500 of them take less than a mebibyte', async (context) => {
    const dropped = { forged: 1, queue: 2, replayed: 3 };
    const peers = Array.from({ length: 500 }, (_, i) => ({
      ...lima,
      id: `a-node-of-some-name-${i}`,
      cost: 96,
      pathMtu: 1492,
      dropped,
    }));
    const before = process.cpuUsage();
    const { text: written } = await metricsText(
      figuresOf(
        peers,
        peers.map(({ id }) => id),
      ),
    );
    assert.ok(written.length < 2 ** 20, `${written.length}`);
    const { user, system } = process.cpuUsage(before);
    context.diagnostic(`${written.length} bytes, ${Math.round((user + system) / 1000)} ms of a processor`);
  });
});

async function served(context: TestContext, more: Partial<MetricsServerOptions> = {}) {
  let asked = 0;
  const server = new MetricsServer({
    address: { host: '', port: 0 },
    warnings: new Warnings(newLogLines().log),
    limit: 1000,
    figures: async () => {
      asked++;
      return exampleFigures;
    },
    ...more,
  });
  context.after(() => server.close());
  await server.open();
  return { port: server.port!, asked: () => asked };
}

async function ask(port: number, path: string, options: Readonly<Record<string, unknown>> = {}) {
  const asking = request({ host: '127.0.0.1', port, path, agent: false, ...options });
  asking.end();
  const [response] = await once(asking, 'response');
  return { status: response.statusCode as number, body: await text(response) };
}

suite('by TCP', () => {
  test('there are metrics at /metrics, and nothing else, for GET alone', async (context) => {
    const { port } = await served(context);
    const { status, body } = await ask(port, '/metrics?x=1');
    assert.equal(status, 200);
    readExposition(body);
    for (const path of ['/', '/v1/status', '/metrics/', '//metrics'])
      assert.equal((await ask(port, path)).status, 404, path);
    assert.equal((await ask(port, '/metrics', { method: 'POST' })).status, 405);
  });

  test('whoever calls loopback by another name is refused, as a page in a browser would', async (context) => {
    const { port } = await served(context);
    const statusFor = async (host: string) => (await ask(port, '/metrics', { headers: { host } })).status;
    for (const host of ['localhost', 'LOCALHOST:9', '127.0.0.1:9', '[::1]:9'])
      assert.equal(await statusFor(host), 200, host);
    for (const host of ['rebound.example', 'localhost.example:80', '127.0.0.1.example'])
      assert.equal(await statusFor(host), 421, host);
  });

  test('many questions in a second make the metrics once', async (context) => {
    const { port, asked } = await served(context);
    await Promise.all(Array.from({ length: 8 }, () => ask(port, '/metrics')));
    assert.ok(asked() <= 2, `${asked()}`);
  });

  test('who does not read is cut off, and others are served', async (context) => {
    const peers = Array.from({ length: 4000 }, (_, i) => ({ ...lima, id: `n${i}` }));
    // More than the kernel keeps for a reader that does nothing.
    const long = { ...lima, identity: 'x'.repeat(32_000_000) };
    const figures = figuresOf([long, ...peers], ['lima', ...peers.map(({ id }) => id)]);
    const { port } = await served(context, { figures: async () => figures, replyTimeout: 200 });
    const slow = connect(port, '127.0.0.1').on('error', () => {});
    slow.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    slow.pause();
    assert.equal((await ask(port, '/')).status, 404);
    const closed = once(slow, 'close');
    slow.resume();
    await closed;
    assert.ok(slow.bytesRead < 32_000_000, `${slow.bytesRead}`);
  });

  test('a port that is taken is a warning, and the node goes on', async (context) => {
    const { port } = await served(context);
    const warnings = new Warnings(newLogLines().log);
    const second = new MetricsServer({
      ...{ address: { host: '127.0.0.1', port }, warnings, limit: 1000 },
      figures: async () => exampleFigures,
    });
    context.after(() => second.close());
    await second.open();
    assert.match(warnings.list()[0]!.message, /^cannot serve metrics at 127\.0\.0\.1:\d+: .*EADDRINUSE/);
  });
});
