/**
 * Direct paths by the addon: two devices of one process, whose records take a way through this machine's loopback.
 *
 *     kernel ── device a ── engine ──▶ UDP ──▶ relay ──▶ UDP ──▶ engine ── device b ── kernel
 */
import { writeFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { loadAddon } from '../dataplane/io/native.ts';
import { nativeTunsBy } from '../dataplane/io/native-tun.ts';
import { defaultTunDevice } from '../dataplane/io/tun-refusal.ts';
import { directConformance } from '../test/direct-conformance.ts';
import { type Told, tellTo } from '../test/direct-conformance-pair.ts';
import { boundSocket, DatagramRelay } from '../test/native/datagram-relay.ts';
import { ip, ready } from '../test/native/interfaces.ts';
import { inNamespace } from '../test/native/namespace.ts';
import { PacketSocket } from '../test/native/packet-socket.ts';
import { ethertype } from '../test/native/packets.ts';

const nativeTuns = nativeTunsBy(defaultTunDevice);

// A sanitizer's library is for the programs that load the addon, and would only slow the others down.
delete process.env.LD_PRELOAD;

if (inNamespace(import.meta.filename, 'direct paths in a network namespace')) define();

function define(): void {
  let kernel: PacketSocket;

  before(async () => {
    ip('link', 'set', 'lo', 'mtu', '1500', 'up');
    // Devices without IPv6 carry nothing but what a test sends.
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
    kernel = await PacketSocket.open();
  });

  after(() => kernel.close());

  directConformance('native', async ({ ipv6 }) => {
    const told: Told[] = [];
    const ice = await (ipv6 ? boundSocket('udp6', '::') : boundSocket('udp4', '0.0.0.0'));
    const { port } = ice.address();
    const relay = await DatagramRelay.open(port);
    const lab = {
      factories: { a: nativeTuns, b: nativeTuns },
      port,
      told,
      addressOf: (side: 'a' | 'b') => relay.addressOf(side),
      move: (side: 'a' | 'b') => relay.move(side),
      limitPath(bytes: number) {
        relay.limit = bytes;
      },
      repeat(whether: boolean) {
        relay.repeats = whether;
      },
      hold() {
        relay.holds = true;
      },
      held: () => relay.held.length,
      pass() {
        relay.holds = false;
      },
      release: () => relay.release(),
      strays: () => loadAddon().directStrays()[0],
      openDirect: () => nativeTuns.openDirect({ port, udp: true, workers: 2, mark: 0 }, tellTo(told)),
      closeDirect: () => nativeTuns.closeDirect(),
      close() {
        nativeTuns.closeDirect();
        relay.close();
        ice.close();
      },
      ready,
      async send(tun: { readonly ifindex: number }, packet: Uint8Array, type: number = ethertype.ipv4) {
        await kernel.send(tun.ifindex, type, packet);
      },
      received: (tun: { readonly ifindex: number }) =>
        kernel.received
          .filter(({ ifindex }) => ifindex === tun.ifindex)
          .map((packet) => ({ ethertype: packet.ethertype, bytes: packet.bytes })),
    };
    lab.openDirect();
    return lab;
  });
}
