/** Keeps the keys and the token in the memory of a process from core files, and from other processes of its user. */
import { loadServiceAddon } from './native.ts';

/** The first thing that a main does. Never throws: without the addon the node does not start, and says why. */
export function conceal(): void {
  try {
    loadServiceAddon().conceal();
  } catch {}
}
