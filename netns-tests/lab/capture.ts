/** A packet capture on one interface of a namespace. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';
import { waitFor } from './wait.ts';

export class Capture {
  readonly #program: Program;
  readonly #file: string;

  private constructor(program: Program, file: string) {
    this.#program = program;
    this.#file = file;
  }

  /** Resolves once packets are being recorded. Whole packets, of any kind that the filter lets through. */
  static async start(namespace: Namespace, device: string, filter = ''): Promise<Capture> {
    const label = `capture-${device}`;
    const file = join(namespace.lab.directory, `${namespace.label}.${label}.pcap`);
    const command = [
      'tcpdump',
      '-i',
      device,
      '-U',
      '-s',
      '0',
      '-w',
      file,
      '-Z',
      'root',
      ...filter.split(' '),
    ];
    const program = namespace.start(label, command.filter(Boolean));
    await program.says(/listening on/);
    return new Capture(program, file);
  }

  /** Waits until the packets so far that hold these bytes are in the file: what came before is too. */
  async holds(bytes: Buffer): Promise<void> {
    await waitFor(
      `the capture to hold ${bytes.toString('hex')}`,
      10_000,
      () => readFileSync(this.#file).includes(bytes),
      (held) => held,
    );
  }

  /** What is in the file by now; the last packet may be cut short. */
  soFar(): Buffer {
    return readFileSync(this.#file);
  }

  /** Ends the capture; its bytes are the packets between pcap's own headers. What the kernel has not handed over
   *  yet is lost: see `holds`. */
  async stop(): Promise<Buffer> {
    if (this.#program.running) await this.#program.stop('SIGINT');
    return readFileSync(this.#file);
  }
}
