/** A plan as babeld reads it: `/etc/babeld.conf`. */
import type { Plan } from './plan.ts';

/** Where babeld can be told of interfaces later. */
const babeldSocket = '/run/babeld.sock';

export function babeldConfig({ links, prefixes }: Plan): string {
  const all = [...prefixes.ipv4, ...prefixes.ipv6];
  return [
    '# babeld has no patterns of interfaces: make this anew for new peers, or have the hook',
    '# /usr/lib/cryonet/hooks/babeld tell it of them by this socket.',
    `local-path-readwrite ${babeldSocket}`,
    '# The costs have the round trip in them: with type tunnel babeld would count it once more.',
    'default type wired',
    ...(links.length === 0
      ? ['# There is no link yet, and babeld does not start without an interface.', 'interface lo']
      : []),
    ...links.map((link) => `interface ${link.interface}${link.cost === null ? '' : ` rxcost ${link.cost}`}`),
    '# Without these babeld announces every address of the machine and takes every route, those',
    '# of the addresses that the links themselves run over included.',
    ...all.map((prefix) => `redistribute local ip ${prefix}`),
    'redistribute local deny',
    ...all.map((prefix) => `in ip ${prefix}`),
    'in deny',
  ].join('\n');
}
