/** Flows between hosts: iperf3, one process at each end of each flow. */
import { readFileSync } from 'node:fs';
import type { Namespace } from '../netns-tests/lab/namespace.ts';
import type { Overlay } from './contender.ts';

export interface Flow {
  readonly from: Namespace;
  readonly to: Namespace;
  /** Of `to`, as `from` reaches it. */
  readonly address: string;
}

export interface TcpResult {
  /** What arrived in a second, in 10⁶ bits of payload, the first second left out. */
  readonly megabits: number;
  /** Payload sent, the first second included. */
  readonly bytes: number;
}

export interface UdpResult {
  /** What was offered and what arrived in a second, in 10⁶ bits of payload. */
  readonly sent: number;
  readonly received: number;
  readonly packets: number;
  /** Share of the packets that did not arrive. */
  readonly loss: number;
}

const firstPort = 5201;
/** Bytes for iperf3's sockets, where the kernel grants as much: what the receiver's process takes too late is not the
 *  overlay's loss. */
const socketBuffer = 1_048_576;
let flows = 0;

export async function flowBetween(overlay: Overlay, from: number, to: number): Promise<Flow> {
  const address = await overlay.address(from, to);
  return { from: overlay.hosts[from]!, to: overlay.hosts[to]!, address };
}

/** TCP flows, all at the same time, for a second of slow start and then `seconds`. */
export async function tcp(together: readonly Flow[], seconds: number): Promise<TcpResult[]> {
  const results = await run(together, ['-t', `${seconds}`, '-O', '1']);
  return results.map(({ intervals, end }) => ({
    megabits: end.sum_received.bits_per_second / 1e6,
    bytes: intervals.reduce((bytes, { sum }) => bytes + sum.bytes, 0),
  }));
}

/** What all of them bring together. */
export function total(results: readonly TcpResult[]): number {
  return results.reduce((megabits, result) => megabits + result.megabits, 0);
}

/** One UDP flow of `size` bytes of payload in each packet, at `megabits` or what the sender manages. */
export async function udp(flow: Flow, size: number, megabits: number, seconds: number): Promise<UdpResult> {
  const rate = Math.round(megabits * 1e6);
  const window = Math.min(socketBuffer, granted('rmem_max'), granted('wmem_max'));
  const options = ['-u', '-l', `${size}`, '-b', `${rate}`, '-t', `${seconds}`, '-w', `${window}`];
  const [result] = await run([flow], options);
  const { packets, lost_packets: lost, seconds: lasted } = result!.end.sum;
  const perSecond = (count: number): number => (count * size * 8) / lasted / 1e6;
  return {
    sent: perSecond(packets),
    received: perSecond(packets - lost),
    packets,
    loss: packets > 0 ? lost / packets : 1,
  };
}

/** As far as it is used here. */
interface Report {
  readonly intervals: readonly { readonly sum: { readonly bytes: number } }[];
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

async function run(together: readonly Flow[], options: readonly string[]): Promise<Report[]> {
  const ports = together.map((_, index) => `${firstPort + index}`);
  const listeners = together.map(({ to }, index) =>
    to.start(`iperf3-${++flows}`, ['iperf3', '-s', '-1', '-p', ports[index]!, '--forceflush']),
  );
  await Promise.all(listeners.map((listener) => listener.says(/Server listening/)));
  return Promise.all(
    together.map(async ({ from, address }, index) => {
      const { stdout } = await from.$`iperf3 -c ${address} -p ${ports[index]!} -J ${options}`;
      return JSON.parse(stdout);
    }),
  );
}

function granted(limit: string): number {
  return Number(readFileSync(`/proc/sys/net/core/${limit}`, 'utf8'));
}
