/** HTTP on a unix socket. */
import { request } from 'node:http';

const requestMilliseconds = 10_000;

/** One GET. */
export async function ask(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  // By a connection of its own: the server may close one that is kept in the moment that it is used again.
  const options = { socketPath, path, timeout: requestMilliseconds, agent: false };
  const call = request(options, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      body += text;
    });
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    response.on('error', reject);
  });
  call.on('timeout', () => call.destroy(new Error(`no answer to GET ${path} in ${requestMilliseconds} ms`)));
  call.on('error', reject);
  call.end();
  return promise;
}
