/** The API by itself: what each route answers, and that no request is a defect. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import * as z from 'zod/mini';
import { type Answering, controlApp } from '../control/io/control-routes.ts';
import { openControlSocket, refusing } from '../control/io/control-socket.ts';
import { openApi } from '../control/io/openapi.ts';
import { methodAndPath, type Route, type RouteName, routes } from '../protocol/api.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { InvitationStatus } from '../protocol/invitation.ts';
import { ConfigError, problem, problemType } from '../protocol/problem.ts';
import { calls } from './calls.ts';
import { readExposition } from './exposition.ts';
import { exampleFigures } from './figures-example.ts';
import { linkViewExample } from './messages.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport } from './status-example.ts';

const invited: InvitationStatus = {
  ...{ name: '0123abcd', id: null, expires: 1_795_982_400_000, uses: 1, used: 0, state: 'open' },
};

const listed = {
  ...({ kind: 'revoke', subject: 'rome', time: 1_764_446_400_000, counts: true } as const),
  operator: 'ed25519:7OslUwsDVPAIhFXs5q5fGQEP5321HLaAcLwxtdDd--I',
};

const node: Answering = {
  status: async () => exampleReport,
  inquiries: {
    explain: async (peer) => {
      if (!exampleReport.peers.some(({ id }) => id === peer))
        throw new CryonetError('unknown_peer', `no peer is called ${peer}`);
      return { peer, ours: linkViewExample, theirs: null };
    },
    ping: async (peer) => {
      const known = exampleReport.peers.find(({ id }) => id === peer);
      if (known === undefined) throw new CryonetError('unknown_peer', `no peer is called ${peer}`);
      const { rtt, path, relayed, pair } = known;
      return { peer, rtt, path, relayed, pair, reason: rtt === null ? 'the peer does not answer' : '' };
    },
    netcheck: async () => calls.netcheck.result,
  },
  policy: () => ({ allow: [], deny: ['x*'], sections: [{ peer: 'e*', settings: { path: 'relay' } }] }),
  policyOn: (peer) => ({
    ...{ peer, permitted: false, option: 'deny', glob: 'x*', settings: {}, sections: {} },
    ...{ state: null, reason: '' },
  }),
  reload: () => ({ applied: ['deny'], needsRestart: ['listen'] }),
  wouldReload: () => ({ applied: [], needsRestart: [] }),
  logLevel: () => ({ level: 'warn', configured: 'info' }),
  logFrom: async (level) => ({ level, configured: 'info', dataplane: true }),
  statements: {
    list: () => ({ operators: [listed.operator], statements: [listed] }),
    hear: ({ statement }) => {
      if (statement.length < 9) throw new CryonetError('denied', 'this node has no such operator');
      return listed;
    },
  },
  watch: (response) => void response.end(),
  isWatched: () => false,
  figures: async () => exampleFigures,
  invitations: {
    list: () => [invited],
    invite: ({ id, uses, ttl }) => ({
      ...{ ...invited, id: id ?? null, uses, expires: invited.expires + ttl },
      text: 'cryonet-join:v1:x',
    }),
    revoke: (name) => {
      if (name !== invited.name) throw new CryonetError('unknown_invitation');
      return { ...invited, state: 'revoked' };
    },
  },
};

/** JSON that a test looks into. */
// biome-ignore lint/suspicious/noExplicitAny: what is there is what the test says.
type Body = any;

async function ask(method: string, path: string, answering = node, json?: string) {
  const response = await controlApp(answering).request(path, { method, ...(json && { body: json }) });
  const { status, headers } = response;
  return {
    status,
    type: headers.get('content-type'),
    allow: headers.get('allow'),
    body: (await response.json()) as Body,
  };
}

suite('replies', () => {
  test('times are RFC 3339 and durations seconds, of the status and of one peer', async () => {
    const { body, status } = await ask('GET', '/v1/status');
    assert.equal(status, 200);
    const { body: osaka } = await ask('GET', '/v1/peers/osaka');
    assert.deepEqual(
      [osaka.rtt, osaka.minRtt, osaka.loss, osaka.since, osaka.downSince],
      [0.2389, 0.231, 0, '2026-11-29T17:56:30.000Z', null],
    );
    assert.deepEqual(osaka, body.peers[1]);
    assert.deepEqual((await ask('GET', '/v1/peers')).body, { peers: body.peers });
    assert.equal(body.peers[2].downSince, '2026-11-29T19:58:56.000Z');
  });

  test('what is written reads as what it was written from, but for times that are finer than a microsecond', async () => {
    const { body } = await ask('GET', '/v1/status');
    assert.deepEqual(z.parse(routes['GET /v1/status'].reply, body), exampleReport);
    const fine = { ...exampleReport.peers[0]!, rtt: 0.123_456_7, since: 0 };
    const { body: one } = await ask('GET', '/v1/peers/lima', {
      ...node,
      status: async () => ({ ...exampleReport, peers: [fine] }),
    });
    assert.deepEqual([one.rtt, one.since], [0.000_123, null]);
  });

  test('the status outside of /v1 is in milliseconds', async () => {
    assert.deepEqual((await ask('GET', '/status')).body, exampleReport);
  });

  test('metrics are text', async () => {
    const response = await controlApp(node).request('/v1/metrics');
    assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
    readExposition(await response.text());
  });

  test('a reload says what was applied, and asking for one changes nothing', async () => {
    assert.deepEqual((await ask('POST', '/v1/reload')).body, { applied: ['deny'], needsRestart: ['listen'] });
    assert.deepEqual((await ask('GET', '/v1/reload')).body, { applied: [], needsRestart: [] });
  });
});

suite('invitations', () => {
  test('one is made by a body, durations in seconds, and revoked by its name', async () => {
    const wish = { token: 't', servers: ['wss://berlin.example.net'], ttl: 3600, uses: 2, id: 'osaka' };
    const { body, status } = await ask('POST', '/v1/invitations', node, JSON.stringify(wish));
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(
      [body.expires, body.uses, body.id, body.text],
      ['2026-11-29T21:00:00.000Z', 2, 'osaka', 'cryonet-join:v1:x'],
    );
    const { invitations } = (await ask('GET', '/v1/invitations')).body;
    assert.deepEqual(invitations, [{ ...invited, expires: '2026-11-29T20:00:00.000Z' }]);
    assert.equal((await ask('DELETE', '/v1/invitations/0123abcd')).body.state, 'revoked');
    assert.equal((await ask('DELETE', '/v1/invitations/00000000')).status, 404);
  });

  const good = { token: 't', ttl: 60, uses: 1 };
  const bodies: readonly (readonly [what: string, body: string])[] = [
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no token', JSON.stringify({ ...good, token: undefined })],
    ['less than a minute', JSON.stringify({ ...good, ttl: 59 })],
    ['more than a month', JSON.stringify({ ...good, ttl: 30 * 86_400 + 1 })],
    ['for nobody', JSON.stringify({ ...good, uses: 0 })],
    ['no server', JSON.stringify({ ...good, servers: [] })],
    ['a server that is none', JSON.stringify({ ...good, servers: ['http://x'] })],
    ['a server that would end a list', JSON.stringify({ ...good, servers: ['ws://x/"]'] })],
    ['an ID that is none', JSON.stringify({ ...good, id: 'a b' })],
  ];
  for (const [what, body] of bodies) {
    test(`none is made of a body that is or has ${what}`, async () => {
      const answer = await ask('POST', '/v1/invitations', node, body);
      assert.deepEqual([answer.status, answer.body.code], [400, 'bad_message']);
    });
  }
});

suite('statements', () => {
  const signature = 'A'.repeat(86);

  test('one that is taken in is told with its time in RFC 3339, as the list has it', async () => {
    const body = JSON.stringify({ statement: 'A'.repeat(40), signature });
    const answer = await ask('POST', '/v1/statements', node, body);
    assert.deepEqual([answer.status, answer.body.time], [200, '2025-11-29T20:00:00.000Z']);
    const { statements } = (await ask('GET', '/v1/statements')).body;
    assert.deepEqual(statements, [answer.body]);
  });

  test('one of nobody whom the node heeds is forbidden', async () => {
    const answer = await ask(
      'POST',
      '/v1/statements',
      node,
      JSON.stringify({ statement: 'AAAA', signature }),
    );
    assert.deepEqual([answer.status, answer.body.code, answer.body.title], [403, 'denied', 'Forbidden']);
  });

  for (const body of [
    '{',
    '[]',
    '{}',
    JSON.stringify({ statement: 'A', signature: 'A' }),
    JSON.stringify({ statement: 'A'.repeat(685), signature }),
  ])
    test(`none is ${body.slice(0, 30)}`, async () => {
      const answer = await ask('POST', '/v1/statements', node, body);
      assert.deepEqual([answer.status, answer.body.code], [400, 'bad_message']);
    });
});

suite('problems', () => {
  const mistaken = new ConfigError('b.toml:2:1: no option "alow"', 'b.toml', [
    { line: 2, column: 1, reason: 'no option "alow"' },
  ]);
  const waiting = refusing(new CryonetError('no_token', 'the node is waiting'));
  const broken = refusing(new TypeError('undefined is not a function') as CryonetError);
  const cases: readonly [method: string, path: string, answering: Answering, status: number, code: string][] =
    [
      ['GET', '/v1/peers/oslo', node, 404, 'unknown_peer'],
      ['GET', '/v1/peers/a%20b', node, 400, 'bad_message'],
      ['GET', '/v1/peers/%ff', node, 400, 'bad_message'],
      ['GET', '/v1/nothing', node, 404, 'unknown_method'],
      ['DELETE', '/v1/peers/osaka', node, 405, 'unknown_method'],
      ['PUT', '/v1/log-level/all', node, 400, 'bad_message'],
      ['POST', '/v1/reload', { ...node, reload: () => fail(mistaken) }, 422, 'bad_config'],
      ['GET', '/v1/status', waiting, 503, 'no_token'],
      ['GET', '/v1/status', broken, 500, 'internal'],
    ];
  for (const [method, path, answering, status, code] of cases) {
    test(`${method} ${path} is ${status} ${code}`, async () => {
      const answer = await ask(method, path, answering);
      assert.equal(answer.type, problemType);
      const { data } = problem.safeParse(answer.body);
      assert.deepEqual([answer.status, data?.status, data?.code], [status, status, code]);
      assert.equal(answer.allow, status === 405 ? 'GET' : null);
    });
  }

  test('a bad configuration has its mistakes by line and column', async () => {
    const { body } = await ask('POST', '/v1/reload', { ...node, reload: () => fail(mistaken) });
    assert.deepEqual(
      [body.file, body.mistakes, body.title],
      ['b.toml', [{ line: 2, column: 1, reason: 'no option "alow"' }], 'Unprocessable Content'],
    );
  });
});

suite('the OpenAPI document', () => {
  const document = openApi() as unknown as {
    paths: Record<string, Record<string, { responses: Record<string, unknown>; parameters?: unknown[] }>>;
  };

  test('has each route with its parameters and problems', async () => {
    assert.deepEqual((await ask('GET', '/v1/openapi.json')).body, JSON.parse(JSON.stringify(document)));
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(operations.toSorted(), Object.keys(routes).toSorted());
    const { parameters, responses } = document.paths['/v1/peers/{id}']!.get!;
    assert.deepEqual(Object.keys(responses), ['200', '400', '404', '413', '500', '503']);
    assert.deepEqual(parameters, [
      {
        ...{ name: 'id', in: 'path', required: true },
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
      },
    ]);
  });

  test('says of times that they are RFC 3339', () => {
    const text = JSON.stringify(document);
    assert.match(text, /"downSince":.{0,80}"format":"date-time"/);
    assert.match(text, /"rtt":.{0,80}"Seconds"/);
  });

  test('whatever is asked of these routes gets an answer that stands there, and none is a defect', async (context) => {
    const socketPath = join(temporaryFolder(context), 'control.sock');
    const server = await openControlSocket(socketPath, node);
    context.after(() => server.close());
    const known = fc.constantFrom(...exampleReport.peers.map(({ id }) => id));
    const odd = fc.oneof(
      known,
      fc.stringMatching(/^[\w-]{1,64}$/),
      fc.string(),
      fc.string({ unit: 'binary' }),
    );
    const requests = fc.record({
      name: fc.constantFrom(...(Object.keys(routes) as RouteName[])),
      method: fc.option(fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')),
      parameter: odd,
      query: fc.oneof(fc.constant(''), fc.webQueryParameters()),
      body: fc.option(fc.oneof(fc.string(), fc.json())),
      headers: fc.record({
        'content-type': fc.constantFrom('application/json', 'text/plain', 'x'),
        'last-event-id': fc.oneof(fc.constant('0-0'), fc.stringMatching(/^\d{1,20}-?\d{0,20}$/)),
      }),
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ name, parameter, query, body, headers, ...asked }) => {
        const route: Route = routes[name];
        const { method: own, path } = methodAndPath(name);
        const method = asked.method ?? own;
        const given = path.replace(/\{\w+\}/, () => encodeURIComponent(parameter.toWellFormed()) || 'x');
        const options = { socketPath, method, path: encodeURI(`${given}?${query}`), headers, agent: false };
        const { status, text: reply } = await exchange(options, body ?? '');
        assert.notEqual(status, 500, reply);
        if (method !== own) return;
        const answers = document.paths[path]![own.toLowerCase()]!.responses;
        assert.ok(Object.hasOwn(answers, status), `${status} for ${method} ${given}`);
        if (status !== 200) problem.parse(JSON.parse(reply));
        else if (!route.stream) route.reply.parse(route.text === undefined ? JSON.parse(reply) : reply);
      }),
      { numRuns: 300 },
    );
  });
});

async function exchange(options: RequestOptions, body: string): Promise<{ status: number; text: string }> {
  const asked = request(options);
  asked.setHeader('Content-Length', Buffer.byteLength(body));
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode!, text: await text(response) };
}

function fail(error: Error): never {
  throw error;
}
