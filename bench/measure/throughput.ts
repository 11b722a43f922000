/** What one TCP flow gets through the overlay between two hosts on one cable; beside it what the cable and two bare
 *  node-datachannel processes do. */
import type { Lab } from '../../netns-tests/lab/lab.ts';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { bareMegabits, plainTunings, wideTunings } from '../bare.ts';
import type { Contender } from '../contender.ts';
import { form, type Measurement, type Scene, subjects } from '../measurement.ts';

const seconds = 8;
/** Each of its tunings. */
const bareSeconds = 5;
const quickSeconds = 3;

/** Names of the subjects that are no contenders. */
export const cable = 'cable';
export const bare = 'bare node-datachannel';
export const bareWide = 'bare node-datachannel with an MTU of 1500';

export function throughput(contenders: readonly Contender[]): Measurement {
  return {
    name: 'throughput',
    limit: 120_000,
    subjects: [
      ...subjects(contenders, async (contender, { lab, pinger, quick }) => {
        const hosts = await wired(lab);
        const overlay = await contender.prepare(hosts);
        await form(overlay, pinger, { interval: 50, limit: 30_000 });
        const address = await overlay.address(0, 1);
        return { tcp: await tcpMegabits(hosts, address, quick ? quickSeconds : seconds) };
      }),
      {
        name: cable,
        take: async ({ lab, quick }) => {
          const hosts = await wired(lab);
          return { tcp: await tcpMegabits(hosts, hosts[1].address, quick ? quickSeconds : seconds) };
        },
      },
      ...[
        { name: bare, tunings: plainTunings },
        { name: bareWide, tunings: wideTunings },
      ].map(({ name, tunings }) => ({
        name,
        take: async ({ lab, quick }: Scene) => ({
          tcp: await bareMegabits(await wired(lab), tunings, quick ? quickSeconds : bareSeconds),
        }),
      })),
    ],
  };
}

/** Two hosts with nothing between them but a veth pair. */
async function wired(lab: Lab): Promise<[Namespace, Namespace]> {
  const hosts = [await lab.namespace('a'), await lab.namespace('b')] as const;
  await hosts[0].configure(`link add eth0 type veth peer name eth0 netns ${hosts[1].name}`);
  for (const [index, host] of hosts.entries()) {
    const address = `198.51.100.${index + 1}`;
    await host.configure('link set eth0 up', `addr add ${address}/24 dev eth0`);
    host.addresses.push(address);
  }
  return [...hosts];
}

/** What arrives at the second host in a second, in 10⁶ bits. */
async function tcpMegabits(
  [client, server]: readonly [Namespace, Namespace],
  address: string,
  duration: number,
): Promise<number> {
  const listener = server.start('iperf3', ['iperf3', '-s', '-1', '--forceflush']);
  await listener.says(/Server listening/);
  const { stdout } = await client.$`iperf3 -c ${address} -J -t ${duration} -O 1`;
  return JSON.parse(stdout).end.sum_received.bits_per_second / 1e6;
}
