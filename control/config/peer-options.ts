/**
 * What may be set for single peers: `[peer.ID]` and `[peer."GLOB"]` sections of the configuration files, one row for each
 * setting. cryonet(1) is compared with this table. All of it may change while a node runs.
 */
import { pathWishes } from '../../protocol/policy.ts';
import type { PeerSettings } from '../core/peer-settings.ts';
import * as codec from './codecs.ts';

export interface PeerOptionRow<T = unknown> extends codec.Codec<T> {
  readonly name: string;
  readonly help: string;
  /** It is of one peer, so a glob cannot have it. */
  readonly ofOne?: true;
}

function row<T>(
  name: string,
  type: codec.Codec<T>,
  rest: Omit<PeerOptionRow, keyof codec.Codec<T> | 'name'>,
) {
  return { name, ...type, ...rest };
}

const peerOptions: { readonly [Name in keyof PeerSettings]-?: PeerOptionRow<PeerSettings[Name]> } = {
  allow: row('allow', codec.toggle(), { help: 'whether to link with it, whatever the options say' }),
  deny: row('deny', codec.toggle(), { help: 'whether not to; wins over allow' }),
  path: row('path', codec.oneOf(pathWishes), {
    help: 'by which paths: direct ones, which take no TURN server, or relayed ones alone',
  }),
  interface: row('interface', codec.interfaceName, {
    help: 'name of its interface, not one that begins as those of other peers do',
    ofOne: true,
  }),
  addresses: row('addresses', codec.addresses, {
    help: 'of this node on its interface, in place of those that all interfaces have',
  }),
  fingerprint: row('fingerprint', codec.identity, {
    help: 'of the key that alone may speak for the ID, or the key itself',
    ofOne: true,
  }),
  cost: row('cost', codec.integer('a number', 1, 65_535), {
    help: 'of the link, for routing daemons, in place of the measured one',
  }),
};

export const rowsOfPeers: ReadonlyMap<string, PeerOptionRow> = new Map(
  Object.values<PeerOptionRow>(peerOptions).map((each) => [each.name, each]),
);
