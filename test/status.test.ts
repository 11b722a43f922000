import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLink } from '../control/core/link.ts';
import { type Mesh, newMesh } from '../control/core/state.ts';
import { sha256 } from '../control/io/crypto.ts';
import { type LinkStats, peerStatuses } from '../control/status.ts';
import type { LinkReport } from '../protocol/dataplane.ts';
import { check } from '../protocol/schema.ts';
import { statusReport } from '../protocol/status.ts';

const now = 1_764_000_000_000;

const counters = { rxPackets: 1, rxBytes: 2, txPackets: 3, txBytes: 4, rxDropped: 5, txDropped: 6 };
const stats: LinkStats = {
  ...{ peer: 'b', rtt: 12.5, minRtt: 11, loss: 0.02, pathMtu: 1500, counters },
  dropped: { replayed: 7 },
};

/** Our mesh, with a link to `b` of which the dataplane reported this. */
function meshWith(report: Partial<LinkReport>): Mesh {
  const mesh = newMesh(
    { id: 'a', key: new Uint8Array(32), epoch: 1, turn: false },
    {
      ...{ policy: { allow: [], deny: [] }, checkInterval: 10_000, forgetAfter: 60_000 },
      ...{
        aliveInterval: 20_000,
        webSocketPaths: true,
        named: new Map(),
        operators: [],
        identities: { file: '', reload: '' },
      },
    },
    new Map(),
    {
      now,
      random: () => 0,
      sign: () => new Uint8Array(64),
      verify: () => true,
      digest: () => new Uint8Array(32),
    },
  );
  const link = newLink('a', 'b', now);
  link.report = {
    ...{ peer: 'b', state: 'up', reason: '', active: 'n', connections: [], pair: null, interface: null },
    ...{ path: 'datachannel', ...report },
  };
  mesh.links.set('b', link);
  return mesh;
}

test('a peer’s status has what the dataplane says of the direct path and what it measured', () => {
  const direct = { state: 'off', reason: 'no answer' } as const;
  const [peer] = peerStatuses(meshWith({ direct }), [stats], sha256);
  assert.deepEqual(peer!.direct, direct);
  const { id, rtt, minRtt, loss, pathMtu, dropped } = peer!;
  assert.deepEqual({ peer: id, rtt, minRtt, loss, pathMtu, counters: peer!.counters, dropped }, stats);
});

test('the ends of the path are those of this moment, where the dataplane says them', () => {
  const end = (address: string) => ({ type: 'host', address, port: 2333 }) as const;
  const told = { local: end('192.0.2.1'), remote: end('192.0.2.2') };
  const now = { local: end('2001:db8::1'), remote: end('2001:db8::2') };
  assert.deepEqual(peerStatuses(meshWith({ pair: told }), [{ ...stats, pair: now }], sha256)[0]!.pair, now);
  assert.deepEqual(peerStatuses(meshWith({ pair: told }), [stats], sha256)[0]!.pair, told);
  const lost = meshWith({ state: 'lost', path: null, active: null });
  assert.equal(peerStatuses(lost, [{ ...stats, pair: now }], sha256)[0]!.pair, null);
});

test('of a link that is not up nothing is measured; what it counted stays', () => {
  const [peer] = peerStatuses(meshWith({ state: 'lost', path: null, active: null }), [stats], sha256);
  const { rtt, minRtt, loss, pathMtu, dropped } = peer!;
  assert.deepEqual({ rtt, minRtt, loss, pathMtu }, { rtt: null, minRtt: null, loss: null, pathMtu: null });
  assert.deepEqual([peer!.counters, dropped], [counters, { replayed: 7 }]);
});

test('what a dataplane does not say is null, and a report without it is one still', () => {
  const [peer] = peerStatuses(meshWith({}), [{ peer: 'b', rtt: 1, counters }], sha256);
  const { direct, minRtt, loss, pathMtu, dropped, ...rest } = peer!;
  assert.deepEqual([direct, minRtt, loss, pathMtu, dropped], Array(5).fill(null));
  const report = {
    version: '0',
    node: { id: 'a', identity: '', listen: '', pid: 1, uptime: 0 },
    dataplane: { connected: false, pid: null, udpPort: null, engine: null },
    ...{ bootstrap: [], neighbors: [] },
  };
  for (const each of [peer!, rest]) {
    assert.deepEqual(check(statusReport, { ...report, peers: [each] }).peers, [each]);
  }
});
