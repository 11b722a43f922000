/**
 * The shell's part for direct paths: their reducers and keypairs, by peer. It stands beside `shell.ts`, which
 * tells it of connections and interfaces and hands on what comes over `wire`.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Bucket, take } from '../protocol/bucket.ts';
import type { DataplaneConfig, Result } from '../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../protocol/errors.ts';
import type { RenewMessage } from '../protocol/keys.ts';
import type { Log } from '../protocol/log.ts';
import type { PeerStatus } from '../protocol/status.ts';
import type { WireMessage } from '../protocol/wire.ts';
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
import type { Agreement } from './io/agreement.ts';
import { type DirectCounters, type DirectLink, type Keypair, recordOverhead } from './io/direct.ts';
import type { Receiving } from './io/link-keys.ts';
import { ReceiverIndices } from './io/receiver-indices.ts';
import { packetInformationSize, type TunFactory } from './io/tun.ts';
import type { CandidatePair } from './io/webrtc.ts';

/** Milliseconds by which ticks of several links are put together. */
const tickSlack = 200;

type LinkStats = Result<'stats'>['links'][number];

export interface DirectShellOptions {
  readonly log: Log;
  readonly tuns: TunFactory;
  /** The direct side of the interface of `peer`; undefined where there is none. */
  link(peer: string): DirectLink | undefined;
  send(peer: string, negotiation: string, message: WireMessage): void;
  /** The path of `peer` went up or down. */
  changed(peer: string, up: boolean): void;
  /** The kernel takes what was joined for the interface of `peer`, or does not and gets it one by one. */
  joined(peer: string, takes: boolean): void;
  /** The peer did more than any node does. */
  refused(cause: string): void;
  /** The latest probe of `peer` is not answered. */
  doubtful(peer: string): void;
  /** Of its probes the latest whose time is over is not, as often as that is looked at. */
  missing(peer: string): void;
  /** Packets of up to so many bytes, without packet information, pass; more may be found while it is searched. */
  fits(peer: string, bytes: number, searching: boolean): void;
  /** Whether it is known that records which leave together do not arrive at `peer`. */
  vanish(peer: string, known: boolean): void;
}

/** An open connection of both ends' shared ports. */
export interface Carrier {
  readonly negotiation: string;
  readonly agreement: Agreement;
  /** What ICE selected. */
  readonly pair: CandidatePair;
}

interface Path {
  readonly direct: Direct;
  readonly link: DirectLink;
  carrier: Carrier | undefined;
  /** Of the connection that the keys were agreed on over last. */
  ends: CandidatePair | undefined;
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
  readonly #indices = new ReceiverIndices();
  /** Why no records are sent, by peer. */
  readonly #resting = new Map<string, string>();
  #config: DataplaneConfig | undefined;
  /** Why there are no direct paths at all. */
  #unavailable: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DirectShellOptions) {
    this.#options = options;
  }

  /** `port` is that of ICE, 0 where it has one for each connection. A kernel that refuses leaves all links on their
   *  datachannels, and is told of once. */
  open(config: DataplaneConfig, port: number): void {
    this.#config = config;
    this.#unavailable = undefined;
    if (!config.direct) this.#unavailable = 'switched off';
    else if (port === 0) this.#unavailable = 'not with this WebRTC engine';
    if (this.#unavailable !== undefined) return;
    try {
      this.#options.tuns.openDirect(
        { port, workers: config.workers, mark: config.fwmark, dscp: config.dscp },
        {
          heard: (index) => this.#ofKeypair(index, { type: 'heard', index }),
          answered: (index, number, rtt, opened) =>
            this.#ofKeypair(index, { type: 'answered', index, number, rtt, opened }),
          roamed: (index) => this.#ofKeypair(index, { type: 'roamed' }),
        },
      );
    } catch (error) {
      this.#unavailable = reasonOf(error);
      this.#options.log.warn('no direct paths: packets go by datachannels', { reason: this.#unavailable });
    }
  }

  /** Idempotent. Before the UDP port of ICE is closed. */
  close(): void {
    clearTimeout(this.#timer);
    this.#unavailable = 'closed';
    for (const peer of [...this.#paths.keys()]) this.forget(peer);
    this.#options.tuns.closeDirect();
  }

  /** A connection is open that the peers' shared ports have; nothing happens where there is one already. */
  begin(peer: string, carrier: Carrier): void {
    if (this.#unavailable !== undefined) return;
    let path = this.#paths.get(peer);
    if (path?.carrier?.negotiation === carrier.negotiation) return;
    this.#resting.delete(peer);
    const link = path?.link ?? this.#options.link(peer);
    const keypair = link && carrier.agreement.takeFirst();
    if (link === undefined || keypair === undefined) return;
    path ??= this.#add(peer, link);
    path.carrier = carrier;
    path.ends = carrier.pair;
    const { negotiation, agreement, pair } = carrier;
    this.#take(peer, path, { type: 'begin', negotiation, offered: agreement.offered });
    if (path.link.setEndpoint(pair.remote.address, pair.remote.port)) {
      path.way = this.#wayTo(path);
      this.#install(peer, path, keypair, 0);
    } else {
      wipe(keypair);
      path.direct.reason = 'unreachable address';
    }
  }

  /** The link goes by a connection that records cannot follow. While they do not pass none is sent, not even to see whether
   *  they do again: a router may forget where it sends them once nothing comes. */
  rest(peer: string, reason: string): void {
    const path = this.#paths.get(peer);
    if (path?.direct.phase === 'up') return;
    if (path !== undefined) {
      path.link.use(null);
      for (const index of this.#indices.of(peer)) path.link.remove(index);
      this.forget(peer);
    }
    this.#resting.set(peer, reason);
  }

  /** For the first keys of a negotiation: an index that no keypair has. */
  receiving(): Receiving {
    return { index: this.#indices.next(), udp: this.#unavailable === undefined };
  }

  /** The peer asks for the next keys, or answers. */
  renew(peer: string, negotiation: string, message: RenewMessage): void {
    const path = this.#paths.get(peer);
    if (path?.carrier?.negotiation !== negotiation) return;
    try {
      if (path.carrier.agreement.offered) this.#renewed(peer, path, path.carrier, message);
      else this.#answer(peer, path, path.carrier, message);
    } catch (error) {
      if (!(error instanceof CryonetError)) throw error;
      path.direct.reason = 'the keys do not agree';
      this.#options.log.warn('no new keys for a direct path', { peer, reason: error.message });
    }
  }

  ended(peer: string, negotiation: string): void {
    const path = this.#paths.get(peer);
    if (path === undefined) return;
    if (path.carrier?.negotiation === negotiation) path.carrier = undefined;
    this.#take(peer, path, { type: 'ended', negotiation });
  }

  /** The interface of `peer` is gone, and its keypairs with it. */
  forget(peer: string): void {
    this.#resting.delete(peer);
    const path = this.#paths.get(peer);
    if (path === undefined) return;
    this.#paths.delete(peer);
    this.#options.vanish(peer, false);
    for (const index of this.#indices.of(peer)) this.#indices.delete(index);
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
    const resting = this.#resting.get(peer);
    if (resting !== undefined) return { state: 'off', reason: resting };
    return { state: direct?.phase ?? 'off', reason: direct?.reason ?? '' };
  }

  /** Undefined where its probes say nothing yet. */
  statsOf(peer: string): Pick<LinkStats, 'rtt' | 'minRtt' | 'loss' | 'pathMtu'> | undefined {
    const path = this.#paths.get(peer);
    if (path === undefined || path.direct.phase === 'off') return undefined;
    const { rtt, minimum, lossPercent } = quality(path.direct.liveness);
    return {
      rtt,
      minRtt: minimum,
      loss: lossPercent === null ? null : lossPercent / 100,
      pathMtu: fittingPacket(path.direct),
    };
  }

  countersOf(peer: string): DirectCounters | undefined {
    return this.#paths.get(peer)?.link.counters();
  }

  /** The ends of the path in use. Where the peer's records come from another address than ICE selected, it is one that
   *  was learned from packets (`prflx`, RFC 8445 section 4), and ours is the one that this host reaches it from. */
  pairOf(peer: string): CandidatePair | undefined {
    const path = this.#paths.get(peer);
    if (path?.ends === undefined) return undefined;
    const { local, remote } = path.ends;
    const { address, port } = path.link.endpoint();
    const selected = address === remote.address && port === remote.port;
    return {
      local: { ...local, address: path.link.source() ?? local.address },
      remote: selected ? remote : { type: 'prflx', address, port },
    };
  }

  #add(peer: string, link: DirectLink): Path {
    const direct = newDirect(performance.now());
    if (this.#config!.segmentation === false) link.setSegmentation(false);
    const path: Path = {
      direct,
      link,
      carrier: undefined,
      ends: undefined,
      heard: 0,
      way: undefined,
      joining: newJoining(),
      renewals: newRenewals(),
    };
    this.#paths.set(peer, path);
    return path;
  }

  #answer(peer: string, path: Path, { agreement, negotiation }: Carrier, asked: RenewMessage): void {
    const { agreement: last } = path.direct;
    if (last?.installed !== true || asked.generation !== last.generation + 1) return;
    if (!take(path.renewals, 1, performance.now())) {
      this.#options.refused('renewal');
      return;
    }
    const { keypair, message } = agreement.answer(asked, this.#indices.next(agreement.keys.index));
    this.#install(peer, path, keypair, asked.generation);
    this.#options.send(peer, negotiation, message);
  }

  #renewed(peer: string, path: Path, { agreement }: Carrier, answer: RenewMessage): void {
    const keypair = agreement.take(answer);
    if (keypair !== undefined) this.#install(peer, path, keypair, answer.generation);
  }

  #install(peer: string, path: Path, keypair: Keypair, generation: number): void {
    const { negotiation } = path.carrier!;
    const { index, cipher } = keypair;
    const isNew = path.link.add(keypair);
    wipe(keypair);
    if (!isNew) return;
    this.#indices.set(index, peer);
    this.#options.log.debug('keys of a link', { peer, generation, cipher });
    this.#take(peer, path, { type: 'installed', negotiation, generation, index });
  }

  #ofKeypair(index: number, event: DirectEvent): void {
    const peer = this.#indices.ownerOf(index);
    const path = peer === undefined ? undefined : this.#paths.get(peer);
    if (path === undefined) return;
    if (event.type === 'roamed') {
      path.way = this.#wayTo(path);
      const { address, port } = path.link.endpoint();
      this.#options.log.info('peer roamed', { peer, address, port });
    }
    this.#take(peer!, path, event);
  }

  #take(peer: string, path: Path, event: DirectEvent): void {
    for (const effect of step(path.direct, event, performance.now())) {
      // An effect before may have shown that the interface is gone.
      if (this.#paths.get(peer) === path) this.#run(peer, path, effect);
    }
    this.#schedule();
  }

  #run(peer: string, path: Path, effect: DirectEffect): void {
    switch (effect.type) {
      case 'renew': {
        const agreement = path.carrier?.agreement;
        if (agreement === undefined) return;
        const message = agreement.ask(effect.generation, () => this.#indices.next(agreement.keys.index));
        this.#options.send(peer, effect.negotiation, message);
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
      case 'remove':
        path.link.remove(effect.index);
        this.#indices.delete(effect.index);
        return;
      case 'fit': {
        const bytes = effect.bytes - path.link.endpoint().overhead - recordOverhead;
        path.link.setLimit(bytes);
        const prefix = this.#config!.packetInformation ? packetInformationSize : 0;
        this.#options.fits(peer, bytes - prefix, effect.searching);
        return;
      }
      case 'segment':
        path.link.setSegmentation(effect.on);
        return;
      case 'vanish':
        this.#options.vanish(peer, effect.known);
        return;
      case 'tell-peer':
        if (path.carrier !== undefined) this.#options.send(peer, path.carrier.negotiation, { type: 'lost' });
        return;
      case 'tell':
        this.#options.changed(peer, path.direct.phase === 'up');
    }
  }

  /** One timer for all links; those that are due soon are done together. */
  #schedule(): void {
    let next: number | undefined;
    for (const { direct } of this.#paths.values()) {
      const at = nextDeadline(direct);
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    clearTimeout(this.#timer);
    if (next === undefined) return;
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(next - performance.now())));
  }

  #tick(): void {
    const until = performance.now() + tickSlack;
    for (const [peer, path] of [...this.#paths]) {
      const at = nextDeadline(path.direct);
      if (at === undefined || at > until) continue;
      const counters = path.link.counters();
      const { txPackets, txRefused, rxPackets, txRecords, rxRecords, txSegmented } = counters;
      this.#lookAtJoining(peer, path, counters);
      this.#lookAtOwn(peer, path, rxRecords);
      this.#take(peer, path, {
        type: 'tick',
        sent: txPackets + txRefused,
        received: rxPackets,
        records: txRecords + rxRecords,
        sealed: txRecords,
        segmented: txSegmented,
      });
      if (path.direct.phase === 'up' && this.isDoubtful(peer)) this.#options.doubtful(peer);
      if (path.direct.using !== null && isMissing(path.direct.liveness)) this.#options.missing(peer);
    }
    this.#schedule();
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

function wipe({ sendKey, receiveKey }: Keypair): void {
  sendKey.fill(0);
  receiveKey.fill(0);
}
