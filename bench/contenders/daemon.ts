/** What the other overlays have in common: one program per host, one shared interface with an address from
 *  10.99.0.0/24. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import type { Program } from '../../netns-tests/lab/program.ts';
import { type Contender, innerAddress, type Listening, monotonic } from '../contender.ts';

export interface Host {
  readonly namespace: Namespace;
  /** Inside the overlay. */
  readonly inner: string;
  /** Its own folder, for keys and configuration. */
  readonly home: string;
}

interface Daemon {
  readonly command: readonly string[];
  /** What has to be done by hand once the program has been started. */
  configure?(): Promise<void>;
}

/** `setUp` writes keys and configuration, and resolves with what runs on each host. The Debian package has the name. */
export function daemons(
  { name, discovers, ...listening }: Pick<Contender, 'name' | 'discovers'> & Listening,
  setUp: (hosts: readonly Host[]) => Promise<readonly Daemon[]>,
): Contender {
  const prepare: Contender['prepare'] = async (hosts) => {
    const all = hosts.map((namespace, index) => {
      const home = join(namespace.lab.directory, `${namespace.label}.home`);
      mkdirSync(home, { mode: 0o700 });
      return { namespace, home, inner: innerAddress(index) };
    });
    const daemons = await setUp(all);
    const programs = new Map<number, Program>();
    return {
      ...{ hosts, listening },
      async start(host) {
        const before = monotonic();
        const { command, configure } = daemons[host]!;
        programs.set(host, hosts[host]!.start(name, command));
        await configure?.();
        return before;
      },
      async kill(host) {
        const program = programs.get(host)!;
        program.signal('SIGKILL');
        await program.exited;
      },
      targets: (from, to) => to.map((host) => `/run/netns/${hosts[from]!.name} ${innerAddress(host)}`),
      address: async (_from, to) => innerAddress(to),
    };
  };
  return { name, package: name, discovers, prepare };
}
