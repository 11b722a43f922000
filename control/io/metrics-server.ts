/** `--metrics-listen`: the metrics over TCP, and nothing else. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { reasonOf, systemError } from '../../protocol/errors.ts';
import { keepRoom } from '../../protocol/listen.ts';
import { Retry } from '../../protocol/retry.ts';
import type { Warnings } from '../../protocol/warnings.ts';
import { formatHostPort, type HostPort, isLoopback } from '../config/address.ts';
import { createServer } from './http.ts';
import type { Figures } from './metrics.ts';

/** Milliseconds for a client to send its whole request, and to take the whole answer. */
const requestTimeout = 10_000;
const usualReplyTimeout = 10_000;
const maxConnections = 16;
/** Milliseconds for which everybody gets the same answer, so that many questions cost no more than few. */
const freshFor = 1000;

export interface MetricsServerOptions {
  /** Where to listen; a host that is empty stands for loopback. */
  readonly address: HostPort;
  readonly warnings: Warnings;
  /** Milliseconds of the longest pause between two tries to listen. */
  readonly limit: number;
  readonly figures: () => Promise<Figures>;
  /** Milliseconds for a client to take the whole answer. */
  readonly replyTimeout?: number;
}

export class MetricsServer {
  readonly #options: MetricsServerOptions;
  readonly #retry: Retry;
  readonly #kept = new Map<string, { readonly at: number; readonly answer: Promise<Answer> }>();
  #server: Server | undefined;
  #closed = false;

  constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#retry = new Retry({
      attempt: () => this.#listen(),
      failed: (cause) =>
        options.warnings.set(
          'metrics-listen',
          `${reasonOf(cause)}; tried again, no metrics there until then`,
        ),
      passes: () => true,
      limit: options.limit,
    });
  }

  /** What fails is a warning, and it is tried again. */
  async open(): Promise<void> {
    await this.#retry.start();
  }

  /** The port as bound; undefined while it is not. */
  get port(): number | undefined {
    const address = this.#server?.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    this.#retry.close();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  async #listen(): Promise<void> {
    const { address, warnings } = this.#options;
    const host = address.host === '' ? '127.0.0.1' : address.host;
    const server = createServer(
      { requestTimeout, headersTimeout: requestTimeout, maxHeaderSize: 8192 },
      (request, response) => void this.#reply(request, response, host),
    );
    keepRoom(server, maxConnections);
    server.maxRequestsPerSocket = 1;
    server.on('clientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(
          systemError(
            `cannot serve metrics at ${formatHostPort({ ...address, host })}: ${cause.message}`,
            cause,
          ),
        ),
      );
      server.listen(address.port, host, resolve);
    });
    server.on('error', () => {});
    this.#server = server;
    if (this.#closed) this.close();
    warnings.clear('metrics-listen');
  }

  async #reply(request: IncomingMessage, response: ServerResponse, host: string): Promise<void> {
    const { method, headers } = request;
    const [path] = (request.url ?? '').split('?', 1);
    const late = setTimeout(() => response.destroy(), this.#options.replyTimeout ?? usualReplyTimeout);
    response.on('close', () => clearTimeout(late));
    if (isLoopback(host) && !isOurs(headers.host))
      return refuse(response, 421, 'not the name of this machine');
    if (path !== '/metrics') return refuse(response, 404, 'the metrics are at /metrics');
    if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'only GET');
    try {
      const { type, text } = await this.#answer(headers.accept);
      response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
      response.end(method === 'HEAD' ? undefined : text);
    } catch (error) {
      refuse(response, 500, reasonOf(error));
    }
  }

  #answer(accept = ''): Promise<Answer> {
    const now = performance.now();
    // Two kinds at most, whatever somebody asks for.
    const kind = accept.includes('application/openmetrics-text') ? 'application/openmetrics-text' : '';
    const kept = this.#kept.get(kind);
    if (kept !== undefined && now - kept.at < freshFor) return kept.answer;
    const answer = this.#make(kind);
    this.#kept.set(kind, { at: now, answer });
    setTimeout(() => {
      if (this.#kept.get(kind)?.answer === answer) this.#kept.delete(kind);
    }, freshFor).unref();
    return answer;
  }

  async #make(kind: string): Promise<Answer> {
    const [{ metricsText }, figures] = await Promise.all([
      import('./metrics-text.ts'),
      this.#options.figures(),
    ]);
    return metricsText(figures, kind);
  }
}

type Answer = Awaited<ReturnType<typeof import('./metrics-text.ts')['metricsText']>>;

/** Whether a `Host` names loopback by an address or as such. A page of somebody's, in a browser on this machine, may have
 *  its own name resolved to loopback (DNS rebinding), and would read who our peers are. */
function isOurs(host = ''): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name.toLowerCase() === 'localhost' || isIP(name) !== 0;
}

function refuse(response: ServerResponse, status: number, words: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
  response.end(`${words}\n`);
}
