/**
 * The part of the dataplane's shell that has the peer connections: their descriptions and candidates, and what arrives on
 * their datachannels. Whether they still carry anything is found out by `upkeep-shell.ts`.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Notification, NotificationParams, Params, Result } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { Log } from '../protocol/log.ts';
import { maxNeighborFrame } from '../protocol/signaling.ts';
import { fullPacketNumber, type WireMessage } from '../protocol/wire.ts';
import type { LinkEvent } from './core/link.ts';
import { ControlShare, PeerBudgets, spend } from './core/peer-budget.ts';
import { concluded, type Failures, takesOtherPort } from './core/port-choice.ts';
import type { DirectShell } from './direct-shell.ts';
import { Agreement, type AgreementParties } from './io/agreement.ts';
import type { CandidateFilter } from './io/candidate-filter.ts';
import { isFullPacket, type Said } from './io/channel-records.ts';
import { CarriedConnection, type Carry } from './io/engine/carried.ts';
import { fingerprintOf } from './io/engine/sdp.ts';
import type { IceServerWatch } from './io/ice-server-watch.ts';
import { LiveConnection, LiveConnections, placeOf, readWire } from './io/live-connection.ts';
import type { Pings } from './io/pings.ts';
import { SeenAddresses } from './io/seen-addresses.ts';
import type {
  Connection,
  ConnectionEvents,
  ConnectionState,
  Engine,
  IceServer,
  Misuse,
} from './io/webrtc.ts';
import { type UpkeepOptions, UpkeepShell } from './upkeep-shell.ts';

/** Bits of packets in a second by a WebSocket, where control, which is older, says nothing. */
const defaultLimit = 10_000_000;

/** Bytes that wait for control above which packets by a WebSocket are lost: a control that hangs must not be cut off for them. */
const maxForControl = 1_048_576;

/** Bytes unsent to a peer that does not read, by channel; what `wire` says is short and seldom. */
const maxUnsent = { signal: 4_194_304, wire: 65_536 } as const;

export interface ConnectionShellOptions extends UpkeepOptions {
  readonly log: Log;
  readonly filter: CandidateFilter;
  readonly direct: DirectShell;
  readonly iceServers: IceServerWatch;
  readonly pings: Pings;
  /** This node. Throws `bad_message` before `hello`. */
  readonly self: () => AgreementParties['ours'];
  /** Undefined before `hello`. */
  readonly engine: () => Engine | undefined;
  readonly take: (event: LinkEvent) => void;
  readonly notify: <N extends Notification>(name: N, params: NotificationParams<N>) => void;
  /** Bytes that wait for control. */
  readonly waiting: () => number;
  /** A peer did what no node does, and was refused; the cause is one of few words. */
  readonly refused: (cause: string) => void;
  /** The engine has a new socket. */
  readonly opened: () => void;
  /** That of the shared route, whether its connection is open or not. */
  readonly shared: (peer: string) => string | undefined;
  /** A candidate may have explained the peer's end of the selected pair. */
  readonly explained: (peer: string) => void;
  /** ICE has a pair for a connection. */
  readonly paired: (peer: string, negotiation: string, live: LiveConnection) => void;
  /** The way to the peer is one that no link may take. */
  readonly astray: (peer: string, detour: string) => void;
  /** What came on `data` and is no full packet. */
  readonly record: (peer: string, bytes: Uint8Array) => void;
  readonly drained: (peer: string, connection: Connection) => void;
}

export class ConnectionShell {
  readonly #options: ConnectionShellOptions;
  readonly #live = new LiveConnections();
  readonly #budgets = new PeerBudgets();
  readonly #forControl = new ControlShare();
  /** Of the shared route. */
  readonly #failures: Failures = new Map();
  readonly #seen = new SeenAddresses();
  readonly upkeep: UpkeepShell;

  constructor(options: ConnectionShellOptions) {
    this.#options = options;
    this.upkeep = new UpkeepShell({
      ...options,
      live: this.#live,
      drop: (peer, negotiation, reason) => this.#drop(peer, negotiation, reason),
    });
  }

  get(peer: string, negotiation: string): LiveConnection | undefined {
    return this.#live.get(peer, negotiation);
  }

  /** The one that carries the link's packets, or would. */
  active(peer: string): LiveConnection | undefined {
    const negotiation = this.#options.active(peer);
    return negotiation === undefined ? undefined : this.#live.get(peer, negotiation);
  }

  /** Sends what control says. */
  signal(peer: string, frame: Uint8Array): void {
    const live = this.active(peer);
    if (live === undefined) return;
    if (live.connection.buffered('signal') + frame.length > maxUnsent.signal) this.#cutOff(peer, 'unread');
    else live.sendSignal(frame);
  }

  /** Asks the peer by the connection that carries the link's packets, or would. */
  probe(peer: string, number: number): boolean {
    const live = this.active(peer);
    live?.sendWire({ type: 'ping', number });
    return live !== undefined;
  }

  sayToAll(message: WireMessage): void {
    this.#live.sayToAll(message);
  }

  /** Why a connection that did not come up could not: undefined where some of the peer's candidates were tried. */
  whyNot(peer: string, negotiation: string): string | undefined {
    const live = this.#live.get(peer, negotiation);
    if (live === undefined || live.tried > 0 || live.refused === undefined) return undefined;
    this.#options.astray(peer, live.refused);
    return live.refused;
  }

  /** Nothing is told of it: who closes knows. */
  close(peer: string, negotiation: string): void {
    this.#conclude(peer, this.#live.get(peer, negotiation));
    this.#end(peer, negotiation);
  }

  /** The link is removed. */
  forget(peer: string): void {
    this.upkeep.forget(peer);
    this.#failures.delete(peer);
  }

  async offer(params: Params<'offer'>): Promise<Result<'offer'>> {
    const agreement = Agreement.offer(this.#parties(params), this.#options.direct.receiving());
    const live = this.#connect(params, agreement);
    const offered = live.connection.offer();
    this.#options.opened();
    const sdp = await this.#orEnd(params.peer, params.negotiation, offered);
    live.fingerprint = fingerprintOf(sdp);
    return { sdp, keys: agreement.keys };
  }

  async answer(params: Params<'answer'>): Promise<Result<'answer'>> {
    const { keys, epochs } = params;
    const agreement = Agreement.answer(this.#parties(params), this.#options.direct.receiving(), keys);
    const live = this.#connect(params, agreement);
    const answered = live.connection.answer(params.sdp);
    this.#options.opened();
    const concluded = answered.then((sdp) => {
      const ours = { epoch: epochs.ours, fingerprint: fingerprintOf(sdp) };
      agreement.conclude(ours, { epoch: epochs.theirs, fingerprint: fingerprintOf(params.sdp), keys });
      return sdp;
    });
    const sdp = await this.#orEnd(params.peer, params.negotiation, concluded);
    live.releaseCandidates();
    return { sdp, keys: agreement.keys };
  }

  async accept({ peer, negotiation, sdp, keys, epochs }: Params<'accept'>): Promise<Result<'accept'>> {
    const live = this.#live.get(peer, negotiation);
    if (live?.fingerprint === undefined) throw new CryonetError('unknown_link');
    const ours = { epoch: epochs.ours, fingerprint: live.fingerprint };
    const accepted = async () => {
      live.agreement.conclude(ours, { epoch: epochs.theirs, fingerprint: fingerprintOf(sdp), keys });
      await live.connection.accept(sdp);
    };
    await this.#orEnd(peer, negotiation, accepted());
    live.releaseCandidates();
    return {};
  }

  addCandidate({ peer, negotiation, candidate }: NotificationParams<'candidate'>): void {
    const { filter, log, direct, explained } = this.#options;
    const live = this.#live.get(peer, negotiation);
    if (live === undefined) return;
    const refused = filter.refusal(candidate);
    log.debug('remote candidate', { peer, negotiation, candidate, refused });
    if (refused !== undefined) {
      live.refused ??= refused;
      return;
    }
    live.tried++;
    const place = placeOf(candidate);
    if (place !== undefined && live.ends !== undefined) direct.elsewhere(peer, place.address, place.port);
    // It may explain the peer's end of a pair that is selected already: a relay, say.
    if (live.addCandidate(candidate) && live === this.active(peer)) explained(peer);
  }

  /** What came by the bootstrap WebSocket of a peer. */
  carried({ peer, negotiation, channel, record }: NotificationParams<'carried'>): void {
    const connection = this.#live.get(peer, negotiation)?.connection;
    if (connection instanceof CarriedConnection) connection.receive(channel, record);
  }

  /** One interval is over. */
  ping(peers: readonly string[]): void {
    for (const peer of peers) {
      if ((this.active(peer)?.connection.buffered('wire') ?? 0) > maxUnsent.wire)
        this.#cutOff(peer, 'unread');
    }
    this.upkeep.ping(peers);
    this.#options.iceServers.look([...this.#live.all()].flatMap(({ live }) => live.asked));
  }

  /** Ends the connections that asked this server for a relay: they are negotiated anew, without it. */
  leave(server: IceServer): void {
    for (const { peer, negotiation, live } of [...this.#live.all()]) {
      if (live.asked.some((asked) => isDeepStrictEqual(asked, server)))
        this.#drop(peer, negotiation, 'its TURN server takes no nonce');
    }
  }

  /** A NAT may have given us another address, from which nothing gets through before the peer has sent something there:
   *  it is told by signaling, if there is another. Never rejects. */
  async tellSeen(peer: string): Promise<void> {
    const { filter, log, notify } = this.#options;
    const engine = this.#options.engine();
    const negotiation = this.#options.shared(peer) ?? '';
    const live = this.#live.get(peer, negotiation);
    if (engine === undefined || live === undefined || live.iceServers.length === 0) return;
    for (const candidate of await this.#seen.look(engine, live.iceServers)) {
      if (this.#live.get(peer, negotiation) !== live) return;
      if (!filter.mayTell(candidate) || !live.isNews(candidate, performance.now())) continue;
      log.debug('candidate of another address', { peer, negotiation, candidate });
      notify('candidate', { peer, negotiation, candidate });
    }
  }

  #parties({ peer, negotiation, identity }: Params<'offer'>): AgreementParties {
    return { negotiation, ours: this.#options.self(), theirs: { id: peer, identity } };
  }

  #connect(
    { peer, negotiation, route, replaces, limit, iceServers: given }: Params<'offer'>,
    agreement: Agreement,
  ): LiveConnection {
    const { filter, log, take, notify, opened, iceServers, waiting } = this.#options;
    const engine = this.#options.engine();
    if (engine === undefined) throw new CryonetError('bad_message', 'hello comes first');
    if (this.#live.get(peer, negotiation) !== undefined)
      throw new CryonetError('bad_message', 'this negotiation exists');
    take({ type: 'connect', peer, negotiation, route, replaces });
    const at = { peer, negotiation };
    const budget = this.#budgets.of(peer);
    const otherPort = route === 'shared' && takesOtherPort(this.#failures, peer, agreement.offered);
    if (otherPort) log.debug('by another UDP port: the one before leads nowhere', at);
    const narrow = this.upkeep.isNarrow(peer);
    const servers = iceServers.use(given);
    const events: ConnectionEvents = {
      candidate: (candidate) => {
        if (route === 'relay') opened();
        const told = filter.mayTell(candidate);
        log.debug('candidate', { ...at, candidate, told });
        if (!told) return;
        live.tell(candidate);
        notify('candidate', { ...at, candidate });
      },
      state: (state) => this.#connectionState(peer, negotiation, state),
      paired: () => this.#options.paired(peer, negotiation, live),
      open: (channel) => {
        // All channels go one way, which each ping looks at again.
        if (!live.opened) live.look();
        const detour = live.opened ? undefined : filter.detour(live.ends);
        live.channels.add(channel);
        this.#conclude(peer, live);
        if (detour !== undefined) this.#drop(peer, negotiation, detour);
        else take({ type: 'open', ...at, channel, relayed: live.ends?.local.type === 'relay' });
      },
      message: (channel, bytes) => {
        if (channel === 'data' && !isFullPacket(bytes)) this.#options.record(peer, bytes);
        // A full packet is answered on `wire`, and counts as what it asks for.
        else if (!spend(budget, channel === 'signal' ? 'signal' : 'wire', bytes.length, performance.now()))
          this.#cut(peer, negotiation, channel === 'signal' ? 'signal' : 'wire');
        else this.#said(peer, negotiation, channel === 'data' ? 'full' : channel, bytes);
      },
      drain: () => this.#options.drained(peer, connection),
      unserved: (kind) => {
        log.debug('no candidate from a server', { ...at, kind });
        iceServers.suspect(kind);
      },
      misused: (how) => this.#cut(peer, negotiation, how),
    };
    const carry: Carry = (channel, record) => {
      if (channel !== 'data' || waiting() < maxForControl) notify('carried', { ...at, channel, record });
    };
    const connection: Connection =
      route === 'websocket'
        ? new CarriedConnection(carry, limit ?? defaultLimit, events)
        : engine.connect({ route, iceServers: servers, narrow, otherPort }, events);
    const asked = route === 'relay' ? servers.filter((server) => server.kind === 'turn') : [];
    const about = { route, agreement, narrow, asked, iceServers: servers };
    const live = new LiveConnection(connection, about);
    this.#live.add(peer, negotiation, live);
    return live;
  }

  /** What a failed description means: the connection is of no more use. */
  async #orEnd<T>(peer: string, negotiation: string, made: Promise<T>): Promise<T> {
    try {
      return await made;
    } catch (cause) {
      this.#options.take({ type: 'close', peer, negotiation });
      throw cause instanceof CryonetError ? cause : new CryonetError('bad_sdp', reasonOf(cause), { cause });
    }
  }

  #connectionState(peer: string, negotiation: string, state: ConnectionState): void {
    this.#options.log.debug('connection', { peer, negotiation, state });
    if (state === 'failed') this.#drop(peer, negotiation, this.whyNot(peer, negotiation) ?? 'no path');
    if (state === 'closed') this.#drop(peer, negotiation, 'closed by the peer');
  }

  #drop(peer: string, negotiation: string, reason: string): void {
    const live = this.#live.get(peer, negotiation);
    const full = live?.full;
    // The library may have forgotten the pair of a connection that the other end closed, having heard nothing.
    const detour = this.#options.filter.detour(live?.connection.pair() ?? live?.ends);
    this.#conclude(peer, live);
    if (!this.#end(peer, negotiation)) return;
    this.upkeep.ended(peer, full);
    if (detour !== undefined) this.#options.astray(peer, detour);
    this.#options.take({ type: 'ended', peer, negotiation, reason: detour ?? reason });
  }

  /** False where there is none. */
  #end(peer: string, negotiation: string): boolean {
    const was = this.#live.close(peer, negotiation);
    this.#options.direct.ended(peer, negotiation);
    return was;
  }

  #conclude(peer: string, live: LiveConnection | undefined): void {
    if (live?.route === 'shared' && (live.opened || live.isInVain))
      concluded(this.#failures, peer, live.opened);
  }

  #cut(peer: string, negotiation: string, cause: keyof typeof causes): void {
    this.#options.refused(cause);
    this.#drop(peer, negotiation, causes[cause]);
  }

  /** Ends all connections of a peer. */
  #cutOff(peer: string, cause: keyof typeof causes): void {
    for (const each of [...this.#live.all()])
      if (each.peer === peer) this.#cut(peer, each.negotiation, cause);
  }

  #tellControl(peer: string, frame: Uint8Array): void {
    const { notify, waiting } = this.#options;
    const { goes, heaviest } = this.#forControl.add(peer, frame.length, waiting());
    if (heaviest !== undefined) this.#cutOff(heaviest, 'control');
    if (goes) notify('signal', { peer, frame });
  }

  #said(peer: string, negotiation: string, said: Said, record: Uint8Array): void {
    const live = this.#live.get(peer, negotiation);
    if (live === undefined) return;
    const content = live.open(said, record);
    if (content === undefined) {
      // Full packets overtake each other, so one that is not taken says nothing.
      if (said !== 'full') this.#cut(peer, negotiation, 'forged');
      return;
    }
    live.silentPings = 0;
    const number = said === 'full' ? fullPacketNumber(content) : undefined;
    if (number !== undefined) live.sendWire({ type: 'full', number });
    else if (said === 'wire') this.#wire(peer, negotiation, live, content);
    else if (said === 'signal' && content.length <= maxNeighborFrame) this.#tellControl(peer, content);
  }

  #wire(peer: string, negotiation: string, live: LiveConnection, bytes: Uint8Array): void {
    const { direct, log, notify, pings, take } = this.#options;
    const message = readWire(bytes, (reason) => log.debug('wire message not understood', { peer, reason }));
    if (message === undefined) return;
    if (message.type === 'ping') live.sendWire({ type: 'pong', number: message.number });
    else if (message.type === 'pong') {
      if (pings.answered(peer, message.number)) return;
      live.takePong(message.number);
      this.upkeep.takeFull(peer, negotiation, live, { type: 'pong', number: message.number });
    } else if (message.type === 'full') this.upkeep.takeFull(peer, negotiation, live, { type: 'answered' });
    else if (message.type === 'renew') direct.renew(peer, negotiation, message);
    else if (message.type === 'lost') direct.unheard(peer);
    else if (message.type === 'bye') notify('bye', { peer });
    else {
      if (message.type === 'hello') live.answersFull = message.full === true;
      take({ type: 'wire', peer, negotiation, message });
    }
  }
}

/** Why a peer is cut off. */
const causes = {
  channel: 'the peer opened a datachannel that nobody asked for',
  message: 'the peer sent what is no message',
  forged: 'what came on a datachannel is not what the peer sent',
  backlog: 'the peer sends more than this node reads',
  signal: 'the peer signals more than any node does',
  wire: 'the peer’s dataplane says more than any does',
  unread: 'the peer does not read',
  control: 'the peer signals more than control reads',
} as const satisfies Readonly<Record<Misuse | string, string>>;
