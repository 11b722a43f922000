/**
 * The other ends of very many links of one dataplane, in one process. As a program it runs in a namespace:
 *
 *   node crowd.ts SOCKET COUNT     links the dataplane that serves the socket, as its control, with that many others
 *
 * It prints a `Crowded` as JSON once all links are up, and goes on running. The others are dataplanes like any, but for their
 * interfaces: those are in memory, answer pings, and have no direct path.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { openNodeDatachannel } from '../../dataplane/io/engine/node-datachannel.ts';
import { type MemoryTun, MemoryTunFactory } from '../../dataplane/io/memory-tun.ts';
import { DataplaneShell } from '../../dataplane/shell.ts';
import {
  dataplaneVersion,
  type HelloReply,
  type LinkReport,
  type NotificationParams,
} from '../../protocol/dataplane.ts';
import { RpcConnection, type RpcEvents } from '../../protocol/rpc.ts';
import { attemptWith, configOf } from '../../test/dataplane-pair.ts';
import { epochs } from '../../test/descriptions.ts';
import { newLogLines } from '../../test/log-lines.ts';
import { timed, waitFor } from './wait.ts';

export interface Crowded {
  /** From the first negotiation until all links are up. */
  readonly milliseconds: number;
  /** The links as they were reported one by one, and as a control is told of them that connects later. */
  readonly links: readonly LinkReport[];
  readonly adopted: readonly LinkReport[];
}

interface Member {
  readonly shell: DataplaneShell;
  readonly tuns: MemoryTunFactory;
}

/** The dataplane's ID. Those of the others are m0, m1, …. */
const hubId = 'hub';
/** Links that are negotiated at the same time. */
const batch = 10;
const upMilliseconds = 60_000;
/** Milliseconds between looks for pings to answer. */
const lookInterval = 10;

/** Offsets in an ICMPv6 packet without extension headers (RFC 4443 section 4). */
const offset = { nextHeader: 6, source: 8, destination: 24, end: 40, type: 40, checksum: 42 } as const;
const icmpv6 = 58;
const echo = { request: 128, reply: 129 } as const;

async function crowd(path: string, count: number): Promise<Crowded> {
  const members = new Map<string, Member>();
  const reports = new Map<string, LinkReport>();
  const told: RpcEvents['notification'] = (name, params) => {
    if (name === 'link') {
      const report = params as LinkReport;
      reports.set(report.peer, report);
    }
    if (name === 'candidate') {
      const { peer, ...candidate } = params as NotificationParams<'candidate'>;
      members.get(peer)?.shell.notification('candidate', { peer: hubId, ...candidate });
    }
  };
  setInterval(() => {
    for (const { tuns } of members.values()) for (const tun of tuns.devices.values()) answerPings(tun);
  }, lookInterval);

  const hub = await dial(path, told);
  await hello(hub);
  const { milliseconds } = await timed(async () => {
    for (let first = 0; first < count; first += batch) {
      const ids = Array.from({ length: Math.min(batch, count - first) }, (_, index) => `m${first + index}`);
      for (const id of ids) members.set(id, await newMember(id, hub));
      await Promise.all(ids.map((id) => negotiate(hub, id, members.get(id)!)));
      await waitFor(
        `${members.size} links`,
        upMilliseconds,
        () => [...reports.values()].filter(({ state, interface: device }) => state === 'up' && device).length,
        (up) => up === members.size,
      );
    }
  });
  hub.close();
  const { links: adopted } = await hello(await dial(path, told));
  return { milliseconds, links: [...reports.values()], adopted };
}

async function dial(path: string, notification: RpcEvents['notification']): Promise<RpcConnection> {
  const socket = connect(path);
  await once(socket, 'connect');
  const request = () => Promise.reject(new Error('a dataplane asks nothing'));
  return new RpcConnection(socket, { request, notification, closed: () => {} });
}

function hello(hub: RpcConnection): Promise<HelloReply> {
  return hub.call('hello', { version: dataplaneVersion, config: configOf(hubId) });
}

async function newMember(id: string, hub: RpcConnection): Promise<Member> {
  const tuns = new MemoryTunFactory();
  const shell = new DataplaneShell({
    ...{ log: newLogLines().log, tuns, child: false },
    openEngine: () => openNodeDatachannel({ udpPort: 0, fixed: false }),
  });
  await shell.request('hello', { version: dataplaneVersion, config: configOf(id) });
  shell.attach({
    notify: (name, params) => {
      if (name !== 'candidate') return;
      hub.notify('candidate', { ...(params as NotificationParams<'candidate'>), peer: id });
    },
  });
  return { shell, tuns };
}

async function negotiate(hub: RpcConnection, id: string, { shell }: Member): Promise<void> {
  const negotiation = `with-${id}`;
  const offer = await hub.call('offer', attemptWith(id, negotiation));
  const answer = await shell.request('answer', { ...attemptWith(hubId, negotiation), ...offer, epochs });
  await hub.call('accept', { peer: id, negotiation, ...answer, epochs });
}

function answerPings(tun: MemoryTun): void {
  for (const packet of tun.written.splice(0)) {
    if (packet[offset.nextHeader] !== icmpv6 || packet[offset.type] !== echo.request) continue;
    const reply = Buffer.from(packet);
    reply.set(packet.subarray(offset.destination, offset.end), offset.source);
    reply.set(packet.subarray(offset.source, offset.destination), offset.destination);
    reply[offset.type] = echo.reply;
    // RFC 1624, equation 3: the word that begins with the type is 0x0100 more than before.
    const sum = (~reply.readUInt16BE(offset.checksum) & 0xffff) + 0x0100;
    reply.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, offset.checksum);
    tun.inject(reply);
  }
}

const [path, count] = process.argv.slice(2);
console.log(JSON.stringify(await crowd(path!, Number(count))));
