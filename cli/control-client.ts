/** One request to the control socket. */
import { request } from 'node:http';
import { CryonetError } from '../protocol/errors.ts';
import { check } from '../protocol/schema.ts';
import { type StatusReport, statusReport } from '../protocol/status.ts';

/** Milliseconds, and bytes of the largest reply. */
const replyTimeout = 10_000;
const maxReply = 67_108_864;

/** Throws `no_control`, or `bad_message` where the reply is none of ours. */
export async function getJson(socketPath: string, path: '/status'): Promise<StatusReport> {
  const { status, body } = await get(socketPath, path);
  let reply: unknown;
  try {
    reply = JSON.parse(body);
  } catch (cause) {
    throw new CryonetError('bad_message', `${socketPath} does not speak JSON`, { cause });
  }
  if (status !== 200) {
    const message = (reply as { error?: { message?: unknown } } | null)?.error?.message;
    throw new CryonetError('internal', typeof message === 'string' ? message : `status ${status}`);
  }
  return check(statusReport, reply);
}

function get(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, host: 'cryonet', timeout: replyTimeout }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxReply) asked.destroy(new Error('the reply is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    });
    asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.on('error', (cause: NodeJS.ErrnoException) =>
      reject(new CryonetError('no_control', explain(socketPath, cause), { cause })),
    );
    asked.end();
  });
}

function explain(socketPath: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return `no cryonet runs here (${socketPath}); another one: --runtime-dir`;
  if (code === 'EACCES' || code === 'EPERM') return `no permission to use ${socketPath}`;
  return `${socketPath}: ${message}`;
}
