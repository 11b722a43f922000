/**
 * The WebRTC engine on node-datachannel (libdatachannel, with libjuice for ICE).
 *
 * All `shared` connections of a node use one UDP port, or others where that leads nowhere: libjuice's mux mode
 * (`SharedPorts`). A peer connection that never negotiates, the anchor, keeps the socket; libjuice's own listener would
 * keep it until the process ends. The mux tells connections apart by the remote address, so the one before is closed
 * before a peer is negotiated with anew, and TURN, where all peers share the relay's address, takes a port of its own.
 *
 * Traps of version 0.33.4, besides those in `native-peer.ts`: an exception in a callback ends the process
 * (`EventGate` takes them); `setLocalDescription` lets the library's exceptions through, which ends it too, so
 * descriptions are made by `createDataChannel` and `setRemoteDescription`; `cleanup()` hangs or crashes and is
 * never called. And a relayed DTLS server that gets a ClientHello before its ICE has connected may freeze the process
 * for good: the ICE thread holds the agent and waits for the handshake, which waits for the agent in order to send
 * through the relay. `CandidateHold` keeps the order that avoids it. A TURN server that says 438 for ever is asked anew
 * at once each time, for as long as the connection lives: `IceServerWatch` finds it and has the connection ended.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { CryonetError } from '../../../protocol/errors.ts';
import { turnCredentials } from '../turn-credentials.ts';
import {
  type Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  type Engine,
  type IceServer,
  maxMessage,
  type TurnServer,
} from '../webrtc.ts';
import { hostAddresses } from './host-addresses.ts';
import { IceServerNames, isIpv6Only, type Lookup, StunChoice } from './ice-servers.ts';
import { NativeConnection, type Start } from './native-connection.ts';
import { configureLibrary } from './native-peer.ts';
import { reflexiveCandidates } from './reflexive.ts';
import { hostCandidate } from './sdp.ts';
import { muxOn, SharedPorts } from './shared-ports.ts';
import { FreshPorts, freeUdpPort } from './udp-port.ts';

export interface NodeDatachannelOptions {
  /** The port to share; 0 for any. */
  readonly udpPort: number;
  /** Whether it must be that port: else a free one is taken where another program has it. */
  readonly fixed: boolean;
  /** The addresses offered as host candidates; by default all of this host's but link-local ones. */
  readonly hostAddresses?: () => readonly string[];
  /** The address that the kernel sends from towards another one; undefined where it does not say. */
  readonly source?: (remote: string) => string | undefined;
  /** Bytes of the largest IP packet, by default 1280. They are sent with Don't Fragment: on a path that is narrower
   *  than this, full ones are lost. A message of up to `mtu` − 124 bytes travels in one packet. */
  readonly mtu?: number;
  /** Looks up the names of ICE servers; by default as the operating system does. */
  readonly lookup?: Lookup;
}

/** The engine's `udpPort` may not be the one asked for. Rejects with `port_in_use` where the port is fixed and taken,
 *  with `bad_config` where it may not be bound. */
export async function openNodeDatachannel(options: NodeDatachannelOptions): Promise<Engine> {
  configureLibrary();
  let port = await freeUdpPort(options.udpPort).catch((error: unknown) => {
    const isTaken = error instanceof CryonetError && error.code === 'port_in_use';
    if (options.fixed || !isTaken) throw error;
    return freeUdpPort(0);
  });
  for (let tries = 3; ; tries -= 1) {
    try {
      return new MuxEngine(port, options);
    } catch (cause) {
      // Only a program that took the port since the look above gets us here.
      if (options.fixed || tries === 0) {
        throw new CryonetError('port_in_use', `another program has UDP port ${port}`, { cause });
      }
      port = await freeUdpPort(0);
    }
  }
}

/** IPv6's least (RFC 8200 5): the one size that every path takes. */
const SAFE_MTU = 1280;
/** Ethernet's; more than that is for paths that are known to take it. */
const USUAL_MTU = 1500;
/** IPv6, UDP, DTLS, SCTP and its chunk around one message. */
const OVERHEAD = 124;

/** Bytes of a full packet such that one of `longestRecord` bytes travels whole, where the usual path takes that; else the
 *  size that every path takes, and the record in pieces. A single flow was a third faster whole. */
export function pathMtu(longestRecord: number): number {
  const whole = longestRecord + OVERHEAD;
  return whole <= USUAL_MTU ? Math.max(whole, SAFE_MTU) : SAFE_MTU;
}

/** The library frees a closed connection's place in the mux in a thread of its own, well within this. */
const SETTLE_MS = 10;
/** Connections that end take longer where the process is busy; only a hostile one takes more than this. */
const ENDING_MS = 300;

class MuxEngine implements Engine {
  readonly name = 'node-datachannel';
  readonly #hostAddresses: () => readonly string[];
  readonly #source: (remote: string) => string | undefined;
  readonly #mtu: number;
  readonly #ports: SharedPorts;
  readonly #names: IceServerNames;
  readonly #stun = new StunChoice();
  readonly #freshPorts = new FreshPorts();
  readonly #connections = new Set<NativeConnection>();
  /** Those that are over and not gone yet. */
  readonly #ending = new Set<NativeConnection>();
  #closed = false;
  #lastEnd = Number.NEGATIVE_INFINITY;

  constructor(udpPort: number, options: NodeDatachannelOptions) {
    this.#ports = new SharedPorts(udpPort, () => this.#freshPorts.take());
    this.#hostAddresses = options.hostAddresses ?? hostAddresses;
    this.#source = options.source ?? (() => undefined);
    this.#mtu = options.mtu ?? SAFE_MTU;
    this.#names = new IceServerNames(options.lookup);
  }

  get udpPort(): number {
    return this.#ports.own;
  }

  connect(options: ConnectionOptions, events: ConnectionEvents): Connection {
    const home = {
      start: () => this.#start(options),
      source: this.#source,
      ended: () => {
        this.#connections.delete(connection);
        this.#ending.add(connection);
      },
      gone: () => {
        this.#ending.delete(connection);
        this.#lastEnd = performance.now();
      },
    };
    const connection = new NativeConnection(home, events);
    if (this.#closed) connection.close();
    else this.#connections.add(connection);
    return connection;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.close();
    this.#ports.close();
  }

  async reflexive(iceServers: readonly IceServer[]): Promise<readonly string[]> {
    const { servers } = await this.#names.resolve(iceServers, isIpv6Only(this.#hostAddresses()));
    const { server } = this.#stun.choose(servers);
    if (server === undefined || this.#closed) return [];
    const stun = [{ hostname: server.host, port: server.port }];
    return reflexiveCandidates({ ...muxOn(this.udpPort), iceServers: stun });
  }

  sweep(): void {
    this.#ports.sweep(new Set([...this.#connections].map(({ port }) => port)));
  }

  async #start({ route, iceServers, narrow, otherPort }: ConnectionOptions): Promise<Start> {
    for (let waited = 0; this.#ending.size > 0 && waited < ENDING_MS; waited += SETTLE_MS)
      await delay(SETTLE_MS);
    const settling = this.#lastEnd + SETTLE_MS - performance.now();
    if (settling > 0) await delay(settling);
    const addresses = this.#hostAddresses();
    const { servers: known, nat64 } = await this.#names.resolve(iceServers, isIpv6Only(addresses));
    const turn = route === 'relay' ? known.filter(({ kind }) => kind === 'turn') : [];
    const { server, outcome } = this.#stun.choose(known);
    const stun = server === undefined ? [] : [{ hostname: server.host, port: server.port }];
    const port = route === 'shared' ? await this.#sharedPort(otherPort === true) : await this.#ownPort();
    const candidates = addresses.map((address, index) => hostCandidate(address, port.portRangeBegin, index));
    return {
      config: {
        maxMessageSize: maxMessage,
        mtu: narrow === true ? SAFE_MTU : this.#mtu,
        ...port,
        iceServers: [...stun, ...turn.map(turnServer)],
      },
      isRelayed: turn.length > 0,
      asksStun: server?.kind === 'stun',
      candidates,
      nat64,
      stunOutcome: outcome,
    };
  }

  async #ownPort() {
    const port = await this.#freshPorts.take();
    return { portRangeBegin: port, portRangeEnd: port };
  }

  async #sharedPort(other: boolean) {
    return muxOn(other ? await this.#ports.other() : this.#ports.own);
  }
}

function turnServer(server: IceServer) {
  const { user, credential } = turnCredentials(server as TurnServer);
  const { host, port } = server;
  return { hostname: host, port, username: user, password: credential, relayType: 'TurnUdp' as const };
}
