/** Why a link is as it is, in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ask } from '../cli/command.ts';
import { explain } from '../cli/commands/explain.ts';
import { reasonsFor } from '../cli/explanation.ts';
import { FarViews } from '../control/io/far-views.ts';
import type { LinkView } from '../protocol/link-view.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { linkViewExample } from './messages.ts';
import { exampleReport } from './status-example.ts';

const [lima, osaka, riga] = exampleReport.peers as [PeerStatus, PeerStatus, PeerStatus];
const pub = 'srflx 198.51.100.7:4000';
const priv = 'host 192.168.1.2:2333';
const six = 'host [2001:db8::7]:2333';
const down: LinkView = {
  ...{ state: 'negotiating', reason: 'no path', path: null, notDirect: '', pair: null, turn: false },
  ...{ told: [priv, pub], heard: [priv, pub] },
};
const up: LinkView = { ...down, state: 'up', reason: '', path: 'direct' };
const viaData: LinkView = { ...up, path: 'datachannel', notDirect: 'the peer does not answer probes' };

const cases: readonly [
  status: PeerStatus,
  ours: LinkView,
  theirs: LinkView | null,
  said: readonly RegExp[],
][] = [
  [osaka, up, up, [/^packets take the direct path: there is no better one$/]],
  [{ ...osaka, loss: 0.25 }, up, up, [/direct path/, /^it loses 25% of the latest probes$/]],
  [{ ...osaka, rtt: 900, minRtt: 20 }, up, up, [/direct path/, /round trips take 900 ms where they took 20/]],
  [
    lima,
    { ...up, path: 'datachannel' },
    up,
    [
      /^packets go by a TURN server/,
      /both ends know public .*; open or forward the UDP port at one of them; neither has/,
    ],
  ],
  [
    { ...osaka, path: 'datachannel' },
    viaData,
    { ...viaData, notDirect: 'switched off' },
    [/not by direct path: the peer does not answer probes; osaka says: switched off$/],
  ],
  [
    riga,
    down,
    down,
    [
      /^both ends know public addresses .* open or forward udp\/2333 here, or its UDP port at riga; neither has a TURN server$/,
    ],
  ],
  [riga, down, null, [/^both ends know/, /^riga does not answer this question: .*older version$/]],
  [riga, { ...down, told: [] }, down, [/^this node tells no address/]],
  [riga, { ...down, heard: [] }, null, [/^no address of riga has arrived/, /does not answer/]],
  [riga, { ...down, told: [], heard: [] }, down, [/^no attempt has come so far .*: no path$/]],
  [riga, down, { ...down, heard: [] }, [/^none of our addresses has arrived at riga/]],
  [riga, { ...down, told: [six] }, down, [/^this node has IPv6 alone and riga IPv4: /]],
  [riga, { ...down, told: [priv] }, down, [/^this node tells private addresses alone: .*netcheck\)$/]],
  [riga, { ...down, heard: [priv, 'host [fe80::1]:1'] }, down, [/^riga tells private addresses alone/]],
  [
    riga,
    { ...down, state: 'denied', reason: 'denied by policy here' },
    null,
    [/^no link: denied by policy here$/],
  ],
  [riga, down, { ...down, state: 'denied' }, [/^no link: the policy of riga denies this node$/]],
  [riga, down, { ...down, state: 'refused' }, [/refuses the identity key of this node$/]],
];

for (const [status, ours, theirs, said] of cases) {
  test(`${status.id} that is ${ours.state}: ${said[0]!.source}`, () => {
    const reasons = reasonsFor({ peer: status.id, ours, theirs }, status, 2333);
    assert.equal(reasons.length, said.length, reasons.join('\n'));
    for (const [i, pattern] of said.entries()) assert.match(reasons[i]!, pattern);
  });
}

test('golden: a link that is down, at 80 columns; what the peer says steers no terminal', async () => {
  const theirs: LinkView = { ...down, heard: [priv], reason: 'no\u001b[2J path', state: 'lost' };
  const replies: Readonly<Record<string, unknown>> = {
    'GET /v1/status': exampleReport,
    'GET /v1/peers/{id}': riga,
    'POST /v1/peers/{id}/explain': { peer: 'riga', ours: down, theirs },
  };
  const ask = (async (route: string) => replies[route]) as unknown as Ask;
  const shown = await explain.run({ args: ['riga'], options: {} }, ask);
  assert.ok(typeof shown === 'object');
  assert.equal(
    shown.text({ color: false, width: 80 }),
    `riga       both ends know public addresses of each other and no packet gets
           through: a firewall, or NATs that map by destination (cryoc netcheck
           at both); open or forward udp/2333 here, or its UDP port at riga;
           neither has a TURN server
here       negotiating: no path
told       host 192.168.1.2:2333, srflx 198.51.100.7:4000
           of which did not arrive: srflx 198.51.100.7:4000
heard      host 192.168.1.2:2333, srflx 198.51.100.7:4000
there      riga says: lost: no?[2J path
heard      host 192.168.1.2:2333
`,
  );
});

test('a question is asked once more by all ways, and ends after three seconds; a wrong answer is none', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const views = new FarViews();
  const sent: (readonly [number, boolean])[] = [];
  const asked = views.ask('riga', (number, wide) => sent.push([number, wide]));
  views.answered('lima', 1, linkViewExample);
  views.answered('riga', 2, linkViewExample);
  context.mock.timers.tick(1000);
  assert.deepEqual(sent, [
    [1, false],
    [1, true],
  ]);
  context.mock.timers.tick(2000);
  assert.equal(await asked, null);
  const next = views.ask('riga', () => {});
  views.answered('riga', 2, linkViewExample);
  assert.deepEqual(await next, linkViewExample);
  const many = Array.from({ length: 16 }, () => views.ask('riga', () => {}));
  await assert.rejects(
    views.ask('riga', () => {}),
    { code: 'unavailable' },
  );
  views.close();
  assert.ok((await Promise.all(many)).every((view) => view === null));
});
