/** What a reload finds changed. */
import { isDeepStrictEqual } from 'node:util';
import type { PeerSettings } from '../core/peer-settings.ts';
import type { ControlConfig } from './config.ts';
import { hasTurn } from './ice-server.ts';
import { argument, type OptionRow, options } from './options.ts';

export interface Difference {
  /** Names of options that have another value now, which a running node can take, and `peer.` with the pattern of sections. */
  readonly live: readonly string[];
  /** The same, which only a start can take. */
  readonly atRestart: readonly string[];
  /** The configuration of before with what a running node can take of the other one. */
  readonly next: ControlConfig;
}

export function difference(before: ControlConfig, after: ControlConfig): Difference {
  const changed = [['id', argument] as const, ...Object.entries<OptionRow>(options)].filter(
    ([field]) => !isDeepStrictEqual(settingOf(before, field), settingOf(after, field)),
  );
  // Whether a node has a TURN server stands in its record, which is the same from its start on.
  const isLive = ([field, row]: (typeof changed)[number]) =>
    row.changes === 'live' && (field !== 'iceServers' || hasTurn(before) === hasTurn(after));
  const live = changed.filter(isLive);
  const atRestart = changed.filter((each) => !isLive(each)).map(([, { flag }]) => flag);
  const { tokens, tokenSource, tokenPath, tokenStale, peerSections } = after;
  const values = live.filter(([field]) => field in before).map(([field]) => [field, settingOf(after, field)]);
  return {
    live: [...live.map(([, { flag }]) => flag), ...changedPeers(before, after)],
    atRestart: tokenStale ? [...atRestart, options.tokenFile.flag] : atRestart,
    next: { ...before, ...Object.fromEntries(values), tokens, tokenSource, tokenPath, peerSections },
  };
}

/** In the order of now, then those that are gone. */
function changedPeers(before: ControlConfig, after: ControlConfig): string[] {
  const [was, is] = [before, after].map(
    ({ peerSections }) => new Map(peerSections.map(({ pattern, settings }) => [pattern, settings])),
  ) as [Map<string, PeerSettings>, Map<string, PeerSettings>];
  const patterns = [...new Set([...is.keys(), ...was.keys()])];
  const isChanged = (pattern: string) => !isDeepStrictEqual(was.get(pattern) ?? {}, is.get(pattern) ?? {});
  return patterns.filter(isChanged).map((pattern) => `peer.${pattern}`);
}

/** What the option with this field has become in the configuration; undefined where that has nothing of it. */
function settingOf(config: ControlConfig, field: string): unknown {
  const { tls, mtu, autoMtu, tokens } = config;
  const derived: Readonly<Record<string, unknown>> = {
    ...{ tlsCert: tls?.cert, tlsKey: tls?.key, mtu: autoMtu ? 'auto' : mtu, token: tokens },
  };
  return { ...config, ...derived }[field];
}
