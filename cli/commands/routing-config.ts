/** `cryoc routing-config`: a configuration for a routing daemon, of the interfaces that there are now. */
import { CryonetError } from '../../protocol/errors.ts';
import type { Command } from '../command.ts';
import { babeldConfig } from '../routing/babeld.ts';
import { birdConfig } from '../routing/bird.ts';
import { frrConfig } from '../routing/frr.ts';
import { type Plan, planOf } from '../routing/plan.ts';

type Write = (plan: Plan) => string;

/** By daemon, then by protocol; the first is that of who names none. */
const writers: Readonly<Record<string, Readonly<Record<string, Write>>>> = {
  bird: { babel: (plan) => birdConfig(plan, 'babel'), ospf: (plan) => birdConfig(plan, 'ospf') },
  babeld: { babel: babeldConfig },
  frr: { ospf: frrConfig },
};

export const routingConfig: Command<'GET /v1/status'> = {
  name: 'routing-config',
  arguments: { '<DAEMON>': 'bird, babeld or frr' },
  words: Object.keys(writers),
  options: [
    { flags: '--prefix <NETWORK>', help: 'what is routed over the mesh; repeatable', repeatable: true },
    { flags: '--protocol <NAME>', help: 'babel, or ospf, where the daemon has both' },
  ],
  help: 'a configuration for a routing daemon, of the links that there are now and what they cost',
  route: 'GET /v1/status',
  show(report, { args: [daemon], options }) {
    const byProtocol = writers[daemon!]!;
    const protocol = String(options.protocol ?? Object.keys(byProtocol)[0]);
    const write = byProtocol[protocol];
    if (write === undefined)
      throw new CryonetError(
        'bad_config',
        `for ${daemon} there is --protocol ${Object.keys(byProtocol).join(' or ')}, not ${protocol}`,
      );
    const plan = planOf(report, [options.prefix ?? []].flat().map(String));
    const config = `${heading(plan, daemon!, protocol)}\n${write(plan)}\n`;
    return { json: { daemon, protocol, config }, text: () => config };
  },
};

function heading({ node, prefixes }: Plan, daemon: string, protocol: string): string {
  const all = [...prefixes.ipv4, ...prefixes.ipv6].map((prefix) => ` --prefix ${prefix}`).join('');
  return [
    `# Made on ${node} by: cryoc routing-config ${daemon} --protocol ${protocol}${all}`,
    '# Assumes that the addresses of this machine in the mesh are on lo, and that it forwards:',
    '# sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
  ].join('\n');
}
