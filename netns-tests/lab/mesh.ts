/** Nodes that should know each other: waiting for their links, and trying them. */
import type { PeerStatus, StatusReport } from '../../protocol/status.ts';
import type { CryonetNode } from './node.ts';
import { type PingOptions, type PingResult, ping } from './ping.ts';
import { waitFor } from './wait.ts';

export type UpPeer = PeerStatus & { interface: NonNullable<PeerStatus['interface']> };

/** How a pair of nodes reaches each other. */
export type Outcome = 'direct' | 'relayed' | 'websocket' | 'none';

/** Waits until each node has an up link, with carrier, to each other node, and resolves with their reports. */
export async function meshed(nodes: readonly CryonetNode[], bound = 60_000): Promise<StatusReport[]> {
  let reports: StatusReport[] = [];
  await waitFor(
    `a full mesh of ${nodes.map(({ id }) => id).join(', ')}`,
    bound,
    async () => {
      reports = await Promise.all(nodes.map((node) => node.status()));
      return missing(reports, nodes);
    },
    (links) => links.length === 0,
  );
  return reports;
}

function missing(reports: readonly StatusReport[], nodes: readonly CryonetNode[]): string[] {
  return reports.flatMap(({ node, peers }) =>
    nodes
      .filter(({ id }) => id !== node.id)
      .flatMap(({ id }) => {
        const peer = peers.find((known) => known.id === id);
        if (peer?.state === 'up' && peer.interface?.carrier) return [];
        return [`${node.id} to ${id}: ${peer ? `${peer.state} ${peer.reason}`.trim() : 'not known'}`];
      }),
  );
}

/** Waits until both ends say the link is up; resolves with what the first says of it. */
export async function linked(node: CryonetNode, other: CryonetNode, bound: number): Promise<UpPeer> {
  const [report] = await meshed([node, other], bound);
  return linkTo(report!, other.id);
}

/** The up link to a peer. Throws where there is none. */
export function linkTo(report: StatusReport, id: string): UpPeer {
  const peer = report.peers.find((known) => known.id === id);
  if (peer?.state !== 'up' || !peer.interface) throw new Error(`${report.node.id} has no link to ${id}`);
  return { ...peer, interface: peer.interface };
}

/** `address%interface` of the peer's end of a link, as ping takes it. */
export function farEnd({ interface: { peerAddress, name } }: UpPeer): string {
  return `${peerAddress}%${name}`;
}

export interface Crossing extends PingResult {
  readonly from: string;
  readonly to: string;
}

/** Pings every peer over every link, both ways, by the links' own addresses. */
export async function pingMesh(
  nodes: readonly CryonetNode[],
  options: PingOptions = {},
): Promise<Crossing[]> {
  const reports = await Promise.all(nodes.map((node) => node.status()));
  const crossings = nodes.flatMap((node, index) =>
    nodes
      .filter((other) => other !== node)
      .map(async (other) => {
        const target = farEnd(linkTo(reports[index]!, other.id));
        return { from: node.id, to: other.id, ...(await ping(node.namespace, target, options)) };
      }),
  );
  return Promise.all(crossings);
}

/** The pings that lost anything, as sentences; empty where all is well. */
export function losses(crossings: readonly Crossing[]): string[] {
  return crossings
    .filter(({ sent, received }) => received !== sent)
    .map(({ from, to, sent, received }) => `${from} to ${to}: ${received} of ${sent}`);
}

/** Interface name and ifindex by peer: what must not change while a link lives. */
export function interfaces({ peers }: StatusReport): Record<string, string> {
  return Object.fromEntries(
    peers.flatMap(({ id, interface: device }) => (device ? [[id, `${device.index} ${device.name}`]] : [])),
  );
}

/** Classifies a link by what one end reports. */
export function outcome(peer: PeerStatus | undefined): Outcome {
  if (peer?.state !== 'up') return 'none';
  if (peer.path === 'websocket') return 'websocket';
  return peer.relayed ? 'relayed' : 'direct';
}
