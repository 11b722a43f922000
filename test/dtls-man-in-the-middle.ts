/**
 * A man on the way between two werift engines. He passes ICE's checks on and is the far end of DTLS for both: their
 * certificates are public, and werift does not look whether he has the keys to them.
 *
 *   a ◄── STUN ──► man ◄── STUN ──► b
 *   a ◄── DTLS ──► man ◄── DTLS ──► b      in between SCTP as it is
 */
import { generateKeyPairSync } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import { DtlsClient, DtlsServer, type DtlsSocket, RTCDtlsTransport } from 'werift';
import { parseCandidate } from '../dataplane/io/engine/sdp.ts';

type DtlsOptions = ConstructorParameters<typeof DtlsServer>[0];
type Identity = Pick<DtlsOptions, 'cert' | 'key' | 'signatureHash'>;
type Hears = DtlsOptions['transport']['onData'];

/** First bytes of DTLS (RFC 7983), and the type of a handshake and of its first message (RFC 6347). */
const isDtls = ([first]: Uint8Array) => first! >= 20 && first! <= 63;
const isClientHello = (bytes: Uint8Array) => bytes[0] === 22 && bytes[13] === 1;

/** Towards one of both ends. */
interface Leg {
  readonly socket: Socket;
  readonly port: number;
  /** Where that end is. */
  end: Pick<RemoteInfo, 'address' | 'port'> | undefined;
  dtls: DtlsSocket | undefined;
  hears: Hears;
  /** What came inside DTLS before the other leg had one. */
  readonly waiting: Buffer[];
}

export class ManInTheMiddle {
  /** What he read inside DTLS. */
  readonly read: Buffer[] = [];
  /** What he makes of it before he passes it on. */
  change: (sctp: Buffer) => Buffer = (sctp) => sctp;
  readonly #legs: readonly [Leg, Leg];
  readonly #identity: Identity;

  private constructor(legs: readonly [Leg, Leg], identity: Identity) {
    this.#legs = legs;
    this.#identity = identity;
    for (const leg of legs) {
      const other = legs[leg === legs[0] ? 1 : 0]!;
      leg.socket.on('message', (bytes, from) => this.#receive(leg, other, bytes, from));
    }
  }

  /** The certificate is that of both ends, which are in this process; the key is another one. */
  static async open(): Promise<ManInTheMiddle> {
    const { certPem: cert, signatureHash } = await RTCDtlsTransport.SetupCertificate();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    return new ManInTheMiddle([await newLeg(), await newLeg()], { cert, key, signatureHash });
  }

  /** The candidate to tell the other end in place of this one of an end: his own. Undefined for all but the first of IPv4. */
  replace(end: 0 | 1, candidate: string): string | undefined {
    const { address, port } = parseCandidate(candidate)!;
    if (!isIPv4(address) || this.#legs[end].end !== undefined) return undefined;
    this.#legs[end].end = { address, port };
    return `candidate:1 1 udp 2130706431 ${address} ${this.#legs[end === 0 ? 1 : 0].port} typ host`;
  }

  close(): void {
    for (const { socket } of this.#legs) socket.close();
  }

  #receive(leg: Leg, other: Leg, bytes: Buffer, from: RemoteInfo): void {
    leg.end = from;
    if (!isDtls(bytes)) {
      send(other, bytes);
      return;
    }
    if (leg.dtls === undefined && isClientHello(bytes)) this.#begin(leg, other);
    leg.hears(bytes, [from.address, from.port]);
  }

  /** The end of `leg` is the DTLS client. */
  #begin(leg: Leg, other: Leg): void {
    leg.dtls = new DtlsServer({ ...this.#options(leg), certificateRequest: true });
    const client = new DtlsClient(this.#options(other));
    other.dtls = client;
    for (const [one, far] of [
      [leg, other],
      [other, leg],
    ] as const) {
      one.dtls!.onError.subscribe(() => {});
      one.dtls!.onConnect.subscribe(() => {
        for (const sctp of one.waiting.splice(0)) void one.dtls!.send(sctp);
      });
      one.dtls!.onData.subscribe((sctp) => {
        this.read.push(Buffer.from(sctp));
        const passed = this.change(Buffer.from(sctp));
        if (far.dtls!.connected) void far.dtls!.send(passed);
        else far.waiting.push(passed);
      });
    }
    void client.connect();
  }

  #options(leg: Leg): DtlsOptions {
    return {
      ...this.#identity,
      extendedMasterSecret: true,
      // Engines do not go on without.
      srtpProfiles: [1, 7],
      transport: {
        type: 'udp',
        address: leg.socket.address(),
        closed: false,
        set onData(hears: Hears) {
          leg.hears = hears;
        },
        get onData() {
          return leg.hears;
        },
        send: async (bytes) => send(leg, bytes),
        close: async () => {},
      },
    };
  }
}

function send({ socket, end }: Leg, bytes: Uint8Array): void {
  if (end !== undefined) socket.send(bytes, end.port, end.address);
}

async function newLeg(): Promise<Leg> {
  const socket = createSocket('udp4').bind();
  await once(socket, 'listening');
  const { port } = socket.address();
  return { socket, port, end: undefined, dtls: undefined, hears: () => {}, waiting: [] };
}
