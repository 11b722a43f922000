/** Networks to put nodes on. */
import { isIPv6 } from 'node:net';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { Switch } from './switch.ts';

export interface Lan {
  readonly wires: Switch;
  readonly hosts: readonly Namespace[];
}

/**
 * Hosts on one switch.
 *
 *   a ──┐
 *   b ──┤ switch     198.51.100.1, .2, …/24 and 2001:db8:1::1, ::2, …/64
 *   c ──┘
 */
export async function lan(
  lab: Lab,
  labels: readonly string[],
  family: 'both' | 'ipv4' | 'ipv6' = 'both',
): Promise<Lan> {
  const wires = await Switch.make(await lab.namespace('switch'));
  const hosts: Namespace[] = [];
  for (const [index, label] of labels.entries()) {
    const host = await lab.namespace(label);
    const ipv4 = `198.51.100.${index + 1}/24`;
    const ipv6 = `2001:db8:1::${(index + 1).toString(16)}/64`;
    await wires.plug(host, { addresses: { both: [ipv4, ipv6], ipv4: [ipv4], ipv6: [ipv6] }[family] });
    hosts.push(host);
  }
  return { wires, hosts };
}

/** `host:port` as it stands in a URL or in `--listen`. */
export function endpoint(address: string, port: number): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}
