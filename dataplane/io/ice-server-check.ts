/**
 * Asks a STUN or TURN server whether it works for us, as an engine would: libraries keep the server's answer to
 * themselves. A TURN server is asked for an allocation, which is given back at once.
 */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { lookup as lookupName } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { nat64Name, nat64Prefix } from '../core/nat64.ts';
import { hostAddresses } from './engine/host-addresses.ts';
import { chooseAddress, isIpv6Only, type Lookup } from './engine/ice-servers.ts';
import {
  longTermKey,
  readStunResponse,
  type StunResponse,
  stunAttribute,
  stunRequest,
  stunType,
  transactionBytes,
} from './stun.ts';
import { turnCredentials, turnExpiry } from './turn-credentials.ts';
import type { IceServer, TurnServer } from './webrtc.ts';

/** What is wrong with a server, in words; undefined where it works. Never rejects; undefined once `signal` is aborted. */
export type IceServerCheck = (server: IceServer, signal: AbortSignal) => Promise<string | undefined>;

export interface CheckOptions {
  /** A socket is there, before it sends. */
  readonly opened: () => void;
  readonly lookup?: Lookup;
  /** Of this host, which an engine tells. */
  readonly hostAddresses?: () => readonly string[];
  /** Milliseconds after each sending of a request. */
  readonly pauses?: readonly number[];
}

/** RFC 8489 6.2.1, cut short: 7.5 s. */
const usualPauses = [500, 1000, 2000, 4000];
/** Milliseconds for the name. */
const lookupTimeout = 10_000;
/** Datagrams that are no answer, after which nobody listens any more. */
const maxGarbage = 64;
/** RFC 8489 14.9 and 14.10: 128 characters of UTF-8. */
const maxText = 763;
/** Milliseconds for the answer to giving an allocation back. */
const releasePauses = [300, 300];

/** A fault of the server's, in words. */
class Trouble extends Error {}

export function iceServerCheck(options: CheckOptions): IceServerCheck {
  return async (server, signal) => {
    try {
      const address = await addressOf(server.host, options, signal);
      const socket = dgram.createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
      const client = new Client(socket, signal);
      try {
        socket.connect(server.port, address);
        await Promise.race([client.broken, once(socket, 'connect')]);
        options.opened();
        await (server.kind === 'stun' ? checkStun : checkTurn)(client, server as TurnServer, options);
      } finally {
        client.close();
      }
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      return error instanceof Trouble ? error.message : `it cannot be asked: ${codeOf(error)}`;
    }
  };
}

async function addressOf(host: string, options: CheckOptions, signal: AbortSignal): Promise<string> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(lookupTimeout)]);
  const late = once(timeout, 'abort').then(() => {
    throw new Trouble('its name is not resolved: the name server does not answer');
  });
  late.catch(() => {});
  try {
    const addresses = isIP(host) === 0 ? (options.lookup ?? lookupAll)(host) : Promise.resolve([host]);
    const chosen = addresses.then((all) => reachable(all, options));
    chosen.catch(() => {});
    const address = await Promise.race([chosen, late]);
    if (address === undefined) throw new Trouble('its name does not resolve: no address');
    return address;
  } catch (error) {
    if (error instanceof Trouble) throw error;
    const isUnknown = ['ENOTFOUND', 'EAI_NONAME', 'EAI_NODATA'].includes(codeOf(error));
    throw new Trouble(
      isUnknown ? 'its name does not resolve: no such host' : `its name does not resolve: ${codeOf(error)}`,
    );
  }
}

/** As an engine chooses it. */
async function reachable(addresses: readonly string[], options: CheckOptions): Promise<string | undefined> {
  if (!isIpv6Only((options.hostAddresses ?? hostAddresses)()))
    return chooseAddress(addresses, true, undefined);
  if (addresses.some((address) => isIP(address) === 6)) return chooseAddress(addresses, false, undefined);
  const madeUp = await (options.lookup ?? lookupAll)(nat64Name).catch(() => []);
  return chooseAddress(addresses, false, nat64Prefix(madeUp));
}

async function checkStun(client: Client, _server: IceServer, { pauses }: CheckOptions): Promise<void> {
  const response = await client.ask(stunType.bindingRequest, [], undefined, pauses);
  if (response.code !== undefined) throw new Trouble(refusalOf(response.code));
  const { mappedAddress, xorMappedAddress } = stunAttribute;
  if (![mappedAddress, xorMappedAddress].some((name) => response.attributes.has(name))) {
    throw new Trouble('it answers without telling our address');
  }
}

/** Like libjuice, which needs a server that asks for credentials. */
async function checkTurn(client: Client, server: TurnServer, { pauses }: CheckOptions): Promise<void> {
  const udp = Buffer.from([17, 0, 0, 0]);
  const wanted = [[stunAttribute.requestedTransport, udp]] as const;
  let response = await client.ask(stunType.allocateRequest, wanted, undefined, pauses);
  if (response.code === undefined) throw new Trouble('it asks for no credentials, and is not used without');
  if (response.code === 300) return;
  if (response.code !== 401) throw new Trouble(refusalOf(response.code));
  const credentials = turnCredentials(server);
  let credential = credentialFrom(response, credentials);
  response = await client.ask(
    stunType.allocateRequest,
    [...wanted, ...credential.attributes],
    credential.key,
    pauses,
  );
  if (response.code === 438) {
    credential = credentialFrom(response, credentials);
    response = await client.ask(
      stunType.allocateRequest,
      [...wanted, ...credential.attributes],
      credential.key,
      pauses,
    );
  }
  if (response.code === 300) return;
  if (response.code === 401) throw new Trouble(unauthorized(server));
  if (response.code !== undefined) throw new Trouble(refusalOf(response.code));
  if (!response.attributes.has(stunAttribute.xorRelayedAddress)) throw new Trouble(malformed);
  const none = [stunAttribute.lifetime, Buffer.alloc(4)] as const;
  // Where this is lost the server keeps the allocation for ten minutes.
  await client
    .ask(stunType.refreshRequest, [none, ...credential.attributes], credential.key, releasePauses)
    .catch(() => {});
}

function credentialFrom(
  { attributes }: StunResponse,
  { user, credential }: ReturnType<typeof turnCredentials>,
) {
  const realm = attributes.get(stunAttribute.realm);
  const nonce = attributes.get(stunAttribute.nonce);
  if (realm === undefined || nonce === undefined || Math.max(realm.length, nonce.length) > maxText) {
    throw new Trouble(malformed);
  }
  return {
    attributes: [
      [stunAttribute.username, Buffer.from(user)],
      [stunAttribute.realm, realm],
      [stunAttribute.nonce, nonce],
    ] as const,
    key: longTermKey(user, realm.toString(), credential),
  };
}

const malformed = 'its answer is malformed';

/** RFC 8489 14.8, RFC 8656 19. What the server says of it in words is not repeated. */
const meanings: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden: it serves others only',
  420: 'Unknown Attribute',
  437: 'Allocation Mismatch: it remembers another use of our port',
  438: 'Stale Nonce, again and again: its clock or its load balancer is broken',
  440: 'Address Family not Supported',
  441: 'Wrong Credentials',
  442: 'Unsupported Transport Protocol: it relays no UDP',
  486: 'Allocation Quota Reached: too many relays of this user',
  500: 'Server Error',
  508: 'Insufficient Capacity',
};

function refusalOf(code: number): string {
  const meaning = meanings[code];
  return meaning === undefined
    ? `it refuses with error ${code}`
    : `it refuses with error ${code}, ${meaning}`;
}

/** What is wrong with a TURN server that says 438 to each nonce of its own: libjuice asks it anew at once each time, for as
 *  long as the connection lives. */
export const staleForEver = refusalOf(438);

function unauthorized(server: TurnServer): string {
  const refused = refusalOf(401);
  if (server.lifetime !== undefined)
    return `${refused}: the secret is another, or the clocks here and there are`;
  const until = turnExpiry(server);
  if (until === undefined || until > Date.now())
    return `${refused}: the user or the credential is wrong, or has expired`;
  const when = new Date(until).toISOString().slice(0, 19);
  return `${refused}: the credential has expired at ${when}Z; of the server’s secret new ones are made: |user|secret:…`;
}

/** Requests over one UDP socket, connected to the server. */
class Client {
  /** Rejects with what the network says of the server. */
  readonly broken: Promise<never>;
  readonly #socket: dgram.Socket;
  readonly #signal: AbortSignal;
  readonly #abort = () => this.close();
  #closed = false;
  #garbage = 0;
  #receive: ((bytes: Buffer) => void) | undefined;

  constructor(socket: dgram.Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    const { promise, reject } = Promise.withResolvers<never>();
    this.broken = promise;
    promise.catch(() => {});
    socket.on('error', (error) => reject(networkTrouble(error)));
    socket.on('message', (bytes) => this.#receive?.(bytes));
    socket.on('close', () => reject(new Trouble('closed')));
    signal.addEventListener('abort', this.#abort);
    if (signal.aborted) this.close();
  }

  /** Sends until there is an answer. */
  async ask(
    type: number,
    attributes: readonly (readonly [number, Uint8Array])[],
    key: Uint8Array | undefined,
    pauses: readonly number[] = usualPauses,
  ): Promise<StunResponse> {
    const transaction = randomBytes(transactionBytes);
    const request = stunRequest(type, transaction, attributes, key);
    const { promise, resolve, reject } = Promise.withResolvers<StunResponse>();
    this.#receive = (bytes) => {
      const response = readStunResponse(bytes, transaction);
      if (response !== undefined) resolve(response);
      else if (++this.#garbage >= maxGarbage) reject(new Trouble(malformed));
    };
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    const send = () => {
      const pause = pauses[sent++];
      if (pause === undefined) {
        reject(new Trouble(this.#garbage > 0 ? malformed : silent));
        return;
      }
      this.#socket.send(request, (error) => error && reject(networkTrouble(error)));
      timer = setTimeout(send, pause);
    };
    try {
      send();
      return await Promise.race([promise, this.broken]);
    } finally {
      clearTimeout(timer);
      this.#receive = undefined;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#abort);
    this.#socket.close();
  }
}

const silent = 'it does not answer over UDP: it is down, out of reach, or serves TCP only';

function networkTrouble(error: unknown): Trouble {
  const code = codeOf(error);
  if (code === 'ECONNREFUSED')
    return new Trouble('nothing listens on that UDP port: it is down, or serves TCP only');
  return new Trouble(`it cannot be reached: ${code}`);
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

export async function lookupAll(name: string): Promise<string[]> {
  return (await lookupName(name, { all: true })).map(({ address }) => address);
}
