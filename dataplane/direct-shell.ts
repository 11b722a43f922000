/**
 * The shell's part for the packets of each link: its keypairs and its direct path, by peer. It stands beside `shell.ts`, which
 * tells it of connections and interfaces and hands on what comes over `wire`.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Bucket } from '../protocol/bucket.ts';
import type { DataplaneConfig, Result } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { RenewMessage } from '../protocol/keys.ts';
import type { PeerStatus } from '../protocol/status.ts';
import { leastMtu } from './core/agreed-mtu.ts';
import {
  type Direct,
  type DirectEffect,
  type DirectEvent,
  fittingPacket,
  newDirect,
  nextDeadline,
  step,
} from './core/direct.ts';
import { type Joining, newJoining, stepJoining } from './core/joining.ts';
import { isMissing, quality } from './core/liveness.ts';
import { newRenewals } from './core/peer-budget.ts';
import { Alarm } from './io/alarm.ts';
import { type DirectCounters, type DirectEvents, type DirectLink, recordOverhead } from './io/direct.ts';
import type { Receiving } from './io/link-keys.ts';
import type { Pings } from './io/pings.ts';
import { packetInformationSize, type TunFactory } from './io/tun.ts';
import type { CandidateEnd, CandidatePair } from './io/webrtc.ts';
import { KeysShell, type KeysShellOptions } from './keys-shell.ts';

/** Milliseconds by which ticks of several links are put together. */
const tickSlack = 200;

type LinkStats = Result<'stats'>['links'][number];

export interface DirectShellOptions extends KeysShellOptions {
  readonly tuns: TunFactory;
  readonly pings: Pings;
  /** The packets of the interface of `peer`; undefined where there is none. */
  link(peer: string): DirectLink | undefined;
  /** A record for the peer, by the datachannel that carries the link's packets, if there is one. */
  sendRecord(peer: string, record: Uint8Array): void;
  /** The path of `peer` went up or down. */
  changed(peer: string, up: boolean): void;
  /** The kernel takes what was joined for the interface of `peer`, or does not and gets it one by one. */
  joined(peer: string, takes: boolean): void;
  /** The latest probe of `peer` is not answered. */
  doubtful(peer: string): void;
  /** Of its probes the latest whose time is over is not, as often as that is looked at. */
  missing(peer: string): void;
  /** Packets of up to so many bytes, without packet information, pass; more may be found while it is searched. */
  fits(peer: string, bytes: number, searching: boolean): void;
  /** Whether it is known that records which leave together do not arrive at `peer`. */
  vanish(peer: string, known: boolean): void;
}

interface Path {
  readonly direct: Direct;
  readonly link: DirectLink;
  /** Of the connection that showed where the peer is. Before it was `open` ICE may have chosen another pair still. */
  ends: { readonly negotiation: string; readonly pair: CandidatePair; readonly open: boolean } | undefined;
  /** Bytes of the longest packet that passes, without packet information. */
  fits: number;
  /** Records received until the last tick. */
  heard: number;
  /** How this machine sent to the peer when that was looked at last. */
  way: ReturnType<TunFactory['route']>;
  readonly joining: Joining;
  readonly renewals: Bucket;
}

export class DirectShell {
  readonly #options: DirectShellOptions;
  readonly #paths = new Map<string, Path>();
  readonly #keys: KeysShell;
  #config: DataplaneConfig | undefined;
  /** Why there are no direct paths at all. */
  #unavailable: string | undefined;
  /** For all links; those that are due soon are done together. */
  readonly #alarm = new Alarm(() => this.#tick());

  constructor(options: DirectShellOptions) {
    this.#options = options;
    this.#keys = new KeysShell(options);
  }

  /** `port` is that of ICE, 0 where it has one for each connection. A kernel that refuses leaves all links on their
   *  datachannels, and is told of once. */
  open(config: DataplaneConfig, port: number): void {
    const { tuns, log } = this.#options;
    this.#config = config;
    this.#unavailable = undefined;
    if (!config.direct) this.#unavailable = 'switched off';
    else if (port === 0) this.#unavailable = 'not with this WebRTC engine';
    const options = { port, workers: config.workers, mark: config.fwmark, dscp: config.dscp };
    const events: DirectEvents = {
      heard: (index) => this.#ofKeypair(index, { type: 'heard', index }),
      answered: (index, number, rtt, opened) => {
        const peer = this.#keys.ownerOf(index);
        if (peer !== undefined && this.#options.pings.answered(peer, number, rtt)) return;
        this.#ofKeypair(index, { type: 'answered', index, number, rtt, opened });
      },
      roamed: (index) => this.#ofKeypair(index, { type: 'roamed' }),
    };
    try {
      tuns.openDirect({ ...options, udp: this.#unavailable === undefined }, events);
    } catch (error) {
      this.#unavailable = reasonOf(error);
      log.warn('no direct paths: packets go by datachannels', { reason: this.#unavailable });
      tuns.openDirect({ ...options, udp: false }, events);
    }
  }

  /** Idempotent. Before the UDP port of ICE is closed. */
  close(): void {
    this.#alarm.clear();
    this.#unavailable = 'closed';
    for (const peer of [...this.#paths.keys()]) this.forget(peer);
    this.#options.tuns.closeDirect();
  }

  /** Our interface and a connection are ready: what the peer seals with its first keys is opened from now on. */
  ready(peer: string, negotiation: string): void {
    const link = this.#options.link(peer);
    const installed = link && this.#keys.first(peer, negotiation, link);
    if (installed === undefined) return;
    this.#take(peer, this.#paths.get(peer) ?? this.#add(peer, link!), installed);
  }

  /** Both ends are ready for a connection, and it carries the link's packets. */
  activate(peer: string, negotiation: string): void {
    const path = this.#paths.get(peer);
    if (path === undefined || path.direct.keypairs.active === negotiation) return;
    this.#take(peer, path, { type: 'active', negotiation });
  }

  /** ICE has a pair for a connection that is not open yet, of both ends' shared ports. Where a connection carries the link, its
   *  keys and path are kept until then. */
  paired(peer: string, negotiation: string, pair: CandidatePair): void {
    const path = this.#paths.get(peer);
    if (path === undefined || path.direct.keypairs.active !== null) return;
    const event = { type: 'paired', negotiation } as const;
    if (path.direct.phase === 'up') this.#take(peer, path, event);
    else this.#begin(peer, path, { negotiation, pair, open: false }, event);
  }

  /** That connection is open, of both ends' shared ports, where records may go: nothing happens where it was said before. */
  begin(peer: string, negotiation: string, pair: CandidatePair): void {
    const path = this.#paths.get(peer);
    if (path === undefined) return;
    const { ends } = path;
    if (ends?.negotiation === negotiation && ends.open) return;
    const open = { negotiation, pair, open: true };
    if (ends?.negotiation === negotiation && isAt(ends.pair.remote, pair.remote)) path.ends = open;
    else this.#begin(peer, path, open, { type: 'begin' });
  }

  #begin(peer: string, path: Path, ends: NonNullable<Path['ends']>, event: DirectEvent): void {
    if (this.#unavailable !== undefined) return;
    path.ends = ends;
    const { address, port } = ends.pair.remote;
    if (path.link.setEndpoint(address, port)) {
      path.way = this.#wayTo(path);
      this.#take(peer, path, event);
    } else path.direct.reason = 'unreachable address';
  }

  /** The link goes by a connection that records cannot follow. While they do not pass none is sent, not even to see whether
   *  they do again: a router may forget where it sends them once nothing comes. */
  rest(peer: string, reason: string): void {
    const path = this.#paths.get(peer);
    if (path === undefined || path.direct.phase === 'up') return;
    this.#options.vanish(peer, false);
    this.#take(peer, path, { type: 'rest', reason });
  }

  /** For the first keys of a negotiation. */
  receiving(): Receiving {
    const { packetInformation, mtu, autoMtu } = this.#config!;
    const udp = this.#unavailable === undefined;
    return this.#keys.receiving({ udp, interface: { packetInformation, mtu: autoMtu ? leastMtu : mtu } });
  }

  /** The peer asks for the next keys, or answers. */
  renew(peer: string, negotiation: string, message: RenewMessage): void {
    const path = this.#paths.get(peer);
    if (path === undefined) return;
    const { link, renewals, direct } = path;
    const { keypairs } = direct;
    try {
      const installed = this.#keys.take(peer, negotiation, message, { link, renewals, keypairs });
      if (installed !== undefined) this.#take(peer, path, installed);
    } catch (error) {
      if (!(error instanceof CryonetError)) throw error;
      direct.reason = 'the keys do not agree';
      this.#options.log.warn('no new keys for a link', { peer, reason: error.message });
    }
  }

  ended(peer: string, negotiation: string): void {
    const path = this.#paths.get(peer);
    if (path !== undefined) this.#take(peer, path, { type: 'ended', negotiation });
  }

  /** The interface of `peer` is gone, and its keypairs with it. */
  forget(peer: string): void {
    const path = this.#paths.get(peer);
    if (path === undefined) return;
    this.#paths.delete(peer);
    this.#options.vanish(peer, false);
    this.#keys.forget(peer);
    if (path.direct.phase === 'up') this.#options.changed(peer, false);
  }

  /** The peer has no answer from us by the direct path, however well we hear it. */
  unheard(peer: string): void {
    const path = this.#paths.get(peer);
    if (path !== undefined) this.#take(peer, path, { type: 'unheard' });
  }

  /** The peer says that it may be at this address, too. */
  elsewhere(peer: string, address: string, port: number): void {
    const path = this.#paths.get(peer);
    if (path !== undefined) this.#take(peer, path, { type: 'elsewhere', address, port });
  }

  isUp(peer: string): boolean {
    return this.#paths.get(peer)?.direct.phase === 'up';
  }

  /** Asks the peer by its path. False where the kernel does not take the probe. */
  probe(peer: string, number: number): boolean {
    const path = this.#paths.get(peer);
    const using = path?.direct.keypairs.using;
    return path !== undefined && using != null && path.link.probe(using.index, number, 0);
  }

  /** Records may go there; whether they arrive is not known yet. */
  isTried(peer: string): boolean {
    return this.#paths.get(peer)?.direct.phase === 'trying';
  }

  /** It is up, and packets of so many bytes pass. */
  takes(peer: string, bytes: number): boolean {
    const path = this.#paths.get(peer);
    return path !== undefined && path.direct.phase === 'up' && path.fits >= bytes;
  }

  /** A probe is unanswered: the datachannel is worth a look. */
  isDoubtful(peer: string): boolean {
    return this.#paths.get(peer)?.direct.liveness.probes.at(-1)?.answer === 'missed';
  }

  /** `relayed`: the connection goes through a TURN server. */
  statusOf(peer: string, relayed: boolean): NonNullable<PeerStatus['direct']> {
    if (this.#unavailable !== undefined) return { state: 'off', reason: this.#unavailable };
    const direct = this.#paths.get(peer)?.direct;
    if (direct?.phase === 'up') return { state: 'up', reason: '' };
    if (relayed) return { state: 'off', reason: 'relayed' };
    return { state: direct?.phase ?? 'off', reason: direct?.reason ?? '' };
  }

  /** Undefined where its probes say nothing yet. */
  statsOf(peer: string): Pick<LinkStats, 'rtt' | 'minRtt' | 'loss' | 'probes' | 'pathMtu'> | undefined {
    const path = this.#paths.get(peer);
    if (path === undefined || path.direct.phase === 'off') return undefined;
    const { rtt, minimum, lossPercent, ended } = quality(path.direct.liveness);
    return {
      rtt,
      minRtt: minimum,
      loss: lossPercent === null ? null : lossPercent / 100,
      probes: ended,
      pathMtu: fittingPacket(path.direct),
    };
  }

  /** The ends of the path in use. Where the peer's records come from another address than ICE selected, it is one that
   *  was learned from packets (`prflx`, RFC 8445 section 4), and ours is the one that this host reaches it from. */
  pairOf(peer: string): CandidatePair | undefined {
    const path = this.#paths.get(peer);
    if (path?.ends === undefined) return undefined;
    const { local, remote } = path.ends.pair;
    const { address, port } = path.link.endpoint();
    return {
      local: { ...local, address: path.link.source() ?? local.address },
      remote: isAt(remote, { address, port }) ? remote : { type: 'prflx', address, port },
    };
  }

  #add(peer: string, link: DirectLink): Path {
    const direct = newDirect(performance.now());
    if (this.#config!.segmentation === false) link.setSegmentation(false);
    const path: Path = {
      direct,
      link,
      ends: undefined,
      fits: 0,
      heard: 0,
      way: undefined,
      joining: newJoining(),
      renewals: newRenewals(),
    };
    this.#paths.set(peer, path);
    return path;
  }

  #ofKeypair(index: number, event: DirectEvent): void {
    const peer = this.#keys.ownerOf(index);
    const path = peer === undefined ? undefined : this.#paths.get(peer);
    if (path === undefined) return;
    if (event.type === 'roamed') {
      path.way = this.#wayTo(path);
      const { address, port } = path.link.endpoint();
      // Before the connection is open either end may have chosen another pair than the other one.
      this.#options.log[path.ends?.open ? 'info' : 'debug']('peer roamed', { peer, address, port });
    }
    this.#take(peer!, path, event);
  }

  #take(peer: string, path: Path, event: DirectEvent): void {
    for (const effect of step(path.direct, event, performance.now())) {
      // An effect before may have shown that the interface is gone.
      if (this.#paths.get(peer) === path) this.#run(peer, path, effect);
    }
    if (this.#paths.get(peer) === path) this.#alarm.by(nextDeadline(path.direct));
  }

  #run(peer: string, path: Path, effect: DirectEffect): void {
    switch (effect.type) {
      case 'renew':
        this.#keys.ask(peer, effect.negotiation, effect.generation);
        return;
      case 'prove': {
        if (path.direct.phase !== 'off') path.link.probe(effect.index, 0, 0);
        const record = path.link.sign(effect.index);
        if (record !== undefined) this.#options.sendRecord(peer, record);
        return;
      }
      case 'probe':
        if (path.link.probe(effect.index, effect.number, effect.bytes)) return;
        this.#take(peer, path, { type: 'refused', number: effect.number });
        return;
      case 'ask': {
        const { address, port } = effect.place;
        path.link.ask(effect.index, address, port);
        return;
      }
      case 'use':
        path.link.use(effect.index);
        return;
      case 'carry':
        path.link.carry(effect.on);
        return;
      case 'remove':
        this.#keys.remove(effect.index, path.link);
        return;
      case 'fit': {
        const bytes = effect.bytes - path.link.endpoint().overhead - recordOverhead;
        path.link.setLimit(bytes);
        const prefix = this.#config!.packetInformation ? packetInformationSize : 0;
        path.fits = bytes - prefix;
        this.#options.fits(peer, path.fits, effect.searching);
        return;
      }
      case 'segment':
        path.link.setSegmentation(effect.on);
        return;
      case 'vanish':
        this.#options.vanish(peer, effect.known);
        return;
      case 'tell-peer': {
        const { active } = path.direct.keypairs;
        if (active !== null) this.#options.send(peer, active, { type: 'lost' });
        return;
      }
      case 'tell':
        this.#options.changed(peer, path.direct.phase === 'up');
    }
  }

  #tick(): void {
    const until = performance.now() + tickSlack;
    for (const [peer, path] of [...this.#paths]) {
      const at = nextDeadline(path.direct);
      if (at === undefined || at > until) continue;
      const counters = path.link.counters();
      const { txPackets, txData, txRefused, rxPackets, rxData, txRecords, rxRecords, txSegmented } = counters;
      this.#lookAtJoining(peer, path, counters);
      this.#lookAtOwn(peer, path, rxRecords);
      this.#take(peer, path, {
        type: 'tick',
        sent: txPackets - txData + txRefused,
        received: rxPackets - rxData,
        records: txRecords + txData + rxRecords + rxData,
        sealed: txRecords,
        segmented: txSegmented,
      });
      if (path.direct.phase === 'up' && this.isDoubtful(peer)) this.#options.doubtful(peer);
      const { phase, keypairs, liveness } = path.direct;
      if (phase !== 'off' && keypairs.using !== null && isMissing(liveness)) this.#options.missing(peer);
    }
    for (const { direct } of this.#paths.values()) this.#alarm.by(nextDeadline(direct));
  }

  /** Our address may still be this machine's, and packets from it lead nowhere: as when another uplink took over. The one
   *  before may go on bringing what the peer sends. */
  #lookAtOwn(peer: string, path: Path, rxRecords: number): void {
    const silent = rxRecords === path.heard;
    path.heard = rxRecords;
    if (!this.isDoubtful(peer)) return;
    const way = this.#wayTo(path);
    if (silent || !isDeepStrictEqual(way, path.way)) path.link.forgetOwn();
    path.way = way;
  }

  #wayTo({ link }: Path): Path['way'] {
    return this.#options.tuns.route(link.endpoint().address, this.#config!.fwmark);
  }

  #lookAtJoining(peer: string, { joining, link }: Path, { rxUnjoined }: DirectCounters): void {
    const next = stepJoining(joining, rxUnjoined, performance.now());
    if (next === 'join') link.join();
    if (next === 'tell' || next === 'over') this.#options.joined(peer, next === 'over');
  }
}

type Place = Pick<CandidateEnd, 'address' | 'port'>;

function isAt(one: Place, other: Place): boolean {
  return one.address === other.address && one.port === other.port;
}
