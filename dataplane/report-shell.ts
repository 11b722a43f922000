/** The part of the dataplane's shell that says how its links are: to control, when one has changed and when it is asked. */
import type { LinkReport, Result } from '../protocol/dataplane.ts';
import type { ConnectionShell } from './connection-shell.ts';
import type { Link, Links } from './core/link.ts';
import { isRelayed, pairOf, pathOf, reportOf } from './core/report.ts';
import type { DirectShell } from './direct-shell.ts';
import type { Interfaces } from './io/interfaces.ts';
import type { Pings } from './io/pings.ts';

export interface ReportShellOptions {
  readonly links: () => Links;
  readonly pings: Pings;
  readonly direct: DirectShell;
  readonly connections: ConnectionShell;
  readonly interfaces: Interfaces;
}

export class ReportShell {
  readonly #of: ReportShellOptions;

  constructor(options: ReportShellOptions) {
    this.#of = options;
  }

  of(link: Link): LinkReport {
    const { direct, interfaces } = this.#of;
    const pair = this.#pair(link);
    return reportOf(link, {
      direct: direct.statusOf(link.peer, isRelayed(pair)),
      pair,
      interface: interfaces.statusOf(link.peer),
    });
  }

  /** Of all that have an interface. */
  stats(): Result<'stats'>['links'] {
    const { links, direct, connections, interfaces } = this.#of;
    return [...links().byPeer.values()].flatMap((link) => {
      const { peer } = link;
      const counted = interfaces.countersOf(peer);
      if (counted === undefined) return [];
      const rtt = connections.active(peer)?.roundTrip.latest ?? null;
      return [{ peer, rtt, ...direct.statsOf(peer), ...counted, pair: this.#pair(link) }];
    });
  }

  /** Asks the peer by the path in use. Rejects with `unavailable` where too many are asked. */
  async ping(peer: string): Promise<Result<'ping'>> {
    const { links, pings, direct, connections } = this.#of;
    const link = links().byPeer.get(peer);
    const path = link === undefined ? null : pathOf(link);
    if (path === null) return { rtt: null, path, pair: null };
    const pair = this.#pair(link!);
    const by = path === 'direct' ? direct : connections;
    return { rtt: await pings.ask(peer, (number) => by.probe(peer, number)), path, pair };
  }

  #pair(link: Link): LinkReport['pair'] {
    if (link.direct) return this.#of.direct.pairOf(link.peer) ?? null;
    return pairOf(link, this.#of.connections.active(link.peer)?.connection.pair());
  }
}
