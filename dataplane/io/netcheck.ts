/**
 * Finds out how this machine's networks treat UDP, by STUN servers (RFC 5780 sections 4.3 and 4.4, as far as the servers
 * allow). By sockets of its own: the node's port is ICE's.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Result } from '../../protocol/dataplane.ts';
import type { FamilyFound, Filtering, Mapping, Place } from '../../protocol/netcheck.ts';
import type { Lookup } from './engine/ice-servers.ts';
import type { Host } from './host.ts';
import { codeOf, lookupAll } from './ice-server-check.ts';
import { mappedAddress, otherAddress, stunAttribute } from './stun.ts';
import { StunSocket } from './stun-socket.ts';

/** CHANGE-REQUEST (RFC 5780 7.2): from another address and port, or from another port alone. */
const otherPlace = [[stunAttribute.changeRequest, Buffer.from([0, 0, 0, 6])]] as const;
const otherPort = [[stunAttribute.changeRequest, Buffer.from([0, 0, 0, 2])]] as const;

/** Milliseconds for what we send to ourselves. */
const hairpinTime = 1000;
/** Milliseconds for the name of a server. */
const lookupTimeout = 3000;

export interface NetcheckOptions {
  readonly host: Pick<Host, 'route'>;
  readonly mark: number;
  /** A socket is there, before it sends. */
  readonly opened: () => void;
  readonly lookup?: Lookup;
}

interface Server {
  readonly server: string;
  readonly at: Place;
}

export type Found = Pick<Result<'netcheck'>, 'families' | 'unresolved'>;

/** Never rejects. */
export async function checkNetwork(
  servers: readonly { readonly host: string; readonly port: number }[],
  options: NetcheckOptions,
): Promise<Found> {
  const unresolved: Found['unresolved'] = [];
  const known: Server[] = [];
  await Promise.all(
    servers.map(async ({ host, port }) => {
      const server = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
      try {
        for (const address of await addressesOf(host, options.lookup ?? lookupAll))
          known.push({ server, at: { address, port } });
      } catch (error) {
        unresolved.push({ server, reason: `its name does not resolve: ${codeOf(error)}` });
      }
    }),
  );
  const families = await Promise.all([ofFamily('ipv4', known, options), ofFamily('ipv6', known, options)]);
  return { families, unresolved };
}

/** Of each family the first. */
async function addressesOf(host: string, lookup: Lookup): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(Object.assign(new Error(), { code: 'ETIMEDOUT' })),
    lookupTimeout,
  );
  try {
    const all = await Promise.race([lookup(host), late.promise]);
    return [4, 6].flatMap((family) => all.find((address) => isIP(address) === family) ?? []);
  } finally {
    clearTimeout(timer);
  }
}

async function ofFamily(
  family: FamilyFound['family'],
  known: readonly Server[],
  options: NetcheckOptions,
): Promise<FamilyFound> {
  const servers = known.filter(({ at }) => (isIP(at.address) === 6) === (family === 'ipv6'));
  const none = { servers: [], mapping: 'unknown', filtering: 'unknown', hairpin: null } as const;
  const route = options.host.route(servers[0]?.at.address ?? anywhere[family], options.mark);
  if (route === undefined || 'forbids' in route)
    return { family, address: null, interface: null, mtu: null, ...none, servers: [] };
  const seen = {
    family,
    address: route.source ?? null,
    interface: route.interface,
    mtu: mtuOf(route.interface),
  };
  if (servers.length === 0) return { ...seen, ...none, servers: [] };
  try {
    return { ...seen, ...(await asked(family, servers, seen.address, options)) };
  } catch {
    return { ...seen, ...none, servers: servers.map((server) => ({ ...server, mapped: null })) };
  }
}

/** An address that is nobody's in particular: one of the root name servers. Nothing is sent there. */
const anywhere = { ipv4: '198.41.0.4', ipv6: '2001:503:ba3e::2:30' } as const;

async function asked(
  family: FamilyFound['family'],
  servers: readonly Server[],
  source: string | null,
  { opened }: NetcheckOptions,
): Promise<Pick<FamilyFound, 'servers' | 'mapping' | 'filtering' | 'hairpin'>> {
  const sockets: StunSocket[] = [];
  const open = async () => {
    const socket = await StunSocket.open(family, opened);
    sockets.push(socket);
    return socket;
  };
  try {
    const socket = await open();
    const answers = await Promise.all(
      servers.map(async (server) => {
        const response = await socket.ask(server.at);
        const mapped = response?.code === undefined ? response && mappedAddress(response) : undefined;
        return { ...server, mapped: mapped ?? null, other: response && otherAddress(response) };
      }),
    );
    const seen = answers.map(({ server, at, mapped }) => ({ server, at, mapped }));
    const first = answers.find(({ mapped }) => mapped !== null);
    if (first === undefined)
      return { servers: seen, mapping: 'unknown', filtering: 'unknown', hairpin: null };
    const isOwn = first.mapped!.address === source && first.mapped!.port === socket.port;
    const [mapping, filtering, hairpin] = await Promise.all([
      isOwn ? ('none' as const) : mappingOf(socket, answers, first),
      first.other === undefined ? ('unknown' as const) : filteringOf(await open(), first.at),
      isOwn ? null : returns(socket, await open(), first.mapped!),
    ]);
    return { servers: seen, mapping, filtering, hairpin };
  } finally {
    for (const socket of sockets) socket.close();
  }
}

interface Answer extends Server {
  readonly mapped: Place | null;
  readonly other: Place | undefined;
}

/** By what several servers see, or by both addresses of one. */
async function mappingOf(socket: StunSocket, answers: readonly Answer[], first: Answer): Promise<Mapping> {
  const { at, other } = first;
  const see = async (place: Place) => {
    const response = await socket.ask(place);
    return response === undefined ? undefined : mappedAddress(response);
  };
  if (other !== undefined && other.address !== at.address) {
    const elsewhere = await see({ address: other.address, port: at.port });
    if (elsewhere !== undefined && isSame(elsewhere, first.mapped!)) return 'independent';
    const third = elsewhere && (await see(other));
    if (third !== undefined) return isSame(third, elsewhere!) ? 'address' : 'address-and-port';
  }
  const others = answers.filter(({ at: { address }, mapped }) => mapped !== null && address !== at.address);
  if (others.length === 0) return 'unknown';
  return others.every(({ mapped }) => isSame(mapped!, first.mapped!)) ? 'independent' : 'depends';
}

/** RFC 5780 4.4, by a socket that has sent to nobody else. */
async function filteringOf(socket: StunSocket, at: Place): Promise<Filtering> {
  if ((await socket.ask(at)) === undefined) return 'unknown';
  const [elsewhere, port] = await Promise.all([socket.ask(at, otherPlace), socket.ask(at, otherPort)]);
  if (elsewhere?.code !== undefined || port?.code !== undefined) return 'unknown';
  if (elsewhere !== undefined) return 'independent';
  return port !== undefined ? 'address' : 'address-and-port';
}

async function returns(socket: StunSocket, sender: StunSocket, mapped: Place): Promise<boolean> {
  const bytes = randomBytes(32);
  sender.say(bytes, mapped);
  return socket.hears(bytes, hairpinTime);
}

function isSame(one: Place, other: Place): boolean {
  return one.address === other.address && one.port === other.port;
}

function mtuOf(name: string): number | null {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
  } catch {
    return null;
  }
}
