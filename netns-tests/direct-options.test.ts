/** What options, and kernels that do not know what the direct path needs, make of it. */
import assert from 'node:assert/strict';
import { buildTool } from './lab/compiled.ts';
import { directPair, onPath, printedStatus } from './lab/direct.ts';
import { countMarks } from './lab/marks.ts';
import { linked, losses, pingMesh } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';
import { waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap, --no-direct ──┐ switch
 *   b → a ──────────────────────┘
 */
story('one end without direct paths keeps the link on its datachannel', ['ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const a = new CryonetNode(hosts[0]!, { listen: true, options: ['--no-direct'] }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a] }).start();
  await linked(a, b, 30_000);
  // Two seconds of packets: a direct path takes a fraction of one.
  assert.deepEqual(losses(await pingMesh([a, b], { count: 100, interval: 0.02 })), []);
  const ends = [await a.peer('b'), await b.peer('a')];
  assert.deepEqual(
    ends.map((end) => end?.path),
    ['datachannel', 'datachannel'],
  );
  assert.deepEqual(ends[0]?.direct, { state: 'off', reason: 'switched off' });
  assert.match(await printedStatus(a), /datachannel \(switched off\)/);
});

/*
 *   a  bootstrap, --mtu 1400 ──┐ switch of 1500
 *   b → a, --mtu 1400 ─────────┘
 */
story('an MTU that was asked for stays, whatever the path takes', ['ping'], async (lab) => {
  const { a, b } = await directPair(lab, { options: ['--mtu', '1400'] });
  a.start();
  b.start();
  const link = await linked(a, b, 30_000);
  assert.equal(link.interface.mtu, 1400);
  await onPath('direct', [a, b], 30_000);
  const ends = await waitFor(
    'the path to be measured',
    5_000,
    async () => [await a.peer('b'), await b.peer('a')],
    (seen) => seen.every((end) => end?.pathMtu === 1500),
  );
  assert.deepEqual(
    ends.map((end) => end?.interface?.mtu),
    [1400, 1400],
  );
  assert.deepEqual(losses(await pingMesh([a, b], { size: 1400 - 48 })), []);
});

/*
 *   a  bootstrap ────────┐ switch
 *   b → a, --fwmark 42 ──┘
 */
story('every packet of the port carries the mark', ['nft', 'ping'], async (lab) => {
  const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
  const counts = await countMarks(hosts[1]!, 'meta nfproto ipv4 udp sport 2333');
  const a = new CryonetNode(hosts[0]!, { listen: true }).start();
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options: ['--fwmark', '42'] }).start();
  await onPath('direct', [a, b], 30_000);
  assert.deepEqual(losses(await pingMesh([a, b], { count: 50, interval: 0.012 })), []);
  const { marked, unmarked } = await counts();
  lab.figures.push(`${marked} marked, ${unmarked} not`);
  assert.ok(marked! > 100, lab.figures.at(-1));
  assert.equal(unmarked, 0);
});

/** Level and number of an option (asm-generic/socket.h, linux/udp.h). */
const socketOptions = {
  SO_ATTACH_REUSEPORT_CBPF: ['1', '51'],
  UDP_SEGMENT: ['17', '103'],
} as const;

/*
 *   a  bootstrap ────────────────────────┐ switch
 *   b → a, on a kernel without an option ┘
 */
for (const [name, [level, number]] of Object.entries(socketOptions)) {
  story(
    `a kernel without ${name} keeps links on their datachannels and says so`,
    ['cc', 'ping'],
    async (lab) => {
      const refuse = await buildTool(lab, 'refuse');
      const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
      const a = new CryonetNode(hosts[0]!, { listen: true }).start();
      const b = new CryonetNode(hosts[1]!, { bootstrap: [a], through: [refuse, level, number] }).start();
      await linked(a, b, 30_000);
      assert.deepEqual(losses(await pingMesh([a, b], { count: 100, interval: 0.02 })), []);
      const peer = await b.peer('a');
      assert.equal(peer?.path, 'datachannel');
      assert.equal(peer.direct?.state, 'off');
      assert.match(peer.direct.reason, new RegExp(`\\b${name}\\b.*ENOPROTOOPT`));
      assert.equal((await a.peer('b'))?.path, 'datachannel');
      assert.match(await printedStatus(b), new RegExp(`datachannel \\(.*${name}`));
      const warnings = b.program.output.split('\n').filter((line) => line.includes('no direct paths'));
      assert.equal(warnings.length, 1, warnings.join('\n'));
    },
  );
}
