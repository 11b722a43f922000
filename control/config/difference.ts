/** What a reload finds changed. */
import { isDeepStrictEqual } from 'node:util';
import type { ControlConfig } from './config.ts';
import { argument, type OptionRow, options } from './options.ts';

export interface Difference {
  /** Names of options that have another value now, which a running node can take. */
  readonly live: readonly string[];
  /** The same, which only a start can take. */
  readonly atRestart: readonly string[];
}

export function difference(before: ControlConfig, after: ControlConfig): Difference {
  const changed = [['id', argument] as const, ...Object.entries<OptionRow>(options)]
    .filter(([field]) => !isDeepStrictEqual(settingOf(before, field), settingOf(after, field)))
    .map(([, row]) => row);
  const flags = (changes: OptionRow['changes']) =>
    changed.filter((row) => row.changes === changes).map(({ flag }) => flag);
  return { live: flags('live'), atRestart: flags('at restart') };
}

/** What the option with this field has become in the configuration; undefined where that has nothing of it. */
function settingOf(config: ControlConfig, field: string): unknown {
  const { tls, mtu, autoMtu } = config;
  const derived: Readonly<Record<string, unknown>> = {
    ...{ tlsCert: tls?.cert, tlsKey: tls?.key, mtu: autoMtu ? 'auto' : mtu },
  };
  return { ...config, ...derived }[field];
}
