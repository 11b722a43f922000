/** The MTU of an interface, as the kernel tells of it, from before the interface is there. */
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';

export class MtuChanges {
  readonly #program: Program;
  readonly #device: string;

  private constructor(program: Program, device: string) {
    this.#program = program;
    this.#device = device;
  }

  static watch(namespace: Namespace, device: string): MtuChanges {
    return new MtuChanges(namespace.start('monitor', ['ip', '-o', 'monitor', 'link']), device);
  }

  /** Each one that it had while it was up, in order. */
  get seen(): number[] {
    const lines = this.#program.output.matchAll(/^\d+: (\S+?): <\S*\bUP\b\S*> mtu (\d+) /gm);
    const mtus = [...lines].flatMap(([, device, mtu]) => (device === this.#device ? [Number(mtu)] : []));
    return mtus.filter((mtu, i) => mtu !== mtus[i - 1]);
  }
}
