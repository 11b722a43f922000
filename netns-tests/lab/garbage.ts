/**
 * An unpleasant client of a bootstrap port. As a program it runs in a namespace:
 *
 *   node garbage.ts HOST PORT     prints what became of each attempt as JSON
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import WebSocket from 'ws';

/** More than a server gives a connection to prove itself. */
const patienceMilliseconds = 45_000;
const megabyte = 1 << 20;

/** What the server did: answered with an HTTP status, closed, or let it stay. */
export type Fate = `status ${number}` | 'closed' | 'open';

/** Sends bytes over TCP and waits for the other side to close, or to answer as HTTP. */
async function raw(host: string, port: number, bytes: Uint8Array | string): Promise<Fate> {
  const socket = connect(port, host);
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString('latin1');
  });
  socket.on('error', () => {});
  const closing = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  socket.write(bytes);
  await Promise.race([closing, patience()]);
  const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
  const closed = socket.closed;
  socket.destroy();
  if (status) return `status ${Number(status)}`;
  return closed ? 'closed' : 'open';
}

/** Opens a WebSocket with these subprotocols, sends the messages and waits for the other side to close. */
async function websocket(
  url: string,
  subprotocols: string[],
  messages: readonly (Uint8Array | string)[],
): Promise<Fate> {
  const socket = new WebSocket(url, subprotocols);
  const closed = new Promise<Fate>((resolve) => {
    socket.on('unexpected-response', (_request, response) => resolve(`status ${response.statusCode ?? 0}`));
    socket.on('error', () => resolve('closed'));
    socket.on('close', () => resolve('closed'));
  });
  socket.on('open', () => {
    for (const message of messages) socket.send(message);
  });
  const fate = await Promise.race([closed, patience()]);
  socket.terminate();
  return fate;
}

async function patience(): Promise<Fate> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('open'), patienceMilliseconds).unref();
  });
}

if (import.meta.main) {
  const [host, port] = [process.argv[2]!, Number(process.argv[3])];
  const url = `ws://${host}:${port}`;
  const fates = {
    noise: raw(host, port, randomBytes(megabyte)),
    page: raw(host, port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    endlessHeader: raw(host, port, `GET / HTTP/1.1\r\nX: ${'x'.repeat(megabyte)}`),
    noSubprotocol: websocket(url, [], []),
    otherSubprotocol: websocket(url, ['cryonet.1'], []),
    text: websocket(url, ['cryonet.2'], ['hello']),
    bytes: websocket(url, ['cryonet.2'], [randomBytes(1000)]),
    empty: websocket(url, ['cryonet.2'], ['']),
    oversize: websocket(url, ['cryonet.2'], [Buffer.alloc(32 * megabyte)]),
    silent: websocket(url, ['cryonet.2'], []),
  };
  const entries = Object.entries(fates).map(async ([name, fate]) => [name, await fate]);
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(entries))));
  process.exit(0);
}
