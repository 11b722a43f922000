/** What is in the memory of a process, keys and the token, is for nobody else of its user, and for no core file. */
import { loadServiceAddon } from './native.ts';

/** To be called first. Never throws: without the addon there is no node either, which says so itself. */
export function conceal(): void {
  try {
    loadServiceAddon().conceal();
  } catch {}
}
