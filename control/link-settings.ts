/** What the dataplane is told that the operator wants of a link. */
import type { LinkSettings } from '../protocol/dataplane.ts';
import type { ControlConfig } from './config/config.ts';
import { type PeerSections, settingOf } from './core/peer-settings.ts';

/** What is as the dataplane has it without a word is left out. */
export function linkSettingsOf(
  config: ControlConfig,
  peers: PeerSections | undefined,
  peer: string,
): LinkSettings {
  const addresses = settingOf(peers, peer, 'addresses') ?? config.addresses;
  const name = settingOf(peers, peer, 'interface');
  return {
    ...(addresses.length > 0 && { addresses: [...addresses] }),
    ...(name !== undefined && { interface: name }),
  };
}

/** What one dataplane was told, by peer. It forgets that with the link. */
export class ToldSettings {
  readonly #told = new Map<string, string>();

  /** The dataplane has links with these peers, and what it was told of them is not known. */
  begin(peers: readonly string[]): void {
    this.#told.clear();
    for (const peer of peers) this.#told.set(peer, '');
  }

  /** Those of `begin` that still are to be told. */
  get untold(): string[] {
    return [...this.#told].flatMap(([peer, told]) => (told === '' ? peer : []));
  }

  /** Whether to tell it these. They count as told from now on. */
  isNews(peer: string, settings: LinkSettings): boolean {
    const text = JSON.stringify(settings);
    if ((this.#told.get(peer) ?? '{}') === text) return false;
    this.#told.set(peer, text);
    return true;
  }

  forget(peer: string): void {
    this.#told.delete(peer);
  }
}
