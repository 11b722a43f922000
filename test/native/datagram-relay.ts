/**
 * A network between two ends that share one UDP port of this machine: a socket for each, which the other end takes
 * for it. What comes to one is sent on by the other, so that each end hears its peer from an address of its own.
 *
 *     port ──▶ face of b ┄┄▶ face of a ──▶ port        from a to b
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

type End = 'a' | 'b';
type Family = 'udp4' | 'udp6';

interface Face {
  readonly socket: Socket;
  readonly family: Family;
}

const other = { a: 'b', b: 'a' } as const;
const loopback = { udp4: '127.0.0.1', udp6: '::1' } as const;
/** Bytes of IP and UDP header. */
const overhead = { udp4: 28, udp6: 48 } as const;

/** Binds a socket to any port, or rejects. */
export async function boundSocket(family: Family, address: string): Promise<Socket> {
  const socket = createSocket({ type: family });
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

export class DatagramRelay {
  /** Bytes of the longest IP packet that is sent on. */
  limit = 65_535;
  /** Whether each datagram is sent on twice. */
  repeats = false;
  /** Whether datagrams are kept back. */
  holds = false;
  readonly held: (() => void)[] = [];
  readonly #port: number;
  readonly #faces: Record<End, Face>;
  readonly #sockets: Socket[] = [];

  constructor(port: number, faces: Record<End, Face>) {
    this.#port = port;
    this.#faces = faces;
    for (const end of ['a', 'b'] as const) this.#watch(end, faces[end]);
  }

  static async open(port: number): Promise<DatagramRelay> {
    const face = async () => ({ socket: await boundSocket('udp4', loopback.udp4), family: 'udp4' as const });
    return new DatagramRelay(port, { a: await face(), b: await face() });
  }

  /** Where its peer finds that end. */
  addressOf(end: End): { readonly address: string; readonly port: number } {
    const { address, port } = this.#faces[end].socket.address();
    return { address, port };
  }

  /** That end is at an address of the other family now, and nothing passes by the old one. */
  async move(end: End): Promise<void> {
    const family = this.#faces[end].family === 'udp4' ? 'udp6' : 'udp4';
    const face: Face = { socket: await boundSocket(family, loopback[family]), family };
    this.#faces[end] = face;
    this.#watch(end, face);
  }

  /** Sends on what was kept back, from where it would have come. */
  release(): void {
    for (const send of this.held.splice(0)) send();
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  #watch(end: End, face: Face): void {
    this.#sockets.push(face.socket);
    face.socket.on('message', (bytes) => {
      if (this.#faces[end] === face && bytes.length + overhead[face.family] <= this.limit)
        this.#pass(this.#faces[other[end]], bytes);
    });
  }

  #pass({ socket, family }: Face, bytes: Buffer): void {
    const send = () => {
      for (let times = this.repeats ? 2 : 1; times > 0; times--)
        socket.send(bytes, this.#port, loopback[family]);
    };
    if (this.holds) this.held.push(send);
    else send();
  }
}
