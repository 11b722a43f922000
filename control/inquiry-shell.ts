/** The part of control's shell that finds out what an operator asks of peers and networks: nothing changes by it. */
import type { Pong } from '../protocol/api.ts';
import type { IceServer } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { Explanation } from '../protocol/link-view.ts';
import type { Netcheck } from '../protocol/netcheck.ts';
import { stunServersOf } from './config/ice-server.ts';
import type { MeshEvent } from './core/events.ts';
import { viewOf } from './core/link-view.ts';
import type { Mesh } from './core/state.ts';
import type { DataplaneShell } from './dataplane-shell.ts';
import type { Inquiries } from './io/control-routes.ts';
import { FarViews } from './io/far-views.ts';
import { idsOf, isRelayed, stateAndReason } from './status.ts';

export interface InquiryShellOptions {
  readonly mesh: () => Mesh;
  readonly dataplane: DataplaneShell;
  readonly iceServers: () => readonly IceServer[];
  readonly take: (event: MeshEvent) => void;
}

export class InquiryShell implements Inquiries {
  readonly #of: InquiryShellOptions;
  /** Told of what peers answer. */
  readonly farViews = new FarViews();

  constructor(options: InquiryShellOptions) {
    this.#of = options;
  }

  /** Rejects with `unknown_peer`, and with `unavailable` where the dataplane cannot be asked. */
  async ping(peer: string): Promise<Pong> {
    const mesh = this.#meshWith(peer);
    const { rtt, path, pair } = await this.#of.dataplane.ping(peer);
    const { state, reason } = stateAndReason(mesh, peer);
    const why = path !== null ? 'no answer within 3 s' : reason || `the link is ${state}`;
    return { peer, rtt, path, pair, relayed: isRelayed(pair), reason: rtt === null ? why : '' };
  }

  /** Rejects with `unknown_peer`, and with `unavailable` where too many ask. */
  async explain(peer: string): Promise<Explanation> {
    const mesh = this.#meshWith(peer);
    const theirs = await this.farViews.ask(peer, (number, wide) =>
      this.#of.take({ type: 'explain', peer, number, wide }),
    );
    return { peer, ours: viewOf(mesh, peer), theirs };
  }

  /** Rejects with `bad_config` and `unavailable`. */
  async netcheck(stun: readonly string[] | undefined): Promise<Netcheck> {
    const servers = stun === undefined ? this.#of.iceServers() : stunServersOf(stun);
    if (servers.length === 0)
      throw new CryonetError('bad_config', 'no STUN server is configured: name two, --stun host:port each');
    return this.#of.dataplane.netcheck(servers);
  }

  /** Idempotent. */
  close(): void {
    this.farViews.close();
  }

  #meshWith(peer: string): Mesh {
    const mesh = this.#of.mesh();
    if (!idsOf(mesh).includes(peer)) throw new CryonetError('unknown_peer', `no peer is called ${peer}`);
    return mesh;
  }
}
