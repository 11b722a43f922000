/** What a check of the networks found, as text for people. */
import type { FamilyFound, Netcheck, Place } from '../protocol/netcheck.ts';
import { labelled } from './render-status.ts';
import type { Terminal } from './terminal.ts';
import { hostPort } from './words.ts';

/** First what it means, then why. `paths`: bytes that the direct paths to peers carry. Ends with a newline. */
export function renderNetcheck(found: Netcheck, paths: readonly number[], { width }: Terminal): string {
  const { families, unresolved, candidates } = found;
  const facts: [name: string, text: string][] = [
    ...verdicts(found).map((text, i): [string, string] => [i === 0 ? 'links' : '', text]),
    ...families.flatMap((each) => factsOf(each)),
    ...unresolved.map(({ server, reason }): [string, string] => ['server', `${server}: ${reason}`]),
    ['told', candidates.join(', ') || 'nothing: peers are told no address'],
    ...(paths.length === 0
      ? []
      : [['paths', `direct ones carry ${rangeOf(paths)} bytes`] as [string, string]]),
  ];
  return `${facts.flatMap(([name, text]) => labelled(name, text, width)).join('\n')}\n`;
}

function verdicts({ families, udpPort }: Netcheck): string[] {
  const tested = families.filter(({ servers }) => servers.length > 0);
  if (tested.length === 0)
    return ['nothing is known: no STUN server has an address of a family that is routed here'];
  const reached = tested.filter(({ servers }) => servers.some(({ mapped }) => mapped !== null));
  if (reached.length === 0)
    return [
      'no STUN server answers: UDP is blocked here, or they are down; where it is blocked no link comes up but with peers in the same network',
    ];
  return reached.map((each) => `${each.family}: ${meaning(each, udpPort)}`);
}

function meaning({ mapping, filtering }: FamilyFound, udpPort: number): string {
  switch (mapping) {
    case 'none':
      return `no NAT: direct paths with every peer, if no firewall keeps udp/${udpPort} out`;
    case 'independent':
      return filtering === 'independent'
        ? 'a NAT that lets everybody in: direct paths with every peer'
        : 'a NAT that hole punching gets through: direct paths with every peer but those whose NAT maps by destination';
    case 'unknown':
      return 'behind a NAT; of what kind takes a second STUN server to say: --stun host:port';
    default:
      return `a NAT that maps by destination: direct paths only with peers that are behind none or let everybody in, else by a TURN server; better: forward udp/${udpPort}`;
  }
}

const mappingWords: Readonly<Record<FamilyFound['mapping'], string>> = {
  none: 'none: servers see our own address',
  independent: 'the same for every destination (endpoint-independent)',
  address: 'another one for each address (address-dependent)',
  'address-and-port': 'another one for each address and port (symmetric)',
  depends: 'another one for each destination',
  unknown: 'unknown',
};

const filteringWords: Readonly<Record<FamilyFound['filtering'], string>> = {
  independent: 'lets in everybody, once something has left',
  address: 'lets in whom we have sent to, from any port',
  'address-and-port': 'lets in whom we have sent to, from that port alone',
  unknown: 'unknown: it takes a STUN server with two addresses to say (RFC 5780)',
};

function factsOf({ family, ...found }: FamilyFound): [name: string, text: string][] {
  const { address, servers, mapping, filtering, hairpin, mtu } = found;
  if (found.interface === null) return [[family, 'none: there is no route']];
  const where = `${address ?? 'no address'} on ${found.interface}${mtu === null ? '' : `, MTU ${mtu}`}`;
  if (servers.length === 0) return [[family, `${where}; no STUN server to ask`]];
  const seen = servers.map(({ server, at, mapped }): [string, string] => [
    'seen',
    `${seenWords(mapped)} by ${server}${placeWords(server, at)}`,
  ]);
  if (servers.every(({ mapped }) => mapped === null)) return [[family, where], ...seen];
  return [
    [family, where],
    ...seen,
    ['mapping', mappingWords[mapping]],
    ['filtering', filteringWords[filtering]],
    ...(hairpin === null
      ? []
      : [
          ['hairpin', hairpin ? 'yes' : 'no: peers behind the same NAT need its inner addresses'] as [
            string,
            string,
          ],
        ]),
  ];
}

function seenWords(mapped: Place | null): string {
  return mapped === null ? 'not' : `as ${hostPort(mapped)}`;
}

function placeWords(server: string, at: Place): string {
  return server === hostPort(at) ? '' : ` (${at.address})`;
}

function rangeOf(numbers: readonly number[]): string {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
