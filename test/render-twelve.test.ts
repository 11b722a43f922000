/** The status of a mesh of twelve, in 80 columns and in all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '../cli/commands/status.ts';
import { renderStatus } from '../cli/render-status.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { exampleReport, exampleTime as now, plain } from './status-example.ts';

const [, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const narrow = { color: false, width: 80 };
const linesOf = (peers: readonly PeerStatus[], terminal = narrow) =>
  renderStatus({ ...exampleReport, peers: [...peers] }, terminal, now)
    .trimEnd()
    .split('\n');

test('twelve peers with IPv6 and relays fit, each pair of one family, and each that is down with a line that says why', () => {
  const end = (type: 'host' | 'relay', i: number) => ({
    type,
    address: `2001:db8:1234:5678::${i}`,
    port: 2333,
  });
  const peers = Array.from({ length: 12 }, (_, i) => {
    const id = `frankfurt-am-main-rack-${i}`;
    if (i % 4 === 3)
      return {
        ...riga,
        id,
        state: 'lost' as const,
        reason: 'no path',
        since: now - 1000,
        downSince: now - 3_600_000,
      };
    const relayed = i % 4 === 2;
    const pair = { local: end('host', 1), remote: end(relayed ? 'relay' : 'host', i) };
    return { ...osaka, id, relayed, pair, path: relayed ? ('datachannel' as const) : ('direct' as const) };
  });
  const table = linesOf(peers).slice(-16);
  for (const line of table) assert.ok(line.length <= 80, line);
  assert.match(table[0]!, /^PEER/);
  assert.equal(table.filter((line) => /relayed/.test(line)).length, 3);
  for (const [i, line] of table.entries())
    if (/ lost 1h0m /.test(line)) assert.equal(table[i + 1], '  no path');
  assert.equal(
    table.filter((line) => / lost 1h0m /.test(line)).length,
    3,
    'from the outage, not the last try',
  );
  const wide = linesOf(peers, plain);
  assert.equal(wide.filter((line) => /2001:\S+ ↔ (?:host|relay) \[2001:/.test(line)).length, 9);
});

test('--wide prints every column all the same', () => {
  const shown = (options: Record<string, boolean>) =>
    status.show({ ...exampleReport, peers: [osaka] }, { args: [], options }).text(narrow);
  assert.match(shown({ wide: true }), /^PEER .* ADDRESS .* PAIR .* RX .* TX$/m);
  assert.doesNotMatch(shown({}), /ADDRESS/);
});
