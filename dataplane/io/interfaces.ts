/** The interfaces of this node's links, by peer. */
import type { DataplaneConfig, LinkReport, LinkSettings, Result } from '../../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { interfaceNames } from '../../protocol/interface-name.ts';
import type { Log } from '../../protocol/log.ts';
import type { Warnings } from '../../protocol/warnings.ts';
import { Device } from './device.ts';
import { type DirectLink, sumCounters } from './direct.ts';
import { GivenAddresses } from './given-addresses.ts';
import { linkLocal } from './link-local.ts';
import type { RecordSink, Tun, TunFactory, TunOptions } from './tun.ts';
import { type Seen, Upkeep } from './upkeep.ts';

/** Names remembered of peers that are gone. */
const maxRemembered = 4096;

export interface InterfacesOptions {
  readonly tuns: TunFactory;
  readonly log: Log;
  readonly warnings: Warnings;
  /** An interface could not be opened, or somebody deleted it. */
  readonly lost: (peer: string, reason: string) => void;
  /** A peer did not get what its ID asks for; the cause is one of few words. */
  readonly refused: (cause: string) => void;
}

export class Interfaces {
  /** Names of all of them. */
  readonly names = new Set<string>();
  readonly #tuns: TunFactory;
  readonly #log: Log;
  readonly #lost: InterfacesOptions['lost'];
  readonly #refused: InterfacesOptions['refused'];
  readonly #warnings: Warnings;
  readonly #devices = new Map<string, Device>();
  /** Of each of them. */
  readonly #upkeep = new Map<string, Upkeep>();
  readonly #given = new Map<string, GivenAddresses>();
  /** What control wants, by peer, where that is anything. */
  readonly #settings = new Map<string, LinkSettings>();
  /** Whose a name is or was, oldest first: whoever chooses an ID for the name of another does not get that while the
   *  other is away. */
  readonly #owners = new Map<string, string>();
  /** Whose first name is for another, that came before. */
  readonly #displaced = new Set<string>();

  constructor({ tuns, log, warnings, lost, refused }: InterfacesOptions) {
    this.#tuns = tuns;
    this.#log = log;
    this.#warnings = warnings;
    this.#lost = lost;
    this.#refused = refused;
  }

  /** Whether the first name of the peer’s next interface is another peer’s, which had it before this process. */
  displace(peer: string, displaced: boolean): void {
    if (displaced) this.#displaced.add(peer);
    else this.#displaced.delete(peer);
  }

  /** Opens the interface of the link with `peer`. */
  open(peer: string, mtu: number, config: DataplaneConfig): void {
    const own = linkLocal(config.node, peer);
    const usual = config.autoInterfaceName ? [''] : interfaceNames(config.interfacePrefix, peer);
    const isDisplaced = this.#displaced.has(peer) && usual.length > 1;
    if (isDisplaced) this.#refused('name');
    const { interface: wanted, addresses = [] } = this.#settings.get(peer) ?? {};
    // Who is given a name by the operator has it before who had it by chance.
    if (wanted !== undefined) this.#owners.delete(wanted);
    const names = [...(wanted === undefined ? [] : [wanted]), ...(isDisplaced ? usual.slice(1) : usual)];
    const options = {
      alias: peer,
      mtu,
      packetInformation: config.packetInformation,
      linkLocal: own,
    };
    try {
      const device = new Device((sink) => this.#openTun(peer, names, options, sink), {
        mtu,
        linkLocal: own,
        peerLinkLocal: linkLocal(peer, config.node),
      });
      this.#devices.set(peer, device);
      this.#upkeep.set(peer, new Upkeep(device.tun, performance.now()));
      this.#given.set(peer, new GivenAddresses(device.tun));
      this.names.add(device.tun.name);
      this.#log.info('interface opened', { peer, interface: device.tun.name, mtu });
      this.#warnings.clear('interface', peer);
    } catch (error) {
      this.#warnings.set('interface', `the interface does not open: ${reasonOf(error)}`, peer);
      this.#lost(peer, reasonOf(error));
    }
    this.change(peer, () => this.#given.get(peer)?.want(addresses));
  }

  /** By the first of these names that is free. */
  #openTun(peer: string, names: readonly string[], options: Omit<TunOptions, 'name'>, sink: RecordSink): Tun {
    const [name = '', ...others] = names;
    try {
      const owner = this.#owners.get(name);
      if (owner !== undefined && owner !== peer) {
        this.#refused('name');
        throw new CryonetError('tun_exists', `${name} is the interface of ${owner}`);
      }
      const tun = this.#tuns.open({ ...options, name }, sink);
      if (others.length > 0) this.#remember(name, peer);
      return tun;
    } catch (error) {
      const isTaken = error instanceof CryonetError && error.code === 'tun_exists';
      if (!isTaken || others.length === 0) throw error;
      this.#log.warn('the name of an interface is taken', { peer, interface: name, reason: error.message });
      return this.#openTun(peer, others, options, sink);
    }
  }

  #remember(name: string, peer: string): void {
    this.#owners.delete(name);
    this.#owners.set(name, peer);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size > maxRemembered && oldest !== undefined) this.#owners.delete(oldest);
  }

  /** What control wants of the interface of `peer`, now and later. */
  adjust(peer: string, settings: LinkSettings): void {
    if (Object.keys(settings).length === 0) this.#settings.delete(peer);
    else this.#settings.set(peer, settings);
    this.change(peer, () => this.#given.get(peer)?.want(settings.addresses ?? []));
    this.#warnOfAddresses(peer);
  }

  /** A control that has just come says all that it wants. */
  forgetSettings(): void {
    for (const peer of [...this.#settings.keys()]) if (!this.#devices.has(peer)) this.#settings.delete(peer);
  }

  /** A record of the peer's. */
  receive(peer: string, record: Uint8Array): void {
    this.#devices.get(peer)?.receive(record);
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

  /** Looks after what others change about the interfaces. Returns the peers whose interface's status is another one now. */
  look(now: number): string[] {
    if (this.#devices.size === 0) return [];
    const seen = this.#tuns.addresses();
    const addresses = new Set(seen.map(({ index, address }) => `${index} ${address}`));
    const byIndex = Map.groupBy(seen, ({ index }) => index);
    const filters = new Map(this.#tuns.links().map(({ index, rpFilter }) => [index, rpFilter]));
    this.#warnOfFilter('all', this.#tuns.rpFilterOfAll());
    return [...this.#devices.keys()].filter((peer) => {
      const before = this.#addressesOf(peer);
      this.change(peer, (device) => {
        const { tun, linkLocal } = device;
        const hasAddress = addresses.has(`${tun.ifindex} ${linkLocal}`);
        this.#lookAt(peer, device, { hasAddress, rpFilter: filters.get(tun.ifindex) ?? 0 }, now);
        const there = byIndex.get(tun.ifindex) ?? [];
        this.#lookAtGiven(
          peer,
          tun,
          new Set(there.map((each) => `${each.address}/${each.prefixLength}`)),
          now,
        );
      });
      return this.#addressesOf(peer) !== before;
    });
  }

  #addressesOf(peer: string): string {
    const { there = [] } = this.#given.get(peer) ?? {};
    return [this.#upkeep.get(peer)?.hasAddress, ...there].join(' ');
  }

  #lookAtGiven(peer: string, { name }: Tun, seen: ReadonlySet<string>, now: number): void {
    for (const address of this.#given.get(peer)!.look(seen, now))
      this.#log.info('address put back', { peer, interface: name, address });
    this.#warnOfAddresses(peer);
  }

  #warnOfAddresses(peer: string): void {
    const given = this.#given.get(peer);
    const name = this.#devices.get(peer)?.tun.name;
    const [refused] = given?.refused ?? [];
    const [contested] = given?.contested ?? [];
    if (refused !== undefined) {
      const words = `${name} does not take the address ${refused[0]}: ${refused[1]}`;
      this.#warnings.set('addresses', `${words}; change addresses in the configuration, or mend it`, peer);
    } else if (contested !== undefined) {
      const words = `${contested} is taken off ${name} again and again, and put back less and less often`;
      this.#warnings.set('addresses', `${words}: find out by whom, or leave it`, peer);
    } else this.#warnings.clear('addresses', peer);
  }

  #lookAt(peer: string, { tun, linkLocal }: Device, seen: Seen, now: number): void {
    const upkeep = this.#upkeep.get(peer)!;
    if (upkeep.look(seen, now))
      this.#log.info('link-local address put back', { peer, interface: tun.name, address: linkLocal });
    if (upkeep.isContested) {
      const words = `${linkLocal} is taken off ${tun.name} again and again, and put back less and less often`;
      this.#warnings.set('address', `${words}: find out by whom, or leave it`, peer);
    } else this.#warnings.clear('address', peer);
    this.#warnOfFilter(tun.name, upkeep.rpFilter, peer);
  }

  #warnOfFilter(interfaces: string, mode: number, peer?: string): void {
    if (mode === 0) {
      this.#warnings.clear('rp_filter', peer);
      return;
    }
    const setting = `net.ipv4.conf.${interfaces}.rp_filter`;
    const effect = 'IPv4 that comes another way than it would go is dropped on interfaces of peers';
    this.#warnings.set('rp_filter', `${setting} is ${mode}, so that ${effect}: sysctl -w ${setting}=0`, peer);
  }

  /** The link is removed, and what was wanted of it. */
  forget(peer: string): void {
    this.#settings.delete(peer);
    this.close(peer);
  }

  close(peer: string): void {
    this.#displaced.delete(peer);
    const device = this.#devices.get(peer);
    if (device === undefined) return;
    this.#devices.delete(peer);
    this.#upkeep.delete(peer);
    this.#given.delete(peer);
    this.names.delete(device.tun.name);
    device.close();
  }

  statusOf(peer: string): LinkReport['interface'] {
    const device = this.#devices.get(peer);
    if (device === undefined) return null;
    const { there = [] } = this.#given.get(peer) ?? {};
    return {
      name: device.tun.name,
      index: device.tun.ifindex,
      mtu: device.mtu,
      carrier: device.carrier,
      address: this.#upkeep.get(peer)?.hasAddress === true ? device.linkLocal : '',
      ...(there.length === 0 ? {} : { addresses: [...there] }),
      peerAddress: device.peerLinkLocal,
    };
  }

  directOf(peer: string): DirectLink | undefined {
    return this.#devices.get(peer)?.tun.direct();
  }

  countersOf(peer: string): Pick<Result<'stats'>['links'][number], 'counters' | 'dropped'> | undefined {
    const device = this.#devices.get(peer);
    return device && sumCounters(device.tun.direct().counters(), device.counters, device.tun.dropped());
  }
}
