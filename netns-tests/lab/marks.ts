/** Packets by their mark. */
import type { Namespace } from './namespace.ts';

/** Counts, on their way out, packets that `match` (nftables) with the mark 42 and without. */
export async function countMarks(
  host: Namespace,
  match: string,
): Promise<() => Promise<Record<string, number>>> {
  await host.rules(
    `table inet marks {
       counter marked {}
       counter unmarked {}
       chain output {
         type filter hook output priority filter;
         ${match} meta mark 42 counter name marked
         ${match} meta mark != 42 counter name unmarked
       }
     }`,
  );
  return async () => {
    const { stdout } = await host.$`nft -j list counters`;
    const counters: { counter?: { name: string; packets: number } }[] = JSON.parse(stdout).nftables;
    return Object.fromEntries(
      counters.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
    );
  };
}
