/** A bounded set that remembers at least the last `size` keys, in two generations. When the young one is full, it replaces
 *  the old one. */
export interface Recent {
  readonly size: number;
  young: Set<string>;
  old: Set<string>;
}

export function newRecent(size: number): Recent {
  return { size, young: new Set(), old: new Set() };
}

export function remembers({ young, old }: Recent, key: string): boolean {
  return young.has(key) || old.has(key);
}

export function remember(recent: Recent, key: string): void {
  if (recent.young.size >= recent.size) {
    recent.old = recent.young;
    recent.young = new Set();
  }
  recent.young.add(key);
}
