/** The shortest way between two hosts. */
import type { Lab } from '../netns-tests/lab/lab.ts';
import type { Namespace } from '../netns-tests/lab/namespace.ts';

/** Two hosts with nothing between them but a veth pair, of 1500 bytes. */
export async function wired(lab: Lab): Promise<[Namespace, Namespace]> {
  const hosts = [await lab.namespace('a'), await lab.namespace('b')] as const;
  await hosts[0].configure(`link add eth0 type veth peer name eth0 netns ${hosts[1].name}`);
  for (const [index, host] of hosts.entries()) {
    const address = `198.51.100.${index + 1}`;
    await host.configure('link set eth0 up', `addr add ${address}/24 dev eth0`);
    host.addresses.push(address);
  }
  return [...hosts];
}
