/** The routes of the control socket: what each of them answers. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import * as z from 'zod/mini';
import {
  type LogLevelNow,
  methodAndPath,
  type Parameters,
  type Pong,
  type Reloaded,
  type Reply,
  type Route,
  type RouteName,
  routes,
  type StreamName,
  type TextName,
} from '../../protocol/api.ts';
import { CryonetError } from '../../protocol/errors.ts';
import { type EventId, eventIdOf, streamType } from '../../protocol/events.ts';
import type { Explanation } from '../../protocol/link-view.ts';
import type { LogLevel } from '../../protocol/log-level.ts';
import type { Netcheck } from '../../protocol/netcheck.ts';
import type { PolicyReport, PolicyVerdict } from '../../protocol/policy.ts';
import { problemOf, problemType } from '../../protocol/problem.ts';
import { check } from '../../protocol/schema.ts';
import type { SignedStatement } from '../../protocol/statement.ts';
import type { StatusReport } from '../../protocol/status.ts';
import type { Inviter } from './inviter.ts';
import type { Figures } from './metrics.ts';
import { openApi } from './openapi.ts';

/** Bytes of the largest request body. */
const maxBody = 65_536;

/** What is found out of peers and networks; nothing changes by it. */
export interface Inquiries {
  /** Throws `unknown_peer`, and `unavailable` where the dataplane cannot be asked. */
  ping(peer: string): Promise<Pong>;
  /** Throws `unknown_peer`, and `unavailable` where too many ask. */
  explain(peer: string): Promise<Explanation>;
  /** `stun`: servers as `host:port`. Throws `bad_config` and `unavailable`. */
  netcheck(stun: readonly string[] | undefined): Promise<Netcheck>;
}

/** What the API asks of its node. */
export interface Answering {
  status(): Promise<StatusReport>;
  readonly inquiries: Inquiries;
  policy(): PolicyReport;
  policyOn(peer: string): PolicyVerdict;
  /** Throws `bad_config`, like `wouldReload`; then nothing has changed. */
  reload(): Reloaded;
  wouldReload(): Reloaded;
  logLevel(): LogLevelNow;
  /** Until the next reload or restart. */
  logFrom(level: LogLevel): Promise<LogLevelNow>;
  readonly statements: {
    list(): Reply<'GET /v1/statements'>;
    /** Throws `denied`, `unavailable` or `bad_message`. */
    hear(signed: SignedStatement): Reply<'POST /v1/statements'>;
  };
  /** Tells what comes from now on, or all after an event, until the connection closes. */
  watch(response: ServerResponse, after: EventId | undefined): void;
  isWatched(socket: Socket): boolean;
  figures(): Promise<Figures>;
  readonly invitations: Pick<Inviter, 'list' | 'invite' | 'revoke'>;
}

type Bindings = { Bindings: HttpBindings };

type Answers = {
  readonly [Name in Exclude<RouteName, StreamName | TextName>]: (
    parameters: Parameters<Name>,
  ) => Reply<Name> | Promise<Reply<Name>>;
};

export function controlRoutes(node: Answering): ReturnType<typeof getRequestListener> {
  return getRequestListener(controlApp(node).fetch);
}

export function controlApp(node: Answering): Hono<Bindings> {
  const app = new Hono<Bindings>();
  const tooLarge = new CryonetError('frame_too_large', `a body of more than ${maxBody} bytes`);
  app.use(bodyLimit({ maxSize: maxBody, onError: (context) => refused(context, tooLarge) }));
  const answers = answersOf(node);
  const methods = new Map<string, string[]>();
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const { method, path } = methodAndPath(name);
    const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1');
    const parametersOf = ({ req }: Context) => ({
      ...(route.parameters && check(route.parameters, req.param())),
      ...(route.headers && check(route.headers, req.header())),
    });
    if (name === 'GET /v1/events') {
      app.on(method, pattern, (context) => stream(context, node, parametersOf(context)));
    } else if (name === 'GET /v1/metrics') {
      app.on(method, pattern, async ({ req, body }) => {
        const { metricsText } = await import('./metrics-text.ts');
        const { type, text } = await metricsText(await node.figures(), req.header('accept'));
        return body(text, 200, { 'Content-Type': type });
      });
    } else {
      const answer = answers[name] as (parameters: unknown) => unknown;
      app.on(method, pattern, async (context) => {
        const body = route.body && check(route.body, await jsonOf(context));
        const reply = await answer({ ...parametersOf(context), ...body });
        return context.json(z.encode(route.reply, reply) as object);
      });
    }
    methods.set(pattern, [...(methods.get(pattern) ?? []), method]);
  }
  for (const [pattern, allowed] of methods) {
    app.all(pattern, (context) => {
      context.header('Allow', allowed.join(', '));
      return refused(context, noRoute(context), 405);
    });
  }
  app.notFound((context) => refused(context, noRoute(context)));
  app.onError((error, context) => refused(context, error));
  return app;
}

function answersOf(node: Answering): Answers {
  return {
    'GET /v1/status': () => node.status(),
    'GET /v1/peers': async () => ({ peers: (await node.status()).peers }),
    'GET /v1/peers/{id}': async ({ id }) => {
      const { peers } = await node.status();
      const peer = peers.find((each) => each.id === id);
      if (peer === undefined) throw new CryonetError('unknown_peer', `no peer is called ${id}`);
      return peer;
    },
    'POST /v1/peers/{id}/explain': ({ id }) => node.inquiries.explain(id),
    'POST /v1/peers/{id}/ping': ({ id }) => node.inquiries.ping(id),
    'GET /v1/policy': () => node.policy(),
    'GET /v1/policy/{id}': ({ id }) => node.policyOn(id),
    'GET /v1/reload': () => node.wouldReload(),
    'POST /v1/reload': () => node.reload(),
    'POST /v1/netcheck': ({ stun }) => node.inquiries.netcheck(stun),
    'GET /v1/log-level': () => node.logLevel(),
    'PUT /v1/log-level/{level}': ({ level }) => node.logFrom(level),
    'GET /v1/invitations': () => ({ invitations: node.invitations.list() }),
    'POST /v1/invitations': (wish) => node.invitations.invite(wish),
    'DELETE /v1/invitations/{name}': ({ name }) => node.invitations.revoke(name),
    'GET /v1/statements': () => node.statements.list(),
    'POST /v1/statements': ({ statement, signature }) =>
      node.statements.hear({ statement: bytesIn(statement), signature: bytesIn(signature) }),
    'GET /v1/openapi.json': () => openApi(),
    'GET /status': () => node.status(),
  };
}

async function jsonOf({ req }: Context): Promise<unknown> {
  try {
    return await req.json();
  } catch (cause) {
    throw cause instanceof SyntaxError
      ? new CryonetError('bad_message', 'the body is no JSON', { cause })
      : cause;
  }
}

function bytesIn(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}

/** The events, as long as the connection is open. */
function stream(
  context: Context<Bindings>,
  node: Answering,
  parameters: Readonly<Record<string, unknown>>,
): Response {
  const after = parameters['last-event-id'];
  if (context.req.method === 'HEAD') return context.body(null, 200, { 'Content-Type': streamType });
  node.watch(
    context.env.outgoing as ServerResponse,
    after === undefined ? undefined : eventIdOf(String(after)),
  );
  return RESPONSE_ALREADY_SENT;
}

function noRoute({ req: { method, path } }: Context): CryonetError {
  return new CryonetError('unknown_method', `no ${method} ${path} here`);
}

/** `status`: of HTTP, where it is not that of the error. */
function refused(context: Context, error: unknown, status?: number): Response {
  const problem = problemOf(error, status);
  context.header('Content-Type', problemType);
  return context.body(JSON.stringify(problem), problem.status as ContentfulStatusCode);
}
