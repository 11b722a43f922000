/**
 * Datagrams of every size, there and back. As a program it runs in a namespace:
 *
 *   node echo.ts serve ADDRESS PORT                    sends back what comes in; says so once it does
 *   node echo.ts ask ADDRESS PORT SMALLEST LARGEST     prints the sizes that did not come back as JSON
 *
 * Sizes are those of the IPv4 packet, bytes. What is lost is asked for again, up to three times, one after the other: the
 * socket of a program that waits for its turn on a busy machine holds few of the long ones.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';

/** IPv4 and UDP. */
const headers = 28;
const echoPort = 7;
/** Datagrams every two milliseconds. */
const burst = 16;
/** Milliseconds: for the last answers to these, for one that was asked for alone, and for all of those. */
const lastAnswer = 1000;
const answer = 100;
const patience = 15_000;
const tries = 3;

/** Sizes, from `smallest` to `largest`, of which none comes back from `address` in `to`. */
export async function missingSizes(
  from: Namespace,
  to: Namespace,
  address: string,
  [smallest, largest]: readonly [number, number],
): Promise<number[]> {
  const program = [process.execPath, import.meta.filename];
  const server = to.start('echo', [...program, 'serve', address, `${echoPort}`]);
  await server.says(/ready/);
  const { stdout } =
    await from.$`${[...program, 'ask', address, `${echoPort}`, `${smallest}`, `${largest}`]}`;
  return JSON.parse(stdout);
}

async function serve(address: string, port: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (message, { address: from, port: fromPort }) => socket.send(message, fromPort, from));
  socket.bind(port, address);
  await once(socket, 'listening');
  console.log('ready');
}

async function ask(address: string, port: number, smallest: number, largest: number): Promise<number[]> {
  const missing = new Set(Array.from({ length: largest - smallest + 1 }, (_, n) => smallest + n));
  const socket = createSocket('udp4');
  socket.on('message', (message) => missing.delete(message.length + headers));
  socket.on('error', () => {});
  const send = (size: number) => socket.send(Buffer.alloc(size - headers, size), port, address);
  const until = async (done: () => boolean, milliseconds: number) => {
    const deadline = performance.now() + milliseconds;
    while (!done() && performance.now() < deadline) await pause(1);
  };
  let count = 0;
  for (const size of [...missing]) {
    send(size);
    if (++count % burst === 0) await pause(2);
  }
  await until(() => missing.size === 0, lastAnswer);
  const end = performance.now() + patience;
  for (let round = 0; round < tries && performance.now() < end; round++) {
    for (const size of [...missing]) {
      if (performance.now() > end) break;
      send(size);
      await until(() => !missing.has(size), answer);
    }
  }
  socket.close();
  return [...missing];
}

if (import.meta.main) {
  const [verb, address, port, smallest, largest] = process.argv.slice(2);
  if (verb === 'serve') await serve(address!, Number(port));
  else console.log(JSON.stringify(await ask(address!, Number(port), Number(smallest), Number(largest))));
}
