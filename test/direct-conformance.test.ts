import { MemoryDirectNetwork } from '../dataplane/io/memory-direct.ts';
import { type MemoryTun, MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { directConformance } from './direct-conformance.ts';
import { type Told, tellTo } from './direct-conformance-pair.ts';
import { ethertype, withHeader } from './native/packets.ts';

const port = 2333;

directConformance('memory', async ({ ipv6 }) => {
  const told: Told[] = [];
  const held: (() => void)[] = [];
  let holds = false;
  let repeats = false;
  let places = 0;
  const network = new MemoryDirectNetwork({
    schedule: (task) => void (holds ? held.push(task) : setImmediate(task)),
    repeats: () => repeats,
  });
  network.ipv6 = ipv6;
  const addresses = { a: '192.0.2.1', b: '192.0.2.2' };
  const factories = { a: new MemoryTunFactory(), b: new MemoryTunFactory() };
  for (const node of ['a', 'b'] as const) factories[node].join({ network, node, address: addresses[node] });
  const lab = {
    factories,
    port,
    told,
    addressOf: (side: 'a' | 'b') => ({ address: addresses[side], port }),
    async move(side: 'a' | 'b') {
      places++;
      addresses[side] = addresses[side].includes(':') ? `198.51.100.${places}` : `2001:db8::${places}`;
      factories[side].move(addresses[side]);
    },
    limitPath(bytes: number) {
      network.mtu = bytes;
    },
    repeat(whether: boolean) {
      repeats = whether;
    },
    hold() {
      holds = true;
    },
    held: () => held.length,
    pass() {
      holds = false;
    },
    release() {
      for (const task of held.splice(0)) task();
    },
    strays: () => network.strays,
    openDirect() {
      for (const factory of Object.values(factories))
        factory.openDirect({ port, udp: true, workers: 2, mark: 0 }, tellTo(told));
    },
    closeDirect() {
      for (const factory of Object.values(factories)) factory.closeDirect();
    },
    close() {
      lab.closeDirect();
    },
    async ready() {},
    async send(tun: unknown, packet: Uint8Array, type: number = ethertype.ipv4) {
      const memory = tun as MemoryTun;
      memory.inject(memory.options.packetInformation ? withHeader(type, packet) : packet);
    },
    received(tun: unknown) {
      const { options, written } = tun as MemoryTun;
      const header = options.packetInformation ? 4 : 0;
      return written.map((packet) => ({
        ethertype: header > 0 ? (packet[2]! << 8) | packet[3]! : ethertype.ipv4,
        bytes: packet.subarray(header),
      }));
    },
  };
  lab.openDirect();
  return lab;
});
