/** Two hosts on one wire that delays, reorders and doubles frames: `hop.c`. */
import { buildTool } from './compiled.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';

export interface HopOptions {
  /** Of a thousand frames, at random. */
  readonly held?: number;
  /** Microseconds for which those are held. */
  readonly pause?: number;
  /** Of a thousand frames, at random. */
  readonly doubled?: number;
}

/** 198.51.100.1 and .2, which send no frame longer than the wire takes. */
export async function hosts(
  lab: Lab,
  labels: readonly [string, string],
  { held = 0, pause = 0, doubled = 0 }: HopOptions,
): Promise<readonly [Namespace, Namespace]> {
  const wire = await lab.namespace('wire');
  const ends = [await lab.namespace(labels[0]), await lab.namespace(labels[1])] as const;
  for (const [n, end] of ends.entries()) {
    const address = `198.51.100.${n + 1}`;
    await wire.configure(
      `link add side${n} type veth peer name eth0 netns ${end.name}`,
      `link set side${n} up`,
    );
    await end.configure('link set eth0 up gso_max_segs 1', `addr add ${address}/24 dev eth0`);
    end.addresses.push(address);
  }
  const tool = await buildTool(lab, 'hop');
  const program = wire.start('hop', [tool, 'side0', 'side1', `${held}`, `${pause}`, `${doubled}`]);
  await program.says(/ready/);
  return ends;
}
