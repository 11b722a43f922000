/** All about one peer: what `cryoc status PEER` and `cryoc explain` print, and what only watching tells. */
import type { NodeEvent } from '../../protocol/events.ts';
import type { Explanation } from '../../protocol/link-view.ts';
import type { PeerStatus, StatusReport } from '../../protocol/status.ts';
import { detailsOf, reasonsFor } from '../explanation.ts';
import { renderPeer } from '../render-peer.ts';
import { labelled } from '../render-status.ts';
import { duration, eventWords } from '../words.ts';
import type { Model } from './model.ts';
import { type Line, line, piece, type Style } from './paint.ts';
import { signOf } from './signs.ts';
import { sparkline } from './sparkline.ts';
import { rateWords } from './table.ts';
import type { Track } from './track.ts';

/** Columns before each fact, as in `renderPeer`. */
const labelWidth = 11;
const ageWidth = 11;

/** However many lines. */
export function peerPage(model: Model, id: string): Line[] {
  const { last, size } = model;
  const peer = last?.report.peers.find((each) => each.id === id);
  if (last === undefined || peer === undefined) return [line(piece(`${id} is not known any more`, 'bad'))];
  return [
    ...facts(last.report, peer, size.columns, last.time),
    ...trends(model.tracks.get(id), size.columns - labelWidth),
    ...past(model.happened.get(id) ?? [], last.time),
    ...why(model.explanation, peer, last.report, size.columns),
  ];
}

/** What `cryoc explain` says, once both ends have been asked. */
function why(
  explanation: Explanation | undefined,
  peer: PeerStatus,
  { dataplane }: StatusReport,
  width: number,
): Line[] {
  if (explanation?.peer !== peer.id) return [];
  const reasons = reasonsFor(explanation, peer, dataplane.udpPort);
  const said: [name: string, text: string][] = [
    ...reasons.map((reason, i): [string, string] => [i === 0 ? 'why' : '', reason]),
    ...detailsOf(explanation),
  ];
  const lines = said.flatMap(([name, text]) => labelled(name, text, width));
  return [line(), ...lines.map((each) => fact(each.slice(0, labelWidth), each.slice(labelWidth)))];
}

/** The state stands out. */
function facts(report: StatusReport, peer: PeerStatus, width: number, time: number): Line[] {
  const text = renderPeer(peer, report, { color: false, width }, time).trimEnd();
  return text.split('\n').map((each) => {
    const label = each.slice(0, labelWidth);
    return fact(label, each.slice(labelWidth), label.trimEnd() === 'state' ? signOf(peer).style : 'plain');
  });
}

function trends(track: Track | undefined, width: number): Line[] {
  if (track === undefined) return [];
  const { samples, rx, tx } = track;
  const known = samples.filter((sample) => sample !== null);
  const range = `${Math.min(...known).toFixed(1)}ms to ${Math.max(...known).toFixed(1)}ms`;
  const bars = sparkline(samples, Math.min(samples.length, width - range.length - 2));
  return [
    ...(rx === null && tx === null ? [] : [fact('rates', `${rateWords(rx)}/s in, ${rateWords(tx)}/s out`)]),
    ...(known.length === 0 ? [] : [fact('trips', `${bars}  ${range}`)]),
  ];
}

/** What has happened, the latest first, with how long ago. */
function past(events: readonly NodeEvent[], time: number): Line[] {
  return events.toReversed().map((event, i) => {
    const age = `${duration(time - Date.parse(event.time))} ago`;
    return fact(i === 0 ? 'lately' : '', `${age.padEnd(ageWidth)}${event.event} ${eventWords(event)}`);
  });
}

function fact(label: string, text: string, style: Style = 'plain'): Line {
  return line(piece(label.padEnd(labelWidth), 'dim'), piece(text, style));
}
