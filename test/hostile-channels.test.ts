/** Datachannels that nobody asked for, against an engine in a process of its own: whether it goes on is seen from here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { openNodeDatachannel } from '../dataplane/io/engine/node-datachannel.ts';
import { eventsFor, HostilePeer } from './hostile/peer.ts';
import { waitFor } from './native/wait.ts';
import { connected } from './webrtc-end.ts';
import { RemoteEngine } from './webrtc-remote.ts';

const megabyte = 2 ** 20;

// The library of a peer that was cut off sometimes keeps a callback for ever.
after(() => setTimeout(() => process.exit(), 1000).unref());

test('a datachannel that nobody asked for ends its connection, and nobody else notices', async (t) => {
  const victim = await RemoteEngine.open([]);
  t.after(() => victim.close());
  const own = await openNodeDatachannel({ udpPort: 0, fixed: false });
  t.after(() => own.close());
  const { offerer, answerer } = await connected({ offerer: own, answerer: victim });
  const before = rssOf(victim.pid);

  let sent = 0;
  const honest = setInterval(() => {
    offerer.connection.send('wire', Buffer.from(`${sent++}`));
  }, 10);
  t.after(() => clearInterval(honest));
  for (let round = 0; round < 3; round++) {
    const peers = await Promise.all(Array.from({ length: 6 }, () => linkTo(victim)));
    for (const peer of peers) peer.floodInBand();
    await waitFor('the end of every hostile connection', () => peers.every((peer) => peer.isOver), 10_000);
    for (const peer of peers) peer.close();
  }
  clearInterval(honest);
  await waitFor('every honest message', () => answerer.messages.wire.length === sent, 5000);
  const grown = (rssOf(victim.pid) - before) / megabyte;
  t.diagnostic(`${sent} honest messages, ${grown.toFixed(1)} MB more`);
  assert.ok(grown < 20, `${grown} MB`);
});

async function linkTo(victim: RemoteEngine): Promise<HostilePeer> {
  const peer = new HostilePeer();
  await peer.offerTo(victim.connect({ route: 'shared', iceServers: [] }, eventsFor(peer)));
  await waitFor('a hostile connection', () => peer.isOpen, 10_000);
  return peer;
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
