/**
 * One end of the bare baseline: a node process with nothing but node-datachannel in it. The sender fills one
 * unordered datachannel without retransmits with messages of one size; the receiver counts what arrives.
 *
 * Argument: a `BareOptions` as JSON. Signals travel as JSON lines over standard input and output; the
 * receiver's last line is a `BareResult`.
 */
import { createInterface } from 'node:readline';
import nodeDataChannel from 'node-datachannel';

export interface BareOptions {
  readonly role: 'send' | 'receive';
  /** Bytes per message. */
  readonly size: number;
  /** The receiver counts for `milliseconds`, starting `warmup` milliseconds after the first message. */
  readonly warmup: number;
  readonly milliseconds: number;
  /** The sender stops at `high` buffered bytes and goes on at `low`. */
  readonly high: number;
  readonly low: number;
  /** Empty for the library's defaults. */
  readonly sctp: nodeDataChannel.SctpSettings;
  /** Of the path, in bytes; undefined for the library's default, with which a message of 1200 bytes takes two packets. */
  readonly mtu?: number | undefined;
  /** One UDP port for all connections, as cryonet has it. */
  readonly mux: boolean;
}

export interface BareResult {
  readonly received: number;
  readonly milliseconds: number;
}

type Signal =
  | { readonly sdp: string; readonly type: nodeDataChannel.DescriptionType }
  | { readonly candidate: string; readonly mid: string };

function fill(channel: nodeDataChannel.DataChannel, options: BareOptions): void {
  const message = Buffer.alloc(options.size, 1);
  const send = (): void => {
    try {
      while (channel.bufferedAmount() < options.high) channel.sendMessageBinary(message);
    } catch {
      process.exit(0); // The receiver has what it wants and closed the channel.
    }
  };
  channel.setBufferedAmountLowThreshold(options.low);
  channel.onBufferedAmountLow(send);
  send();
}

function count(
  channel: nodeDataChannel.DataChannel,
  options: BareOptions,
  done: (result: BareResult) => void,
) {
  let received = 0;
  let start = 0;
  channel.onMessage((message) => {
    received += (message as Buffer).length;
    if (start !== 0) return;
    start = performance.now();
    setTimeout(() => {
      received = 0;
      start = performance.now();
      setTimeout(() => done({ received, milliseconds: performance.now() - start }), options.milliseconds);
    }, options.warmup);
  });
}

function main(options: BareOptions): void {
  if (Object.keys(options.sctp).length > 0) nodeDataChannel.setSctpSettings(options.sctp);
  const connection = new nodeDataChannel.PeerConnection(options.role, {
    iceServers: [],
    mtu: options.mtu,
    enableIceUdpMux: options.mux,
    ...(options.mux ? { portRangeBegin: 2333, portRangeEnd: 2333 } : {}),
    disableAutoNegotiation: true,
  });
  const say = (line: Signal | BareResult): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);
  connection.onLocalDescription((sdp, type) => say({ sdp, type }));
  connection.onLocalCandidate((candidate, mid) => say({ candidate, mid }));
  createInterface({ input: process.stdin }).on('line', (line) => {
    const signal = JSON.parse(line) as Signal;
    if ('candidate' in signal) connection.addRemoteCandidate(signal.candidate, signal.mid);
    else connection.setRemoteDescription(signal.sdp, signal.type);
    if ('sdp' in signal && signal.type === 'offer') connection.setLocalDescription('answer');
  });
  const channel = connection.createDataChannel('data', {
    negotiated: true,
    id: 2,
    unordered: true,
    maxRetransmits: 0,
  });
  if (options.role === 'send') {
    channel.onOpen(() => fill(channel, options));
    connection.setLocalDescription('offer');
  } else {
    count(channel, options, (result) => {
      say(result);
      connection.close();
      process.exit(0);
    });
  }
}

main(JSON.parse(process.argv[2] ?? '') as BareOptions);
