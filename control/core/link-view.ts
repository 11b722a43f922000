/** What we see of a link, for whoever asks why it is as it is: our operator, and the node at its other end. */
import { type LinkView, maxViewCandidates, maxViewText } from '../../protocol/link-view.ts';
import type { Body } from '../../protocol/signaling.ts';
import { sendBody } from './flood.ts';
import { isUp, stateOf } from './link.ts';
import { permits } from './policy.ts';
import { within } from './quotas.ts';
import { asFar } from './reach.ts';
import type { Mesh, Turn } from './state.ts';

/** Answers in ten seconds: to one peer, and to all. */
const answersToOne = 4;
const answersToAll = 32;

/** Notes a candidate line among the last ones, each once. */
export function noteCandidate(noted: string[], line: string): void {
  const short = shortCandidate(line);
  if (short === undefined) return;
  const at = noted.indexOf(short);
  if (at >= 0) noted.splice(at, 1);
  else if (noted.length >= maxViewCandidates) noted.shift();
  noted.push(short);
}

/** `host 192.0.2.7:2333`; undefined for what is no candidate (RFC 8839 section 5.1). */
function shortCandidate(line: string): string | undefined {
  const match = /^candidate:\S+ \d+ udp \d+ (\S{1,45}) (\d{1,5}) typ (host|srflx|prflx|relay)\b/i.exec(line);
  if (match === null) return undefined;
  const [, address, port, type] = match as unknown as [string, string, string, string];
  return `${type.toLowerCase()} ${placeOf({ address, port: Number(port) })}`;
}

export function viewOf(mesh: Mesh, peer: string): LinkView {
  const link = mesh.links.get(peer);
  const { turn } = mesh.self;
  if (mesh.disputes.has(peer) && (link === undefined || !isUp(link)))
    return { ...nothing, turn, state: 'refused', reason: 'another identity key claims this ID' };
  if (!permits(mesh.config.policy, peer))
    return { ...nothing, turn, state: 'denied', reason: 'denied by policy here' };
  if (link === undefined) return { ...nothing, turn };
  const { report, toldCandidates, heardCandidates } = link;
  return {
    state: stateOf(link),
    reason: isUp(link) ? '' : link.reason.slice(0, maxViewText),
    path: report?.path ?? null,
    notDirect: report?.path === 'datachannel' ? (report.direct?.reason ?? '').slice(0, maxViewText) : '',
    pair: report?.pair ?? null,
    told: [...toldCandidates],
    heard: [...heardCandidates],
    turn,
  };
}

const nothing: LinkView = {
  ...{ state: 'idle', reason: '', path: null, notDirect: '', pair: null, told: [], heard: [], turn: false },
};

/** An address that ICE did not tell the peer is not told now: that of an interface that the operator left out, say. */
function fitToTell(view: LinkView): LinkView {
  const { pair, told } = view;
  const isTold = pair !== null && told.some((each) => each.endsWith(` ${placeOf(pair.local)}`));
  return isTold ? view : { ...view, pair: null };
}

function placeOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** Asks the peer what it sees. `wide`: by all ways. */
export function askView(turn: Turn, peer: string, number: number, wide: boolean): void {
  const { membership, config } = turn.mesh;
  if (!membership.members.has(peer) || !permits(config.policy, peer)) return;
  sendBody(turn, peer, { kind: 'explain', number }, wide ? asFar(turn, 'wide') : 'straight');
}

/** A node asks. Whom our policy denies gets no answer, nor who asks everybody at once; nothing is learned of the question. */
export function answerView(turn: Turn, body: Extract<Body, { kind: 'explain' }>): void {
  const { mesh, env } = turn;
  if (body.to !== mesh.self.id || !permits(mesh.config.policy, body.from)) return;
  if (!within(mesh.quotas, `explain ${body.from}`, answersToOne, 10_000, env.now)) return;
  if (!within(mesh.quotas, 'explain', answersToAll, 10_000, env.now)) return;
  const view = fitToTell(viewOf(mesh, body.from));
  // Its question has shown the way back, and answers by all ways would use up those of our own.
  sendBody(turn, body.from, { kind: 'explained', number: body.number, view });
}
