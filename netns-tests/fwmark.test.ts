/** The mark on bootstrap connections: where the kernel sets it, and where it does not let control. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { countMarks } from './lab/marks.ts';
import { linked } from './lab/mesh.ts';
import { CryonetNode } from './lab/node.ts';
import { programs } from './lab/programs.ts';
import { story } from './lab/story.ts';
import { lan } from './lab/topology.ts';

/** Packets to the bootstrap port. */
const bootstrap = 'tcp dport 2333';

/*
 *   a  bootstrap ────────┐ switch
 *   b → a, --fwmark 42 ──┘
 */
for (const family of ['ipv4', 'ipv6'] as const) {
  story(`every packet of a bootstrap connection carries the mark, by ${family}`, ['nft'], async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], family);
    const counts = await countMarks(hosts[1]!, bootstrap);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options: ['--fwmark', '42'] }).start();
    await linked(a, b, 30_000);
    const { marked, unmarked } = await counts();
    lab.figures.push(`${marked} marked, ${unmarked} not`);
    // SYN, ACK, the upgrade, two messages of the handshake and at least one sealed frame.
    assert.ok(marked! >= 6, lab.figures.at(-1));
    assert.equal(unmarked, 0);
  });
}

/*
 *   a  bootstrap ────────────────────────────────────────┐ switch
 *   b → a, --fwmark 42, control without privilege ───────┘
 */
story(
  'control without the privilege connects without the mark, and says once what to do',
  ['nft', 'setpriv'],
  async (lab) => {
    const { hosts } = await lan(lab, ['a', 'b'], 'ipv4');
    const counts = await countMarks(hosts[1]!, bootstrap);
    const a = new CryonetNode(hosts[0]!, { listen: true }).start();
    const socket = join(lab.directory, 'b.dataplane.sock');
    const dataplane = lab.start({
      label: 'b.dataplane',
      namespace: hosts[1]!.name,
      command: [join(programs, 'cryonet-dataplane'), '--log-level', 'debug', '--socket', socket],
    });
    await dataplane.says(/dataplane started/);
    const b = new CryonetNode(hosts[1]!, {
      bootstrap: [a],
      through: ['setpriv', '--bounding-set=-net_admin,-net_raw', '--'],
      options: ['--fwmark', '42', '--dataplane-socket', socket],
    }).start();
    await linked(a, b, 30_000);
    // The server ends, so that the client connects again.
    await a.stop();
    await b.says(/neighbor gone/);
    a.start();
    await linked(a, b, 30_000);
    const { marked, unmarked } = await counts();
    assert.equal(marked, 0);
    assert.ok(unmarked! >= 12, `${unmarked} packets`);
    const warnings = b.program.output.split('\n').filter((line) => line.includes('--fwmark'));
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0]!, /\bwarn\b.*CAP_NET_ADMIN.*socket cgroupv2 level 1/);
  },
);
