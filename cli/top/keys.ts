/** What the keys of a terminal are for. */
import type { Key } from './model.ts';

/** By the names that Node's readline has for them, or the character. */
const keys: Readonly<Record<string, Key>> = {
  ...{ up: 'up', k: 'up', down: 'down', j: 'down' },
  ...{ pageup: 'pageUp', pagedown: 'pageDown', home: 'first', g: 'first', end: 'last', G: 'last' },
  ...{ return: 'open', enter: 'open', right: 'open', escape: 'back', left: 'back', backspace: 'back' },
  ...{ s: 'order', '?': 'help', q: 'quit' },
};

/** What readline tells of a key. */
interface Pressed {
  readonly sequence?: string | undefined;
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

/** With Ctrl, which a terminal in raw mode leaves to us. */
const withControl: Readonly<Record<string, Key | 'suspend' | 'redraw'>> = {
  ...{ c: 'quit', z: 'suspend', l: 'redraw' },
};

/** Undefined for a key that is for nothing. */
export function keyOf({ sequence = '', name = '', ctrl = false, meta = false }: Pressed) {
  if (ctrl) return Object.hasOwn(withControl, name) ? withControl[name] : undefined;
  if (meta && name !== 'escape') return undefined;
  const by = [sequence, name].find((each) => Object.hasOwn(keys, each));
  return by === undefined ? undefined : keys[by];
}
