/** Why a link is as it is, in plain words, from what both ends see of it. */
import type { Explanation, LinkView } from '../protocol/link-view.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { pairWords } from './words.ts';

/** Sentences, the most telling first. `udpPort`: ours. */
export function reasonsFor(
  { peer, ours, theirs }: Explanation,
  status: PeerStatus,
  udpPort: number | null,
): string[] {
  const port = `udp/${udpPort ?? 2333}`;
  if (ours.state === 'up') return [...pathReasons(status, ours, theirs), ...degradation(status)];
  const settled = settledReason(peer, ours, theirs);
  if (settled !== undefined) return [settled];
  const silence =
    theirs === null
      ? [
          `${peer} does not answer this question: nothing that is signaled reaches it, or it is of an older version`,
        ]
      : [];
  return [...candidateReasons(peer, ours, theirs, port), ...silence];
}

/** What no network can mend. */
function settledReason(peer: string, ours: LinkView, theirs: LinkView | null): string | undefined {
  if (ours.state === 'denied') return `no link: ${ours.reason || `denied by the policy of ${peer}`}`;
  if (theirs?.state === 'denied') return `no link: the policy of ${peer} denies this node`;
  if (ours.state === 'refused')
    return `no link: ${ours.reason}; cryoc status says which key, and how to accept it`;
  if (theirs?.state === 'refused') return `no link: ${peer} refuses the identity key of this node`;
  return undefined;
}

function pathReasons(status: PeerStatus, ours: LinkView, theirs: LinkView | null): string[] {
  if (status.path === 'direct') return ['packets take the direct path: there is no better one'];
  if (status.relayed)
    return [
      'packets go by a TURN server, as no pair without one has worked',
      ...candidateReasons(status.id, ours, theirs, undefined),
    ];
  if (status.path === 'websocket')
    return [
      'packets go by the bootstrap WebSocket, at a limited rate, as no UDP passes between the two nodes',
      ...candidateReasons(status.id, ours, theirs, undefined),
    ];
  const why = ours.notDirect || 'nothing has been said of it yet';
  const far = theirs === null || theirs.notDirect === '' ? '' : `; ${status.id} says: ${theirs.notDirect}`;
  return [`packets go by datachannel, which is slower, and not by direct path: ${why}${far}`];
}

function degradation({ loss, rtt, minRtt }: PeerStatus): string[] {
  const lossy =
    loss != null && loss > 0.1 ? [`it loses ${Math.round(loss * 100)}% of the latest probes`] : [];
  const isSlow = rtt !== null && minRtt != null && rtt > 3 * minRtt && rtt > 50;
  return isSlow
    ? [
        ...lossy,
        `round trips take ${rtt.toFixed(0)} ms where they took ${minRtt.toFixed(0)}: a queue is full`,
      ]
    : lossy;
}

/** `port`: what to open; undefined where there is a link, if no good one. */
function candidateReasons(
  peer: string,
  ours: LinkView,
  theirs: LinkView | null,
  port: string | undefined,
): string[] {
  const mine = ours.told.map(partsOf);
  const its = ours.heard.map(partsOf);
  if (mine.length === 0 && its.length === 0)
    return port === undefined
      ? []
      : [`no attempt has come so far that addresses were told: ${ours.reason || ours.state}`];
  if (mine.length === 0) return [`this node tells no address: look at --interfaces and at cryoc netcheck`];
  if (its.length === 0) return [`no address of ${peer} has arrived: it tells none, or its signaling is lost`];
  if (theirs !== null && theirs.heard.length === 0)
    return [`none of our addresses has arrived at ${peer}: our signaling to it is lost`];
  if (!mine.some(({ family }) => its.some((each) => each.family === family)))
    return [
      `this node has ${mine[0]!.family} alone and ${peer} ${its[0]!.family}: they need a TURN server with both, or one family in common`,
    ];
  const reasons = [
    ...(isHidden(mine)
      ? ['this node tells private addresses alone: no STUN server answers it (cryoc netcheck)']
      : []),
    ...(isHidden(its)
      ? [`${peer} tells private addresses alone: no STUN server answers it (cryoc netcheck there)`]
      : []),
  ];
  if (reasons.length > 0) return reasons;
  const remedy =
    port === undefined
      ? 'open or forward the UDP port at one of them'
      : `open or forward ${port} here, or its UDP port at ${peer}`;
  const turn = ours.turn || theirs?.turn === true ? '' : '; neither has a TURN server';
  return [
    `both ends know public addresses of each other and no packet gets through: a firewall, or NATs that map by destination (cryoc netcheck at both); ${remedy}${turn}`,
  ];
}

interface Parts {
  readonly type: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly isPublic: boolean;
}

function partsOf(candidate: string): Parts {
  const [type = '', place = ''] = candidate.split(' ');
  const family = place.startsWith('[') ? 'IPv6' : 'IPv4';
  return { type, family, isPublic: !isPrivate(place) };
}

/** Nobody outside of their own network reaches any of them. */
function isHidden(candidates: readonly Parts[]): boolean {
  return candidates.every(({ isPublic }) => !isPublic);
}

/** RFC 1918, RFC 6598, RFC 3927; RFC 4193, RFC 4291 2.5.6. */
function isPrivate(place: string): boolean {
  return /^(?:10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.|^\[f[cde]/i.test(
    place,
  );
}

/** What each end has seen, a fact a line. What the peer says stands under its name. */
export function detailsOf({ peer, ours, theirs }: Explanation): [name: string, text: string][] {
  const list = (candidates: readonly string[]) => candidates.join(', ') || 'nothing';
  const lost = theirs === null ? [] : ours.told.filter((each) => !theirs.heard.includes(each));
  return [
    ['here', stateOf(ours)],
    ...pairOf(ours),
    ['told', list(ours.told)],
    ...(lost.length > 0 && theirs!.heard.length > 0
      ? [['', `of which did not arrive: ${list(lost)}`] as [string, string]]
      : []),
    ['heard', list(ours.heard)],
    ...(theirs === null
      ? [['there', 'no answer'] as [string, string]]
      : [
          ['there', `${peer} says: ${stateOf(theirs)}`] as [string, string],
          ...pairOf(theirs),
          ['heard', list(theirs.heard)] as [string, string],
        ]),
  ];
}

function stateOf({ state, path, reason, notDirect, turn }: LinkView): string {
  const why = [reason, notDirect && `not direct: ${notDirect}`].filter((each) => each).join('; ');
  return `${state}${path === null ? '' : ` by ${path}`}${why === '' ? '' : `: ${why}`}${turn ? ' (has a TURN server)' : ''}`;
}

function pairOf({ pair }: LinkView): [name: string, text: string][] {
  return pair === null ? [] : [['pair', pairWords(pair)]];
}
