/**
 * One end of the bare baseline: a node process with nothing but node-datachannel in it. The sender fills one
 * unordered datachannel without retransmits with messages of one size; the receiver counts what arrives.
 *
 * Argument: a `BareOptions` as JSON. Signals travel as JSON lines over standard input and output; the
 * receiver's last line is a `BareResult`.
 */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import nodeDataChannel from 'node-datachannel';

export interface BareOptions {
  readonly role: 'send' | 'receive';
  /** The receiver counts for so long. */
  readonly milliseconds: number;
  /** Empty for the library's defaults. */
  readonly sctp: nodeDataChannel.SctpSettings;
  /** Of the path, in bytes; undefined for the library's default, with which a message of 1200 bytes takes two packets. */
  readonly mtu?: number;
}

export interface BareResult {
  readonly megabits: number;
}

type Signal =
  | { readonly sdp: string; readonly type: nodeDataChannel.DescriptionType }
  | { readonly candidate: string; readonly mid: string };

/** Bytes per message, as the figure asks for. */
const size = 1200;
/** Milliseconds from the first message on, before counting begins. */
const warmup = 1_000;
/** The sender stops at `high` buffered bytes and goes on at `low`: what did best of 16 KiB to 4 MiB. */
const [high, low] = [65_536, 16_384];
/** One for all connections, as cryonet has it, which does no worse than one for each. */
const port = 2333;

function fill(channel: nodeDataChannel.DataChannel): void {
  const message = Buffer.alloc(size, 1);
  const send = (): void => {
    try {
      while (channel.bufferedAmount() < high) channel.sendMessageBinary(message);
    } catch {
      process.exit(0); // The receiver has what it wants and closed the channel.
    }
  };
  channel.setBufferedAmountLowThreshold(low);
  channel.onBufferedAmountLow(send);
  send();
}

async function count(channel: nodeDataChannel.DataChannel, milliseconds: number): Promise<BareResult> {
  let received = 0;
  await new Promise<void>((resolve) => {
    channel.onMessage((message) => {
      received += (message as Buffer).length;
      resolve();
    });
  });
  await pause(warmup);
  received = 0;
  const start = performance.now();
  await pause(milliseconds);
  return { megabits: (received * 8) / (performance.now() - start) / 1000 };
}

async function main({ role, milliseconds, sctp, mtu }: BareOptions): Promise<void> {
  if (Object.keys(sctp).length > 0) nodeDataChannel.setSctpSettings(sctp);
  const connection = new nodeDataChannel.PeerConnection(role, {
    ...{ iceServers: [], mtu, disableAutoNegotiation: true },
    ...{ enableIceUdpMux: true, portRangeBegin: port, portRangeEnd: port },
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
  const unreliable = { negotiated: true, id: 2, unordered: true, maxRetransmits: 0 };
  const channel = connection.createDataChannel('data', unreliable);
  if (role === 'send') {
    channel.onOpen(() => fill(channel));
    connection.setLocalDescription('offer');
    return;
  }
  say(await count(channel, milliseconds));
  connection.close();
  process.exit(0);
}

await main(JSON.parse(process.argv[2] ?? '') as BareOptions);
