/** What the dataplane reports of links, and what control does about it. */
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { Untimed } from '../../protocol/events.ts';
import { welcome } from './gossip.ts';
import { acceptedBy, prove } from './identity.ts';
import { attemptOn, hasShared, isOpen, isUp, type Link } from './link.ts';
import { adopted, linkChanges } from './link-changes.ts';
import { forget } from './membership.ts';
import { newAttempt, retireDelay, retryNow, tend } from './negotiation.ts';
import { keepToPath } from './path-wish.ts';
import { permits } from './policy.ts';
import { isRetired, renewPause } from './renewal.ts';
import {
  addChannel,
  dropChannel,
  ensureLink,
  notice,
  publish,
  removeLink,
  show,
  type Turn,
} from './state.ts';

/** Adopts a link that the dataplane had before this control started, or while the two were not connected. Connections that
 *  are not open are closed, because the state of their negotiations is lost. */
export function adopt(turn: Turn, report: LinkReport): void {
  const { env } = turn;
  const link = ensureLink(turn, report.peer);
  if (link === undefined) {
    turn.effects.push({ type: 'remove', peer: report.peer });
    return;
  }
  link.everUp = true;
  for (const { negotiation, route, open } of report.connections) {
    const older = attemptOn(link, route)?.negotiation ?? null;
    // The WebSocket was that of the control before.
    if (!open || route === 'websocket') {
      turn.effects.push({ type: 'close', peer: report.peer, negotiation });
      continue;
    }
    const making = { negotiation, route, replaces: older, identity: null, reach: 'straight' } as const;
    const attempt = newAttempt(turn, making);
    attempt.state = { phase: 'open' };
    if (attempt.renewAt !== null) attempt.renewAt = env.now + renewPause;
    link.attempts.set(negotiation, attempt);
  }
  if (report.state === 'up') link.shown = 'up';
  takeReport(turn, report, adopted(report));
  if (report.state === 'up')
    notice(turn, 'info', 'link adopted', { peer: report.peer, interface: report.interface?.name });
}

/** Takes in the report of a link. The link's `signal` channel comes and goes with its state. `told`: to those who watch the
 *  node, in place of what has changed. */
export function takeReport(turn: Turn, report: LinkReport, told?: readonly Untimed[]): void {
  const { mesh, env } = turn;
  const link = mesh.links.get(report.peer);
  if (link === undefined || !permits(mesh.config.policy, report.peer)) {
    turn.effects.push({ type: 'remove', peer: report.peer });
    return;
  }
  const wasUp = isUp(link);
  publish(turn, ...(told ?? linkChanges(link.peer, link.report, report)));
  link.report = report;
  if (report.reason !== '') link.reason = report.reason;
  for (const { negotiation, open } of report.connections) {
    const attempt = link.attempts.get(negotiation);
    if (attempt === undefined) continue;
    if (open && !isOpen(attempt)) mesh.outcomes.opened++;
    if (open) attempt.state = { phase: 'open' };
    else if (isOpen(attempt)) attempt.state = { phase: 'connecting' };
  }
  if (!keepToPath(turn, link)) {
    dropChannel(turn, `link:${report.peer}`);
    if (mesh.links.get(report.peer) === link) show(turn, link);
    return;
  }
  const channel = `link:${report.peer}`;
  if (report.state === 'up') {
    link.everUp = link.heard = true;
    link.askedAt = null;
    link.unanswered = 0;
    link.reason = link.farReason = '';
    const identity = link.attempts.get(report.active ?? '')?.identity ?? null;
    if (identity !== null) prove(turn, report.peer, identity, true);
    acceptedBy(turn, report.peer);
    // A link that only its direct path holds up has no connection yet, so its failures still count; so do those of better
    // routes than a WebSocket.
    const route = link.attempts.get(report.active ?? '')?.route;
    if (report.active !== null && route !== 'websocket') link.shared.failures = link.relay.failures = 0;
    if (hasShared(link)) link.relay.retryAt = null;
    if (report.active !== null) link.websocket.retryAt = null;
    if (route === 'websocket') link.websocket.failures = 0;
    if ([...link.attempts.values()].some((attempt) => isRetired(link, attempt)))
      link.retireAt ??= env.now + retireDelay;
    // The direct path alone carries no signaling.
    if (report.active === null) dropChannel(turn, channel);
    else if (!mesh.neighbors.has(channel)) {
      addChannel(turn, channel, report.peer);
      // An unknown peer: this control has just started. The exchange of lists tells it who is there.
      if (!mesh.membership.members.has(report.peer)) welcome(turn, channel);
    }
  } else {
    dropChannel(turn, channel);
    link.degraded = false;
    if (wasUp) {
      retryNow(turn, link, 'shared');
      notice(turn, 'warn', 'link lost', { peer: link.peer, reason: report.reason });
    }
  }
  show(turn, link);
  tend(turn, link);
}

/** Drops all reports and attempts, because the dataplane is gone and its connections with it. */
export function dropReports(turn: Turn): void {
  for (const link of turn.mesh.links.values()) {
    link.attempts.clear();
    if (isUp(link)) {
      const on = link.report?.interface?.name;
      const reason = 'the dataplane does not answer';
      publish(turn, { event: 'link.lost', peer: link.peer, ...(on && { interface: on }), reason });
    }
    link.report = null;
    link.shared.retryAt = turn.env.now;
    link.relay.retryAt = null;
    link.retireAt = null;
    dropChannel(turn, `link:${link.peer}`);
    show(turn, link);
  }
}

/** Forgets members that were not heard of for `forgetAfter`, and links with nodes that are no members, unless they are
 *  up. */
export function forgetSilent(turn: Turn): void {
  const { mesh, env } = turn;
  const { forgetAfter } = mesh.config;
  for (const [id, member] of [...mesh.membership.members]) {
    const link: Link | undefined = mesh.links.get(id);
    if (link !== undefined && isUp(link)) member.heardAt = env.now;
    if (env.now - member.heardAt < forgetAfter) continue;
    forget(mesh.membership, id);
    mesh.routes.delete(id);
    notice(turn, 'info', 'peer forgotten', { peer: id, silentSeconds: forgetAfter / 1000 });
    publish(turn, { event: 'peer.forgotten', peer: id });
    removeLink(turn, id, 'the peer is forgotten');
  }
  for (const [peer, link] of [...mesh.links]) {
    if (mesh.membership.members.has(peer) || isUp(link)) continue;
    if (env.now - link.since >= forgetAfter) removeLink(turn, peer, 'the peer is forgotten');
  }
}
