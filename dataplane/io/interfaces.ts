/** The interfaces of this node's links, by peer. */
import type { DataplaneConfig, LinkReport, Result } from '../../protocol/dataplane.ts';
import { reasonOf } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/log.ts';
import { interfaceName } from '../core/interface-name.ts';
import { Device } from './device.ts';
import type { DirectLink } from './direct.ts';
import { linkLocal } from './link-local.ts';
import { OuterPackets } from './outer-packet.ts';
import { packetInformationSize, type TunFactory } from './tun.ts';

export class Interfaces {
  /** Names of all of them. */
  readonly names = new Set<string>();
  readonly #tuns: TunFactory;
  readonly #log: Log;
  /** An interface could not be opened, or somebody deleted it. */
  readonly #lost: (peer: string, reason: string) => void;
  readonly #devices = new Map<string, Device>();

  constructor(tuns: TunFactory, log: Log, lost: (peer: string, reason: string) => void) {
    this.#tuns = tuns;
    this.#log = log;
    this.#lost = lost;
  }

  /** Opens the interface of the link with `peer`; `udpPort` is the one our tunnels use. */
  open(peer: string, mtu: number, config: DataplaneConfig, udpPort: number): void {
    const own = linkLocal(config.node, peer);
    const outer = new OuterPackets(udpPort);
    const start = config.packetInformation ? packetInformationSize : 0;
    const options = {
      name: config.autoInterfaceName ? '' : interfaceName(config.interfacePrefix, peer),
      alias: peer,
      mtu,
      packetInformation: config.packetInformation,
      linkLocal: own,
    };
    try {
      const device = new Device((sink) => this.#tuns.open(options, sink), {
        mtu,
        linkLocal: own,
        peerLinkLocal: linkLocal(peer, config.node),
        mayCarry: (packet) => !outer.has(packet, start),
      });
      this.#devices.set(peer, device);
      this.names.add(device.tun.name);
      this.#log.info('interface opened', { peer, interface: device.tun.name, mtu });
    } catch (error) {
      this.#log.error('interface not opened', { peer, reason: reasonOf(error) });
      this.#lost(peer, reasonOf(error));
    }
  }

  receive(peer: string, packet: Uint8Array): void {
    this.#devices.get(peer)?.receive(packet);
  }

  /** Changes the interface of `peer`, where there is one. If that fails it was deleted under us: the link is lost with
   *  it, and the next one gets a new interface. */
  change(peer: string, change: (device: Device) => void): void {
    const device = this.#devices.get(peer);
    if (device === undefined) return;
    try {
      change(device);
    } catch (error) {
      this.#log.error('interface lost', { peer, interface: device.tun.name, reason: reasonOf(error) });
      this.close(peer);
      this.#lost(peer, reasonOf(error));
    }
  }

  /** Nothing tells of an interface that was deleted; using it does. */
  probe(peer: string): void {
    this.change(peer, (device) => device.setCarrier(device.carrier));
  }

  close(peer: string): void {
    const device = this.#devices.get(peer);
    if (device === undefined) return;
    this.#devices.delete(peer);
    this.names.delete(device.tun.name);
    device.close();
  }

  statusOf(peer: string): LinkReport['interface'] {
    const device = this.#devices.get(peer);
    if (device === undefined) return null;
    return {
      name: device.tun.name,
      index: device.tun.ifindex,
      mtu: device.mtu,
      carrier: device.carrier,
      address: device.linkLocal,
      peerAddress: device.peerLinkLocal,
    };
  }

  directOf(peer: string): DirectLink | undefined {
    return this.#devices.get(peer)?.tun.direct();
  }

  countersOf(peer: string): Result<'stats'>['links'][number]['counters'] | undefined {
    const device = this.#devices.get(peer);
    return device && { ...device.counters };
  }
}
