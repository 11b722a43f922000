/** Packets by their mark, and other counters of nftables. */
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
  return () => counters(host);
}

/** A counter of the kernel's, as nstat calls it (net/ipv4/proc.c). */
export async function kernelCounter(host: Namespace, name: string): Promise<number> {
  const { stdout } = await host.$`nstat -asz ${name}`;
  return Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(stdout)?.[1]);
}

/** Packets of each named counter. */
export async function counters(host: Namespace): Promise<Record<string, number>> {
  const { stdout } = await host.$`nft -j list counters`;
  const listed: { counter?: { name: string; packets: number } }[] = JSON.parse(stdout).nftables;
  return Object.fromEntries(
    listed.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
  );
}
