/** How often something is done that others can cause: so many times in a while, for each key. */

/** Keys whose count is kept; the one that began longest ago gives way. */
const maxKeys = 4096;

export type Quotas = Map<string, { since: number; count: number }>;

/** True for the first `limit` times of `key` within `milliseconds`, or for as much in larger amounts. */
export function within(
  quotas: Quotas,
  key: string,
  limit: number,
  milliseconds: number,
  now: number,
  amount = 1,
): boolean {
  const spent = quotas.get(key);
  if (spent !== undefined && now - spent.since < milliseconds) {
    spent.count += amount;
    return spent.count <= limit;
  }
  quotas.delete(key);
  quotas.set(key, { since: now, count: amount });
  for (const oldest of quotas.keys()) {
    if (quotas.size <= maxKeys) break;
    quotas.delete(oldest);
  }
  return amount <= limit;
}
