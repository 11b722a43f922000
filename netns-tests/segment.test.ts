/** Our cutting of super-packets against the kernel's own. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { release } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { compile, nativeSources } from '../test/native/compile.ts';
import { superPackets, written } from '../test/native/segment-packets.ts';
import { assertSame, runCutter } from '../test/native/segment-program.ts';
import type { Namespace } from './lab/namespace.ts';
import { story } from './lab/story.ts';

const sources = ['segment-cut.c', ...['segment', 'checksum'].map((name) => join(nativeSources, `${name}.c`))];

/** More than the pieces of any packet here, so that the kernel drops none. */
const queue = 4000;

/** The kernel takes at most 128 pieces of UDP (UDP_MAX_SEGMENTS), and UDP at all from 6.2 on. */
const pieces = 120;
const [major = 0, minor = 0] = release().split('.').map(Number);
const takesUdp = major > 6 || (major === 6 && minor >= 2);

/** Packets for each protocol. CRYONET_SEED repeats a run. */
const packets = 300;
const seed = Number(process.env.CRYONET_SEED ?? randomInt(2 ** 31));

/*
 *   super-packets ──▶ in ── router ── out ──▶ what the kernel made of them
 *                    with   forwards  without
 *                    offloads         offloads
 */
for (const protocol of ['tcp4', 'tcp6', ...(takesUdp ? (['udp4', 'udp6'] as const) : [])] as const) {
  story(`the kernel cuts super-packets of ${protocol} as we do, to the byte`, ['cc'], async (lab) => {
    const ours = compile('segment-cut', sources);
    const kernels = compile('segment-tun', [join(import.meta.dirname, 'segment-tun.c')]);
    const router = await lab.namespace('router');
    await makeRouter(router);

    const specs = fc.sample(superPackets([protocol], pieces), { seed, numRuns: packets });
    const inside = ['ip', 'netns', 'exec', router.name, kernels, 'in', 'out'];
    const expected = runCutter(inside, specs.map(written));
    // A router takes one off the hop limit before the packet is cut.
    const cut = runCutter(
      [ours],
      specs.map((spec) => written({ ...spec, hopLimit: spec.hopLimit - 1 })),
    );
    let several = 0;
    for (const [n, spec] of specs.entries()) {
      assertSame(cut[n], expected[n], `seed ${seed}, packet ${n}: ${JSON.stringify(spec)}`);
      assert(cut[n] !== undefined && cut[n].length > 0);
      if (cut[n].length > 1) several += 1;
    }
    assert(several > packets / 2, `${several} of ${packets} were cut`);
    const total = cut.reduce((sum, made) => sum + made!.length, 0);
    lab.figures.push(`seed ${seed}: ${packets} packets, ${several} of them cut, ${total} pieces`);
  });
}

async function makeRouter(router: Namespace): Promise<void> {
  await router.$`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0`;
  await router.configure(
    'tuntap add dev in mode tun vnet_hdr',
    'tuntap add dev out mode tun',
    // No packets of the kernel's own.
    'link set in addrgenmode none',
    'link set out addrgenmode none',
    'link set in up',
    `link set out up mtu 65535 txqueuelen ${queue}`,
    'route add 198.19.0.0/16 dev out',
    'route add 2001:db8:2::/48 dev out',
  );
}
