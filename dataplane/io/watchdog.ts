/** Ends this process when its event loop hangs in native code; whoever started it starts it again. */
import { loadAddon } from './native.ts';

/** Milliseconds. */
const beatInterval = 3000;

/** Seconds. An overloaded machine has kept an event loop waiting for ten. */
const patience = 30;

/** Once per process. Throws `addon_missing`. */
export function startWatchdog(): void {
  const addon = loadAddon();
  addon.watch(patience);
  setInterval(() => addon.beat(), beatInterval).unref();
}
