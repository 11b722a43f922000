/** Limits how often something is done that others can cause: for each key, so many times in a span of time. */

/** Keys whose count is kept. The one whose span began longest ago is dropped first. */
const maxKeys = 4096;

export type Quotas = Map<string, { since: number; count: number }>;

/** Adds `amount` to the count of `key`. True while the count is at most `limit`. The count begins anew `milliseconds` after
 *  its first addition. */
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
