/** Sections of peers in a configuration file: `[peer.ID]` and `[peer."GLOB"]`. */
import { reasonOf } from '../../protocol/errors.ts';
import { interfaceName } from '../../protocol/interface-name.ts';
import { sectionName } from '../../protocol/policy.ts';
import type { Mistake } from '../../protocol/problem.ts';
import { isGlob, type PeerSection, type PeerSettings } from '../core/peer-settings.ts';
import { meantBy } from './meant.ts';
import type { OptionValues } from './options.ts';
import { type PeerOptionRow, rowsOfPeers } from './peer-options.ts';
import { asText, isTable, notPlain, positionOf, type Values } from './toml.ts';

/** Its tables are sections; with a value it is the option of that name. */
export const peersTable = 'peer';

/** An ID, or a glob over IDs. */
const goodPattern = /^[A-Za-z0-9_*?-]{1,64}$/;

export function readPeers(toml: string, table: Values): { peers: PeerSection[]; mistakes: Mistake[] } {
  const mistakes: Mistake[] = [];
  const blame = (path: readonly string[], reason: string) =>
    void mistakes.push({ ...positionOf(toml, [peersTable, ...path]), reason });
  const peers = Object.entries(table).flatMap(([pattern, section]) => {
    if (!goodPattern.test(pattern)) {
      blame(
        [pattern],
        `${JSON.stringify(pattern)} is no ID of a peer, and no glob of letters, digits and -_*?`,
      );
      return [];
    }
    if (!isTable(section)) {
      blame([pattern], `the settings of a peer stand below ${sectionName(pattern)}`);
      return [];
    }
    const settings: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(section)) {
      const row = rowsOfPeers.get(name);
      const read = row === undefined ? { reason: noSetting(name) } : readOne(row, pattern, value);
      if (read.reason === undefined) settings[name] = read.value;
      else blame([pattern, name], read.reason);
    }
    const { allow, deny } = settings as PeerSettings;
    if (allow !== undefined && allow === deny)
      blame([pattern, 'deny'], `allow and deny cannot both be ${deny}`);
    return [{ pattern, settings: settings as PeerSettings }];
  });
  return { peers, mistakes };
}

function noSetting(name: string): string {
  return `peers have no setting "${name}"${meantBy(name, rowsOfPeers.keys())}`;
}

/** `reason`: why it cannot be taken. */
function readOne(
  row: PeerOptionRow,
  pattern: string,
  given: unknown,
): { readonly value?: unknown; readonly reason?: string | undefined } {
  const { name, takes, ofOne } = row;
  if (ofOne && isGlob(pattern))
    return { reason: `${name} is that of one peer: give it in the section of an ID, not of a glob` };
  const shape = notPlain(name, given);
  if (shape !== undefined) return { reason: shape };
  try {
    const value = row.parse(asText(given), { source: name });
    return {
      value,
      reason:
        value === undefined ? `${name} takes ${takes}, not ${JSON.stringify(asText(given))}` : undefined,
    };
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

interface ContradictingPeer {
  readonly pattern: string;
  readonly name: keyof PeerSettings;
  readonly reason: string;
}

/** The first setting that does not go with those of other peers, or with an option. */
export function contradictingPeer(
  peers: readonly PeerSection[],
  options: Pick<OptionValues, 'peers' | 'interfacePrefix' | 'autoInterfaceName'>,
): ContradictingPeer | undefined {
  return contradictingKey(peers, options.peers) ?? contradictingName(peers, options);
}

/** A name that the interface of another peer may get, whose ID somebody has chosen for that. */
function contradictingName(
  peers: readonly PeerSection[],
  { interfacePrefix, autoInterfaceName }: Pick<OptionValues, 'interfacePrefix' | 'autoInterfaceName'>,
): ContradictingPeer | undefined {
  const owners = new Map<string, string>();
  for (const { pattern, settings } of peers) {
    const name = settings.interface;
    if (name === undefined) continue;
    const blame = (reason: string) => ({ pattern, name: 'interface' as const, reason });
    const other = owners.get(name);
    if (other !== undefined) return blame(`interface is that of ${other} already`);
    owners.set(name, pattern);
    const isTaken = autoInterfaceName
      ? /^tun\d+$/.test(name)
      : name.startsWith(interfacePrefix) && name !== interfaceName(interfacePrefix, pattern);
    const how = autoInterfaceName ? 'is as the kernel names them' : `begins with ${interfacePrefix}`;
    if (isTaken) return blame(`interface ${how}, and may be that of another peer: choose another name`);
  }
  return undefined;
}

function contradictingKey(
  peers: readonly PeerSection[],
  named: OptionValues['peers'],
): ContradictingPeer | undefined {
  const ids = new Map([...named].map(([id, pin]) => [pin, id]));
  for (const { pattern, settings } of peers) {
    const { fingerprint } = settings;
    if (fingerprint === undefined) continue;
    const blame = (reason: string) => ({ pattern, name: 'fingerprint' as const, reason });
    const other = ids.get(fingerprint);
    if (other !== undefined && other !== pattern) return blame(`fingerprint is that of ${other} already`);
    if ((named.get(pattern) ?? fingerprint) !== fingerprint)
      return blame(`fingerprint is another than the option peer gives for ${pattern}`);
    ids.set(fingerprint, pattern);
  }
  return undefined;
}

/** Sections of several files: of a pattern in more than one, a later file wins setting by setting, and gives the place. */
export function mergePeers(files: readonly (readonly PeerSection[])[]): PeerSection[] {
  const merged = new Map<string, PeerSection>();
  for (const { pattern, settings } of files.flat()) {
    const before = merged.get(pattern)?.settings;
    merged.delete(pattern);
    merged.set(pattern, { pattern, settings: { ...before, ...settings } });
  }
  return [...merged.values()];
}
