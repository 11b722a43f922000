/** The bare baseline: two `bare-peer.ts` processes, introduced to each other here. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Namespace } from '../netns-tests/lab/namespace.ts';
import type { BareOptions, BareResult } from './bare-peer.ts';

/** The library's defaults, and the settings of this project's engine. */
const tunings = [{}, { sendBufferSize: 524_288, recvBufferSize: 1_048_576 }];
const connectMilliseconds = 10_000;

/** What the second host receives in a second, in 10⁶ bits of messages, with whichever tuning does best. */
export async function bareMegabits(
  [sender, receiver]: readonly [Namespace, Namespace],
  seconds: number,
  mtu?: number,
): Promise<number> {
  let best = 0;
  for (const sctp of tunings) {
    const options = { milliseconds: seconds * 1000, sctp, ...(mtu === undefined ? {} : { mtu }) };
    const ends = [
      start(sender, { ...options, role: 'send' }),
      start(receiver, { ...options, role: 'receive' }),
    ] as const;
    try {
      best = Math.max(best, await received(ends, 2 * options.milliseconds + connectMilliseconds));
    } finally {
      for (const end of ends) end.kill('SIGKILL');
    }
  }
  return best;
}

type Peer = ChildProcessByStdio<Writable, Readable, null>;

function received([sending, receiving]: readonly [Peer, Peer], limit: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = setTimeout(() => reject(new Error('the bare peers did not connect')), limit);
  createInterface({ input: sending.stdout }).on('line', (line) => receiving.stdin.write(`${line}\n`));
  createInterface({ input: receiving.stdout }).on('line', (line) => {
    const message: object = JSON.parse(line);
    if ('megabits' in message) resolve((message as BareResult).megabits);
    else sending.stdin.write(`${line}\n`);
  });
  return promise.finally(() => clearTimeout(timer));
}

function start(host: Namespace, options: BareOptions): Peer {
  const peer = [process.execPath, join(import.meta.dirname, 'bare-peer.ts'), JSON.stringify(options)];
  const child = spawn('ip', ['netns', 'exec', host.name, ...peer], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // It has ended: the other one's result or the limit tells.
  return child;
}
