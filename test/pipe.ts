/** Sockets in memory, as far as `RpcConnection` uses one. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Keeps what is written, and plays what the test says. */
export class RecordingSocket extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }

  get hex(): string {
    return Buffer.concat(this.written).toString('hex');
  }

  asSocket(): Socket {
    return this as unknown as Socket;
  }
}
