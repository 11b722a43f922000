/** What has changed between two reports of a link, for those who watch the node. */
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { NodeEvent, Untimed } from '../../protocol/events.ts';

/** Null stands for no report: the dataplane has no such link, or is not there. `reason`: why the link is lost, where the
 *  reports do not say it. */
export function linkChanges(
  peer: string,
  before: LinkReport | null,
  after: LinkReport | null,
  reason = '',
): Untimed[] {
  const [old, device] = [before?.interface ?? null, after?.interface ?? null];
  const [wasUp, isUp] = [before?.state === 'up', after?.state === 'up'];
  const isNew = device !== null && device.index !== old?.index;
  const isGone = old !== null && old.index !== device?.index;
  const on = { peer, ...interfaceOf(device ?? old) };
  const changes: Untimed[] = [];
  if (!isUp && wasUp) changes.push({ event: 'link.lost', ...on, reason: after?.reason || reason });
  if (isGone) changes.push({ event: 'interface.removed', peer, ...interfaceOf(old) });
  if (isNew) changes.push({ event: 'interface.added', ...on, mtu: device.mtu, ...addressesOf(device) });
  if (isUp && !wasUp) changes.push({ event: 'link.up', ...on, ...pathOf(after) });
  if (isUp && wasUp && pathOf(before).path !== pathOf(after).path) {
    const { path: pathBefore } = pathOf(before);
    changes.push({ event: 'link.path', ...on, ...pathOf(after), ...(pathBefore && { pathBefore }) });
  }
  if (device === null || old === null || isNew) return changes;
  if (device.mtu !== old.mtu)
    changes.push({ event: 'mtu.changed', ...on, mtu: device.mtu, mtuBefore: old.mtu });
  const hadAddresses = Object.values(addressesOf(old)).flat().join(' ');
  if (hadAddresses !== Object.values(addressesOf(device)).flat().join(' '))
    changes.push({ event: 'interface.address', ...on, ...addressesOf(device) });
  return changes;
}

/** What a control tells of a link that the dataplane had before it came. */
export function adopted(report: LinkReport): Untimed[] {
  if (report.state !== 'up') return [];
  return [{ event: 'link.adopted', peer: report.peer, ...interfaceOf(report.interface), ...pathOf(report) }];
}

function addressesOf({ address, addresses }: NonNullable<LinkReport['interface']>) {
  return { address, ...(addresses && { addresses }) };
}

function interfaceOf(device: LinkReport['interface']): Pick<NodeEvent, 'interface'> {
  return device === null ? {} : { interface: device.name };
}

function pathOf(report: LinkReport | null): Pick<NodeEvent, 'path'> {
  if (report === null || report.path === null) return {};
  const { path, pair } = report;
  const relayed = pair?.local.type === 'relay' || pair?.remote.type === 'relay';
  return { path: relayed ? 'relayed' : path };
}
