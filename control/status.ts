/** Control's state in the form of `protocol/status.ts`. */

import type * as z from 'zod/mini';
import type { linkStats } from '../protocol/dataplane.ts';
import { isFingerprint } from '../protocol/fingerprint.ts';
import { linkCost, type Measured } from '../protocol/link-cost.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';
import { hex } from './core/environment.ts';
import { type Digest, fingerprintOfPin } from './core/fingerprint.ts';
import { isUp, stateOf } from './core/link.ts';
import { offers } from './core/offerer.ts';
import { pathTrouble } from './core/path-wish.ts';
import { settingOf } from './core/peer-settings.ts';
import { pinOf } from './core/pins.ts';
import { permits } from './core/policy.ts';
import type { Mesh } from './core/state.ts';
import { allStatements, verdictOn } from './core/statements.ts';

export type LinkStats = z.infer<typeof linkStats>;

/** The status of every known node and every link, sorted by ID. `clock` converts a time of core to the machine's clock. */
export function peerStatuses(
  mesh: Mesh,
  stats: readonly LinkStats[],
  digest: Digest,
  clock: (at: number) => number = Math.round,
): PeerStatus[] {
  const statsByPeer = new Map(stats.map((each) => [each.peer, each]));
  return idsOf(mesh).map((id) => peerStatus(mesh, id, statsByPeer.get(id), digest, clock));
}

export function neighborStatuses(mesh: Mesh): StatusReport['neighbors'] {
  const via = new Map<string, Set<'websocket' | 'link'>>();
  for (const [channel, { id }] of mesh.neighbors) {
    const ways = via.get(id) ?? new Set();
    ways.add(channel.startsWith('ws:') ? 'websocket' : 'link');
    via.set(id, ways);
  }
  return [...via]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, ways]) => {
      const refused = mesh.accounts.get(id)?.refused;
      return {
        id,
        via: [...ways].sort(),
        ...(refused !== undefined && refused.size > 0 ? { refused: Object.fromEntries(refused) } : {}),
      };
    });
}

/** The IDs of all members, links and disputed nodes, sorted. */
export function idsOf(mesh: Mesh): string[] {
  return [
    ...new Set([
      ...[...mesh.membership.members.keys(), ...mesh.links.keys(), ...mesh.disputes.keys()],
      ...revokedIn(mesh),
    ]),
  ].sort();
}

/** Whether the pair goes through a TURN server. */
export function isRelayed(pair: PeerStatus['pair']): boolean {
  return pair?.local.type === 'relay' || pair?.remote.type === 'relay';
}

/** Those that were cut off, and all whose ID is revoked while their key is known. */
function* revokedIn({ cutOff, membership }: Mesh): Generator<string> {
  yield* cutOff;
  for (const { statement } of allStatements(membership.statements)) {
    const { kind, subject } = statement;
    if (
      kind === 'revoke' &&
      pinOf(membership.pins, subject) !== undefined &&
      isRevokedId(membership, subject)
    )
      yield subject;
  }
}

function isRevokedId({ statements }: Mesh['membership'], id: string): boolean {
  return verdictOn(statements, id)?.statement.kind === 'revoke';
}

function peerStatus(
  mesh: Mesh,
  id: string,
  stats: LinkStats | undefined,
  digest: Digest,
  clock: (at: number) => number,
): PeerStatus {
  const member = mesh.membership.members.get(id);
  const link = mesh.links.get(id);
  const pin = member === undefined ? pinOf(mesh.membership.pins, id) : hex(member.record.key);
  const { state, reason } = stateAndReason(mesh, id);
  const measured = link !== undefined && isUp(link) ? stats : undefined;
  const pair = measured?.pair ?? link?.report?.pair ?? null;
  const since = link?.since ?? member?.heardAt;
  const relayed = isRelayed(pair);
  const figures = { rtt: measured?.rtt ?? null, loss: measured?.loss ?? null };
  return {
    id,
    identity: Buffer.from(pin === undefined || isFingerprint(pin) ? '' : pin, 'hex').toString('base64url'),
    ...(pin === undefined ? {} : { fingerprint: fingerprintOfPin(pin, digest) }),
    state,
    reason,
    farReason: link === undefined || isUp(link) ? '' : link.farReason,
    path: link?.report?.path ?? null,
    direct: link?.report?.direct ?? null,
    relayed,
    pair,
    ...figures,
    minRtt: measured?.minRtt ?? null,
    degraded: link !== undefined && isUp(link) && link.degraded,
    pathMtu: measured?.pathMtu ?? null,
    cost: costOf(mesh, id, { state, relayed, path: link?.report?.path ?? null, ...figures }),
    interface: link?.report?.interface ?? null,
    counters: stats?.counters ?? null,
    dropped: stats?.dropped ?? null,
    since: since === undefined ? 0 : clock(since),
    downSince: link?.downSince == null ? null : clock(link.downSince),
    offerer: offers(mesh.self.id, id) ? 'self' : 'peer',
  };
}

/** What the operator set counts in place of what was measured. */
function costOf(mesh: Mesh, id: string, measured: Measured): number | null {
  const cost = linkCost(measured);
  return cost === null ? null : (settingOf(mesh.config.policy.peers, id, 'cost') ?? cost);
}

export function stateAndReason(mesh: Mesh, id: string): Pick<PeerStatus, 'state' | 'reason'> {
  if (mesh.cutOff.has(id) || isRevokedId(mesh.membership, id))
    return { state: 'denied', reason: 'revoked by an operator' };
  const link = mesh.links.get(id);
  const up = link !== undefined && isUp(link);
  if (!up && mesh.disputes.has(id)) {
    return { state: 'refused', reason: 'another identity key claims this ID' };
  }
  if (!permits(mesh.config.policy, id)) return { state: 'denied', reason: 'denied by our policy' };
  if (link === undefined) return { state: 'idle', reason: '' };
  return { state: stateOf(link), reason: up ? '' : pathTrouble(mesh, link) || link.reason };
}
