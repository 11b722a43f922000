/**
 * The API: HTTP over the control socket, one row for each route. What a request may say, the reply, its type, the OpenAPI
 * document and the list in cryoc(1) follow from the row. Times are RFC 3339 and durations seconds (`units.ts`).
 */
import * as z from 'zod/mini';
import type { ErrorCode } from './errors.ts';
import { eventIdPattern, nodeEvent } from './events.ts';
import { invitationIn, leastTtl, mostServers, mostTtl, mostUses, serverUrl } from './invitation.ts';
import { explanation } from './link-view.ts';
import { logLevels } from './log-level.ts';
import { maxNetcheckServers, netcheck } from './netcheck.ts';
import { policyReport, policyVerdict } from './policy.ts';
import { nodeId } from './schema.ts';
import { statementText } from './statement.ts';
import { peerIn, pongIn, reportIn, statusReport } from './status.ts';
import { v1 } from './units.ts';

export interface Route {
  /** What it is for, as half a sentence. */
  readonly summary: string;
  /** In braces in the path, by name. */
  readonly parameters?: z.ZodMiniObject;
  readonly headers?: z.ZodMiniObject;
  /** Of a JSON object as the body. */
  readonly body?: z.ZodMiniObject;
  readonly reply: z.ZodMiniType;
  /** The reply is a stream of these, which does not end. */
  readonly stream?: true;
  /** The reply is text of this media type, and not JSON. */
  readonly text?: string;
  /** Beside those of every route: `commonProblems`. */
  readonly problems: readonly ErrorCode[];
}

const peer = peerIn(v1);
const invitation = invitationIn(v1.time);

const reloaded = z.object({
  /** Names of options of which another value counts now; of a section of peers `peer.` and its ID or glob. */
  applied: z.array(z.string()),
  /** Names of options of which another value counts after a restart of control. */
  needsRestart: z.array(z.string()),
});

const logLevelNow = z.object({
  level: z.enum(logLevels),
  /** Counts again after the next reload or restart. */
  configured: z.enum(logLevels),
  /** Whether the dataplane has been told the same; missing where nobody asked for it. */
  dataplane: z.optional(z.boolean()),
});

const said = z.object({
  kind: z.enum(['accept', 'revoke', 'forget']),
  /** An ID; of `revoke` also the fingerprint of a key. */
  subject: z.string(),
  /** Of `accept`: that of the key which speaks for the ID. */
  fingerprint: z.optional(z.string()),
  /** By the operator's clock. */
  time: v1.time,
  /** As it stands in the configuration. */
  operator: z.string(),
  /** False where a later statement has taken its place. */
  counts: z.boolean(),
});

/** By method and path. */
export const routes = {
  'GET /v1/status': {
    summary: 'the node, its neighbors, every peer with its path, and what an operator can mend',
    reply: reportIn(v1),
    problems: [],
  },
  'GET /v1/peers': {
    summary: 'every peer alone',
    reply: z.object({ peers: z.array(peer) }),
    problems: [],
  },
  'GET /v1/peers/{id}': {
    summary: 'one peer',
    parameters: z.object({ id: nodeId }),
    reply: peer,
    problems: ['unknown_peer'],
  },
  'POST /v1/peers/{id}/ping': {
    summary:
      'one question to the peer by the path of its link, and how long its answer took; three seconds at most',
    parameters: z.object({ id: nodeId }),
    reply: pongIn(v1),
    problems: ['unknown_peer', 'unavailable'],
  },
  'GET /v1/policy': {
    summary: 'what the configuration says of peers: the lists, and the sections of single ones',
    reply: policyReport,
    problems: [],
  },
  'GET /v1/policy/{id}': {
    summary: 'what it decides about one peer, known or not, and which section or option does',
    parameters: z.object({ id: nodeId }),
    reply: policyVerdict,
    problems: [],
  },
  'POST /v1/peers/{id}/explain': {
    summary: 'what both ends see of the link with a peer, which is asked for it; three seconds at most',
    parameters: z.object({ id: nodeId }),
    reply: explanation,
    problems: ['unknown_peer', 'unavailable'],
  },
  'GET /v1/reload': {
    summary: 'what a reload of the configuration would change; nothing changes',
    reply: reloaded,
    problems: ['bad_config'],
  },
  'POST /v1/reload': {
    summary: 'read the configuration and the known identities again, as SIGHUP does',
    reply: reloaded,
    problems: ['bad_config'],
  },
  'POST /v1/netcheck': {
    summary:
      'how networks here treat UDP, by the STUN servers of the configuration or by those named in the body; twelve seconds at most',
    body: z.object({
      /** As `host:port`. */
      stun: z.optional(z.array(z.string().check(z.maxLength(300))).check(z.maxLength(maxNetcheckServers))),
    }),
    reply: netcheck,
    problems: ['bad_config', 'unavailable'],
  },
  'GET /v1/log-level': {
    summary: 'the least level that control logs, and that of its configuration',
    reply: logLevelNow,
    problems: [],
  },
  'PUT /v1/log-level/{level}': {
    summary: 'log from this level on, control and dataplane, until the next reload or restart',
    parameters: z.object({ level: z.enum(logLevels) }),
    reply: logLevelNow,
    problems: [],
  },
  'GET /v1/invitations': {
    summary: 'the invitations of this node, those that ended within a day included',
    reply: z.object({ invitations: z.array(invitation) }),
    problems: [],
  },
  'POST /v1/invitations': {
    summary: 'invite a machine: the body has a token of the mesh, which shows that the asker may',
    body: z.object({
      token: z.string(),
      /** Where invitees reach this node; by default the address of its bootstrap WebSocket, where that says it. */
      servers: z.optional(z.array(serverUrl).check(z.minLength(1), z.maxLength(mostServers))),
      ttl: v1.duration.check(z.minimum(leastTtl), z.maximum(mostTtl)),
      uses: z.int().check(z.minimum(1), z.maximum(mostUses)),
      /** The only ID that is invited. */
      id: z.optional(nodeId),
    }),
    reply: z.extend(invitation, { text: z.string() }),
    problems: ['wrong_token', 'bad_config', 'unavailable'],
  },
  'DELETE /v1/invitations/{name}': {
    summary: 'revoke an invitation',
    parameters: z.object({ name: z.string().check(z.regex(/^[0-9a-f]{8}$/)) }),
    reply: invitation,
    problems: ['unknown_invitation', 'bad_config', 'unavailable'],
  },
  'GET /v1/statements': {
    summary: 'the operator keys of the node, and what they have said of nodes and keys in the whole mesh',
    reply: z.object({ operators: z.array(z.string()), statements: z.array(said) }),
    problems: [],
  },
  'POST /v1/statements': {
    summary:
      'take in what an operator has signed, as cryoc accept, revoke and forget do, and pass it on to all nodes',
    body: statementText,
    reply: said,
    problems: ['denied', 'unavailable'],
  },
  'GET /v1/events': {
    summary: 'what happens from now on, or after the event with that ID, as server-sent events',
    headers: z.object({ 'last-event-id': z.optional(z.string().check(z.regex(eventIdPattern))) }),
    reply: nodeEvent,
    stream: true,
    problems: [],
  },
  'GET /v1/metrics': {
    summary:
      'what there is to watch over time, in the format of Prometheus, or as OpenMetrics where that is asked for',
    headers: z.object({ accept: z.optional(z.string()) }),
    reply: z.string(),
    text: 'text/plain; version=0.0.4; charset=utf-8',
    problems: [],
  },
  'GET /v1/openapi.json': {
    summary: 'these routes as an OpenAPI document',
    reply: z.looseObject({ openapi: z.string() }),
    problems: [],
  },
  'GET /status': {
    summary: 'the status with times and durations in milliseconds, as before there was /v1',
    reply: statusReport,
    problems: [],
  },
} as const satisfies Readonly<Record<string, Route>>;

/** Problems of every route. */
export const commonProblems: readonly ErrorCode[] = [
  'bad_message',
  'frame_too_large',
  'no_token',
  'internal',
];

export type RouteName = keyof typeof routes;
export type StreamName = 'GET /v1/events';
export type TextName = 'GET /v1/metrics';

/** What the braces in a path stand for, or what the body has. */
export type Parameters<Name extends RouteName> = (typeof routes)[Name] extends
  | { readonly parameters: infer P extends z.ZodMiniType }
  | { readonly body: infer P extends z.ZodMiniType }
  ? z.infer<P>
  : Readonly<Record<string, never>>;

/** The reply inside this program, with times and durations in milliseconds. */
export type Reply<Name extends RouteName> = z.infer<(typeof routes)[Name]['reply']>;

export type Pong = Reply<'POST /v1/peers/{id}/ping'>;
export type LogLevelNow = Reply<'GET /v1/log-level'>;
export type Reloaded = Reply<'POST /v1/reload'>;

/** `parameters`: what the braces stand for; without them they stay. */
export function methodAndPath(
  name: RouteName,
  parameters: Readonly<Record<string, unknown>> = {},
): { readonly method: string; readonly path: string } {
  const [method, path] = name.split(' ') as [string, string];
  const given = (brace: string, parameter: string) =>
    Object.hasOwn(parameters, parameter) ? encodeURIComponent(String(parameters[parameter])) : brace;
  return { method, path: path.replaceAll(/\{(\w+)\}/g, given) };
}
