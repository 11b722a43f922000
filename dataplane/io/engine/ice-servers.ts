/**
 * Names of ICE servers turned into addresses before an engine sees them. libjuice would look them up itself, in a
 * thread that its agent must join before it is gone: one name server that does not answer would then hold up every
 * later `close()` of the process.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Nat64Prefix, nat64Address, nat64Name, nat64Prefix } from '../../core/nat64.ts';
import type { IceServer } from '../webrtc.ts';

/** Answers are used this long; a failed look-up is repeated after the shorter time. */
const KEEP_ANSWER_MS = 5 * 60_000;
const KEEP_FAILURE_MS = 30_000;
/** Connections wait for the first look-up of a name until it is this old, and never for a later one. */
const PATIENCE_MS = 300;

/** A STUN server that has not answered for this long is passed over next time. */
const STUN_PATIENCE_MS = 2_000;

export type Lookup = (name: string) => Promise<readonly string[]>;

interface Entry {
  /** The last good answer, kept while a newer look-up is under way or fails. */
  addresses: readonly string[];
  goodUntil: number;
  patientUntil: number;
  pending: Promise<void> | undefined;
}

export class IceServerNames {
  readonly #entries = new Map<string, Entry>();
  readonly #lookup: Lookup;
  readonly #now: () => number;

  constructor(resolve: Lookup = lookupAll, now: () => number = () => performance.now()) {
    this.#lookup = resolve;
    this.#now = now;
  }

  /** The servers whose address is known, with a literal address as `host`; on a host with IPv6 alone one of IPv6, by the
   *  translator of its network where it has one. Waits at most 300 ms, and only while a name is being looked up for the
   *  first time. Never rejects. */
  async resolve(
    servers: readonly IceServer[],
    isIpv6Only: boolean,
  ): Promise<{ servers: IceServer[]; nat64: Nat64Prefix | undefined }> {
    const names = servers.map(({ host }) => host).filter((host) => isIP(host) === 0);
    if (isIpv6Only) names.push(nat64Name);
    const entries = names.map((name) => this.#entry(name));
    const awaited = entries.filter(({ patientUntil }) => patientUntil > this.#now());
    if (awaited.length > 0) {
      const patience = Math.max(...awaited.map(({ patientUntil }) => patientUntil)) - this.#now();
      await settledWithin(
        awaited.map(({ pending }) => pending),
        patience,
      );
    }
    const nat64 = isIpv6Only ? nat64Prefix(this.#entry(nat64Name).addresses) : undefined;
    const known = servers.flatMap((server) => {
      const addresses = isIP(server.host) === 0 ? this.#entry(server.host).addresses : [server.host];
      const best = chooseAddress(addresses, !isIpv6Only, nat64);
      return best === undefined ? [] : [{ ...server, host: best }];
    });
    return { servers: known, nat64 };
  }

  /** The name's entry, with a look-up started where one is due. */
  #entry(name: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined && (known.pending !== undefined || known.goodUntil > this.#now())) return known;
    const patientUntil = known === undefined ? this.#now() + PATIENCE_MS : 0;
    const entry = known ?? { addresses: [], goodUntil: 0, patientUntil, pending: undefined };
    this.#entries.set(name, entry);
    entry.pending = this.#lookup(name)
      .then((addresses) => {
        entry.addresses = addresses;
        entry.goodUntil = this.#now() + KEEP_ANSWER_MS;
      })
      .catch(() => {
        entry.goodUntil = this.#now() + KEEP_FAILURE_MS;
      })
      .finally(() => {
        entry.pending = undefined;
        entry.patientUntil = 0;
      });
    return entry;
  }
}

/** The one of a server's addresses that is asked; with `nat64` an IPv4 one as the translator takes it. */
export function chooseAddress(
  addresses: readonly string[],
  preferIpv4: boolean,
  nat64: Nat64Prefix | undefined,
): string | undefined {
  const best = addresses.find((address) => (isIP(address) === 4) === preferIpv4) ?? addresses[0];
  if (best === undefined || nat64 === undefined || isIP(best) !== 4) return best;
  return nat64Address(nat64, best) ?? best;
}

/** Whether these addresses of a host are of IPv6 alone. */
export function isIpv6Only(addresses: readonly string[]): boolean {
  return addresses.length > 0 && addresses.every((address) => isIP(address) === 6);
}

/** Which STUN server to ask, for engines that ask one per connection: the first, until it leaves one without an
 *  answer; then the next. */
export class StunChoice {
  readonly #now: () => number;
  #index = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The server to ask, TURN servers standing in where there is no other, and where to tell, once, whether it gave
   *  a candidate before the connection ended. */
  choose(servers: readonly IceServer[]): { server: IceServer | undefined; outcome(answered: boolean): void } {
    const stun = servers.filter(({ kind }) => kind === 'stun');
    const asked = stun.length > 0 ? stun : servers;
    const index = this.#index;
    const begun = this.#now();
    const outcome = (answered: boolean) => {
      const isSilent = !answered && this.#now() - begun >= STUN_PATIENCE_MS;
      if (isSilent && this.#index === index) this.#index += 1;
    };
    return { server: asked[index % Math.max(asked.length, 1)], outcome };
  }
}

async function lookupAll(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

async function settledWithin(pending: readonly (Promise<void> | undefined)[], ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([Promise.all(pending), promise]);
  clearTimeout(timer);
}
