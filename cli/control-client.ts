/** Makes one request to the control socket, and explains why it got no answer. */
import { readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { dirname } from 'node:path';
import * as z from 'zod/mini';
import {
  methodAndPath,
  type Parameters,
  type Reply,
  type Route,
  type RouteName,
  routes,
} from '../protocol/api.ts';
import { CryonetError } from '../protocol/errors.ts';
import { errorOf, problem } from '../protocol/problem.ts';
import { check } from '../protocol/schema.ts';

/** Milliseconds for the whole reply, and bytes of the largest one. */
export const replyTimeout = 2000;
const maxReply = 67_108_864;

/** Throws `no_control` if nothing runs there, this user may not ask, or no reply comes within `timeout` milliseconds;
 *  `version_mismatch` if the node has no such route; `bad_message` if the reply does not have the schema; what the node
 *  says is wrong. */
export async function call<Name extends RouteName>(
  socketPath: string,
  route: Name,
  timeout = replyTimeout,
  parameters?: Parameters<Name>,
): Promise<Reply<Name>> {
  const asked: Route = routes[route];
  const { status, body } = await send(
    socketPath,
    methodAndPath(route, { ...(parameters as object) }),
    timeout,
    asked.body && JSON.stringify(z.encode(asked.body, { ...(parameters as object) })),
  );
  if (status !== 200) throw wrongStatus(socketPath, status, body);
  const { reply, ...rest } = routes[route];
  return check(reply, 'text' in rest ? body : parsed(socketPath, body)) as Reply<Name>;
}

/** What a reply with another status than 200 says. */
export function wrongStatus(socketPath: string, status: number, body: string): CryonetError {
  const told = problem.safeParse(parsed(socketPath, body));
  if (told.success && told.data.code !== 'unknown_method') return errorOf(told.data);
  if (status !== 404) return new CryonetError('bad_message', `${socketPath} answers with status ${status}`);
  const words = `the cryonet at ${socketPath} is of another version than this cryoc: start it again`;
  return new CryonetError('version_mismatch', words);
}

function parsed(socketPath: string, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new CryonetError('bad_message', `${socketPath} does not speak JSON`, { cause });
  }
}

/** The whole body; the connection is destroyed where it is too long. */
export async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxReply) throw new Error('the reply is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Whether the error says that nobody serves the socket, and not that somebody does who cannot be asked. */
export function isNobody(error: unknown): boolean {
  const { code } = (error instanceof CryonetError ? error.cause : undefined) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

/** Whether asking again later may help: a node that is not there, waits for its token or hangs may come. */
export function mayAnswerLater(error: unknown): boolean {
  if (!(error instanceof CryonetError) || !['no_control', 'no_token'].includes(error.code)) return false;
  return !isDenial((error.cause as NodeJS.ErrnoException | undefined)?.code);
}

function isDenial(code: string | undefined): boolean {
  return code === 'EACCES' || code === 'EPERM';
}

function send(
  socketPath: string,
  asking: ReturnType<typeof methodAndPath>,
  timeout: number,
  json: string | undefined,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, ...asking, host: 'cryonet' }, (response) => {
      textOf(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body }),
        (cause: Error) => asked.destroy(cause),
      );
    });
    // One deadline for the whole reply: a server that sends a byte now and then does not answer either.
    const timer = setTimeout(() => asked.destroy(new Hanging()), timeout);
    asked.on('close', () => clearTimeout(timer));
    asked.on('error', (cause) => reject(unanswered(socketPath, cause, timeout)));
    if (json !== undefined) asked.setHeader('Content-Type', 'application/json');
    asked.end(json);
  });
}

/** No whole answer within the time. */
export class Hanging extends Error {}

/** `timeout`: milliseconds that were waited. */
export function unanswered(socketPath: string, cause: Error, timeout: number): CryonetError {
  return new CryonetError('no_control', explain(socketPath, cause, timeout), { cause });
}

function explain(socketPath: string, cause: NodeJS.ErrnoException, timeout: number): string {
  if (cause instanceof Hanging) {
    return `cryonet has not answered at ${socketPath} for ${timeout / 1000} s: it hangs, or the machine is overloaded; if that stays so, start it again (systemctl restart cryonet)`;
  }
  if (isDenial(cause.code)) return `no permission to ask the cryonet at ${socketPath}: ${whoMay(socketPath)}`;
  switch (cause.code) {
    case 'ENOENT':
      return `no cryonet runs here: there is no ${socketPath}; another one: --runtime-dir`;
    case 'ECONNREFUSED':
      return `no cryonet runs here: the one that made ${socketPath} has ended; another one: --runtime-dir`;
    default:
      return `${socketPath}: ${cause.message}`;
  }
}

/** Who may use the socket, by the owner and group of the socket or of the nearest folder above that can be looked at. */
function whoMay(path: string): string {
  try {
    const { uid, gid, mode } = statSync(path);
    if ((mode & 0o070) === 0) return `it is for the user ${nameOf(uid, '/etc/passwd')} alone`;
    const group = nameOf(gid, '/etc/group');
    return `it is for root and for members of the group ${group} (sudo usermod -aG ${group} $USER, and log in again)`;
  } catch {
    return path === dirname(path) ? 'it is for somebody else' : whoMay(dirname(path));
  }
}

/** The name of a user or group, or its number. In passwd(5) and group(5) the first field is the name, the third the
 *  number. */
function nameOf(id: number, file: '/etc/passwd' | '/etc/group'): string {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === `${id}`)?.[0] ?? `${id}`;
  } catch {
    return `${id}`;
  }
}
