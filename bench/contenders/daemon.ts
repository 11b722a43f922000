/** What the other overlays have in common: one program per host, one shared interface with an address from
 *  10.99.0.0/24. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import type { Program } from '../../netns-tests/lab/program.ts';
import { innerAddress, type Listening, monotonic, type Overlay } from '../contender.ts';

export abstract class DaemonOverlay implements Overlay {
  readonly hosts: readonly Namespace[];
  abstract readonly listening: Listening;
  readonly #programs = new Map<number, Program>();

  constructor(hosts: readonly Namespace[]) {
    this.hosts = hosts;
  }

  protected abstract command(host: number): readonly string[];

  /** What has to be done by hand once the program has been started. */
  protected async configure(_host: number): Promise<void> {}

  async start(host: number): Promise<bigint> {
    const before = monotonic();
    const [program, ...rest] = this.command(host);
    this.#programs.set(host, this.hosts[host]!.start(program!, [program!, ...rest]));
    await this.configure(host);
    return before;
  }

  async kill(host: number): Promise<void> {
    const program = this.#programs.get(host)!;
    program.signal('SIGKILL');
    await program.exited;
  }

  targets(from: number, to: readonly number[]): string[] {
    return to.map((host) => `/run/netns/${this.hosts[from]!.name} ${innerAddress(host)}`);
  }

  async address(_from: number, to: number): Promise<string> {
    return innerAddress(to);
  }

  /** The host's own folder for keys and configuration. */
  protected home(host: number): string {
    const { lab, label } = this.hosts[host]!;
    const path = join(lab.directory, `${label}.home`);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }
}
