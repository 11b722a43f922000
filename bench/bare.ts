/** The bare baseline: two `bare-peer.ts` processes, introduced to each other here. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Namespace } from '../netns-tests/lab/namespace.ts';
import type { BareOptions, BareResult } from './bare-peer.ts';

/** Bytes per message, as the figure asks for. */
const size = 1200;
const warmup = 1_000;

type Tuning = Pick<BareOptions, 'high' | 'low' | 'sctp' | 'mux' | 'mtu'>;

/** What did best of many: buffers from 16 KiB to 4 MiB, one port or not. */
const common = { high: 65_536, low: 16_384, mux: true };

/** The library's defaults, and the settings of this project's engine. */
export const plainTunings: readonly Tuning[] = [
  { ...common, sctp: {} },
  { ...common, sctp: { sendBufferSize: 524_288, recvBufferSize: 1_048_576 } },
];

/** With the full 1500 bytes of an Ethernet path. The library's 1280 leave 1156 for a message in one packet: one of 1200 bytes
 *  takes two. */
export const wideTunings: readonly Tuning[] = plainTunings.map((tuning) => ({ ...tuning, mtu: 1500 }));

/** What the second host receives in a second, in 10⁶ bits of messages, with whichever tuning does best. */
export async function bareMegabits(
  hosts: readonly [Namespace, Namespace],
  tunings: readonly Tuning[],
  seconds: number,
): Promise<number> {
  let best = 0;
  for (const tuning of tunings) best = Math.max(best, await once(hosts, tuning, seconds));
  return best;
}

async function once(
  [sender, receiver]: readonly [Namespace, Namespace],
  tuning: Tuning,
  seconds: number,
): Promise<number> {
  const options = { size, warmup, milliseconds: seconds * 1000, ...tuning };
  const receiving = start(receiver, { ...options, role: 'receive' });
  const sending = start(sender, { ...options, role: 'send' });
  const { promise, resolve, reject } = Promise.withResolvers<BareResult>();
  const limit = setTimeout(
    () => reject(new Error('the bare peers did not connect')),
    2 * options.milliseconds + 10_000,
  );
  createInterface({ input: sending.stdout }).on('line', (line) => receiving.stdin.write(`${line}\n`));
  createInterface({ input: receiving.stdout }).on('line', (line) => {
    const message: object = JSON.parse(line);
    if ('received' in message) resolve(message as BareResult);
    else sending.stdin.write(`${line}\n`);
  });
  try {
    const { received, milliseconds } = await promise;
    return (received * 8) / milliseconds / 1000;
  } finally {
    clearTimeout(limit);
    sending.kill('SIGKILL');
    receiving.kill('SIGKILL');
  }
}

function start(host: Namespace, options: BareOptions): ChildProcessByStdio<Writable, Readable, null> {
  const peer = [process.execPath, join(import.meta.dirname, 'bare-peer.ts'), JSON.stringify(options)];
  const child = spawn('ip', ['netns', 'exec', host.name, ...peer], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // It has ended: the other one's result or the limit tells.
  return child;
}
