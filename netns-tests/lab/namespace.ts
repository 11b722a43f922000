/** One network namespace: a machine of its own as far as the network goes. */
import { type Commands, commandsBehind, run } from './commands.ts';
import type { Lab } from './lab.ts';
import type { Program } from './program.ts';

export class Namespace {
  readonly lab: Lab;
  /** Name inside the lab. */
  readonly label: string;
  /** Name on the machine. */
  readonly name: string;
  /** Its own addresses, in the order given, without prefix length. */
  readonly addresses: string[] = [];
  /** Commands inside. */
  readonly $: Commands;

  constructor(lab: Lab, label: string, name: string) {
    this.lab = lab;
    this.label = label;
    this.name = name;
    this.$ = commandsBehind(() => ['ip', 'netns', 'exec', name]);
  }

  /** Runs `ip` commands, in one process. Rejects naming the line that failed. */
  async configure(...commands: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** The address that others reach it by. */
  get address(): string {
    const [first] = this.addresses;
    if (first === undefined) throw new Error(`${this.label} has no address`);
    return first;
  }

  /** Starts a program inside. */
  start(label: string, command: readonly string[], environment?: NodeJS.ProcessEnv): Program {
    return this.lab.start({ label: `${this.label}.${label}`, namespace: this.name, command, environment });
  }

  /** Loads nftables rules. */
  async rules(text: string): Promise<void> {
    await this.$({ input: text })`nft -f -`;
  }

  /** The pids of everything that runs inside. */
  async processes(): Promise<number[]> {
    const { stdout } = await run(['ip', 'netns', 'pids', this.name]);
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  /** What `ip -json` says. */
  async ip<T = Record<string, unknown>>(...query: string[]): Promise<T[]> {
    const { stdout } = await run(['ip', '-json', '-n', this.name, ...query]);
    return stdout.trim() === '' ? [] : JSON.parse(stdout);
  }
}
