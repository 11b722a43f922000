/**
 * Who attacks a mesh. As a program it runs in a namespace:
 *
 *   node attacker.ts SITE WHAT...      the site as JSON, the attacks by name
 *
 * SIGUSR2 has it take the next step: to do the next attack, and to undo what that has opened. It says when it has.
 */
import type { Attack, Site } from '../../test/hostile/attacks/attack.ts';
import { neighbors } from '../../test/hostile/attacks/neighbor.ts';
import { outsiders } from '../../test/hostile/attacks/outsider.ts';
import { peers } from '../../test/hostile/attacks/peer.ts';
import type { Namespace } from './namespace.ts';
import type { Program } from './program.ts';

export const attacks: readonly Attack[] = [...outsiders, ...peers, ...neighbors];

export class Attacker {
  readonly #program: Program;
  #steps = 0;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(from: Namespace, site: Site, attacks: readonly Attack[]): Promise<Attacker> {
    const names = attacks.map(({ what }) => what);
    const command = [process.execPath, import.meta.filename, JSON.stringify(site), ...names];
    const program = from.start('attacker', command);
    await program.says(/^ready$/m);
    return new Attacker(program);
  }

  /** Does the next attack; resolves with what there is to say of it. */
  async attack(bound: number): Promise<string> {
    return this.#step(bound);
  }

  /** Undoes what that has opened. */
  async undo(): Promise<void> {
    await this.#step(5_000);
  }

  async #step(bound: number): Promise<string> {
    this.#program.signal('SIGUSR2');
    const pattern = new RegExp(`^${this.#steps++} (done|failed): (.*)$`, 'm');
    const [, outcome, words] = pattern.exec(await this.#program.says(pattern, bound))!;
    if (outcome === 'failed') throw new Error(words);
    return words!;
  }
}

if (import.meta.main) {
  const [site, ...names] = process.argv.slice(2);
  let steps = 0;
  let undo: (() => void)[] = [];
  const step = async () => {
    const number = steps++;
    try {
      const attack = attacks.find(({ what }) => what === names[number / 2]);
      if (number % 2 === 0) {
        const words = await attack!.run(JSON.parse(site!), (each) => undo.push(each));
        console.log(`${number} done: ${words ?? ''}`);
      } else {
        for (const each of undo) each();
        undo = [];
        console.log(`${number} done: `);
      }
    } catch (error) {
      console.log(`${number} failed: ${error instanceof Error ? error.message : error}`);
    }
  };
  process.on('SIGUSR2', () => void step());
  // What an attack has opened keeps it here, or nothing does.
  setInterval(() => {}, 60_000);
  console.log('ready');
}
