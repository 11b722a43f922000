import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compile } from './compile.ts';

export interface ReceivedPacket {
  readonly ifindex: number;
  readonly ethertype: number;
  readonly bytes: Buffer;
}

let program: string | undefined;

/** The kernel's side of TUN devices in this network namespace: see `packet-socket.c`. */
export class PacketSocket {
  /** What the kernel received on any interface, oldest first. */
  readonly received: ReceivedPacket[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #replies: ((sent: number) => void)[] = [];

  constructor(program: string) {
    this.#child = spawn(program);
    createInterface(this.#child.stdout).on('line', (line) => this.#read(line));
  }

  static async open(): Promise<PacketSocket> {
    program ??= compile('packet-socket', ['packet-socket.c']);
    const socket = new PacketSocket(program);
    await once(socket.#child.stdout, 'data');
    return socket;
  }

  /** Sends a packet out of an interface `count` times; resolves with how many of them the interface took. */
  send(ifindex: number, ethertype: number, packet: Uint8Array, count = 1): Promise<number> {
    const hex = Buffer.from(packet).toString('hex');
    this.#child.stdin.write(
      `${ifindex.toString(16)} ${ethertype.toString(16)} ${count.toString(16)} ${hex}\n`,
    );
    return new Promise((resolve) => this.#replies.push(resolve));
  }

  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    await closed;
  }

  #read(line: string): void {
    const [first = '', second = '', hex] = line.split(' ');
    if (first === 'sent') this.#replies.shift()?.(Number.parseInt(second, 16));
    if (hex === undefined) return;
    const packet = { ifindex: Number.parseInt(first, 16), ethertype: Number.parseInt(second, 16) };
    this.received.push({ ...packet, bytes: Buffer.from(hex, 'hex') });
  }
}
