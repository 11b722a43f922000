/** HTTP on a unix socket. */
import { request } from 'node:http';

const requestMilliseconds = 2_000;

/** One GET. */
export async function ask(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const call = request({ socketPath, path, timeout: requestMilliseconds }, (response) => {
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
