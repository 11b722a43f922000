/** One TCP flow between two namespaces, by iperf3. */
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';

export interface FlowOptions {
  readonly seconds: number;
  /** Bits per second; 0: as fast as it goes. */
  readonly rate?: string;
  readonly port?: number;
}

export interface FlowResult {
  /** Bytes that arrived. */
  readonly bytes: number;
  readonly retransmits: number;
  /** Milliseconds, the longest in which nothing arrived. */
  readonly gap: number;
}

interface Report {
  readonly error?: string;
  readonly intervals: readonly { readonly sum: { readonly bytes: number; readonly seconds: number } }[];
  readonly end: {
    readonly sum_received: { readonly bytes: number };
    readonly sum_sent: { readonly retransmits: number };
  };
}

/** From `sender`, where the server runs on its inner address, to `receiver`, which sees what arrives and when. */
export class Flow {
  readonly #client: Program;
  readonly #seconds: number;

  private constructor(client: Program, seconds: number) {
    this.#client = client;
    this.#seconds = seconds;
  }

  static async start(
    sender: Namespace,
    address: string,
    receiver: Namespace,
    { seconds, rate = '0', port = 5201 }: FlowOptions,
  ): Promise<Flow> {
    const server = sender.start(`iperf-server-${port}`, [
      'iperf3',
      '-s',
      '-1',
      '-p',
      `${port}`,
      '--forceflush',
    ]);
    await server.says(/Server listening/);
    const client = receiver.start(`iperf-${sender.label}-${port}`, [
      ...['iperf3', '-c', address, '-p', `${port}`, '-R', '-J'],
      ...['-t', `${seconds}`, '-i', '0.1', '-b', rate],
    ]);
    return new Flow(client, seconds);
  }

  get running(): boolean {
    return this.#client.running;
  }

  /** Rejects where the connection did not last. */
  async end(bound = this.#seconds * 1000 + 10_000): Promise<FlowResult> {
    await this.#client.ends(bound);
    const { error, intervals, end }: Report = JSON.parse(this.#client.output);
    if (error !== undefined) throw new Error(`${this.#client.label}: ${error}`);
    let silence = 0;
    let gap = 0;
    for (const { sum } of intervals) {
      silence = sum.bytes === 0 ? silence + sum.seconds : 0;
      gap = Math.max(gap, silence);
    }
    return {
      bytes: end.sum_received.bytes,
      retransmits: end.sum_sent.retransmits,
      gap: Math.round(gap * 1000),
    };
  }
}
