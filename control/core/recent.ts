/** A bounded set that remembers at least the last `size` keys, in two generations: when the young one is full, it
 *  becomes the old one. */
export interface Recent {
  readonly size: number;
  young: Set<string>;
  old: Set<string>;
}

export function newRecent(size: number): Recent {
  return { size, young: new Set(), old: new Set() };
}

/** True where `key` was not there. */
export function remember(recent: Recent, key: string): boolean {
  if (recent.young.has(key) || recent.old.has(key)) return false;
  if (recent.young.size >= recent.size) {
    recent.old = recent.young;
    recent.young = new Set();
  }
  recent.young.add(key);
  return true;
}
