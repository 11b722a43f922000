import { MemoryTunFactory } from '../dataplane/io/memory-tun.ts';
import { ethertype, withHeader } from './native/packets.ts';
import { tunConformance } from './native/tun-conformance.ts';

tunConformance('memory', () => {
  const factory = new MemoryTunFactory();
  const device = (name: string) => factory.devices.get(name);
  return {
    factory,
    async ready() {},
    toggle: (tun) => device(tun.name)?.loseAddress(),
    setRpFilter(tun, mode) {
      device(tun.name)!.rpFilter = mode;
    },
    async send(tun, packet, type = ethertype.ipv4) {
      const memory = device(tun.name);
      memory?.inject(memory.options.packetInformation ? withHeader(type, packet) : packet);
    },
    received(tun) {
      const memory = device(tun.name);
      const header = memory?.options.packetInformation ? 4 : 0;
      return (memory?.written ?? []).map((packet) => ({
        ethertype: header > 0 ? (packet[2]! << 8) | packet[3]! : ethertype.ipv4,
        bytes: packet.subarray(header),
      }));
    },
  };
});
