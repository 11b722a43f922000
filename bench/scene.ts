/** Where one take happens: a laboratory, and what measures have in common that they do in it. */
import { Lab } from '../netns-tests/lab/lab.ts';
import type { Namespace } from '../netns-tests/lab/namespace.ts';
import { lan } from '../netns-tests/lab/topology.ts';
import type { Contender, Overlay, OverlayOptions } from './contender.ts';
import type { Pinger } from './pinger.ts';

/** Milliseconds for an overlay to form. */
const formLimit = 120_000;
/** Milliseconds between two pings of a pair. Pairs grow with the square: a coarser look keeps the measuring cheap beside
 *  what is measured. */
const fineInterval = 50;
const coarseInterval = 200;
const smallSize = 10;

/** CLOCK_MONOTONIC, nanoseconds. */
export interface Formed {
  readonly overlay: Overlay;
  readonly firstStart: bigint;
  readonly lastStart: bigint;
  /** The last first answer. */
  readonly formed: bigint;
}

export class Scene implements AsyncDisposable {
  readonly pinger: Pinger;
  /** Shorter windows, for trying things out. */
  readonly quick: boolean;
  #lab: Lab | undefined;

  constructor(pinger: Pinger, quick: boolean) {
    this.pinger = pinger;
    this.quick = quick;
  }

  /** Hosts n1, n2, … on one switch, in a new laboratory: there is one at a time. */
  async hosts(count: number): Promise<readonly Namespace[]> {
    const labels = Array.from({ length: count }, (_, index) => `n${index + 1}`);
    const { hosts } = await lan(await this.#newLab(), labels);
    return hosts;
  }

  /** Two hosts with nothing between them but a veth pair, of 1500 bytes; in a new laboratory. */
  async wired(): Promise<[Namespace, Namespace]> {
    const lab = await this.#newLab();
    const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
    await a.configure(`link add eth0 type veth peer name eth0 netns ${b.name}`);
    for (const [index, host] of [a, b].entries()) {
      const address = `198.51.100.${index + 1}`;
      await host.configure('link set eth0 up', `addr add ${address}/24 dev eth0`);
      host.addresses.push(address);
    }
    return [a, b];
  }

  /** An overlay of these hosts, all of them started at once, when every pair has answered a ping in both directions. The
   *  last `spare` hosts are not started. */
  async formed(
    contender: Contender,
    hosts: readonly Namespace[],
    { spare = 0, ...options }: OverlayOptions & { readonly spare?: number } = {},
  ): Promise<Formed> {
    const overlay = await contender.prepare(hosts, options);
    const all = [...hosts.keys()].slice(0, hosts.length - spare);
    const targets = all.flatMap((from) =>
      overlay.targets(
        from,
        all.filter((to) => to !== from),
      ),
    );
    const interval = all.length > smallSize ? coarseInterval : fineInterval;
    const answers = await this.pinger.reach(targets, { interval, limit: formLimit });
    const starts: bigint[] = [];
    for (const host of all) starts.push(await overlay.start(host));
    return { overlay, firstStart: starts[0]!, lastStart: starts.at(-1)!, formed: await answers.all };
  }

  /** What its programs said. */
  logs(): string {
    return this.#lab?.logTails(1000) ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab?.[Symbol.asyncDispose]();
  }

  async #newLab(): Promise<Lab> {
    await this.#lab?.[Symbol.asyncDispose]();
    this.#lab = new Lab();
    return this.#lab;
  }
}

/** Between two CLOCK_MONOTONIC times in nanoseconds. */
export function secondsBetween(from: bigint, to: bigint): number {
  return Number(to - from) / 1e9;
}
