/** Names of bootstrap servers. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

const pending = new Map<string, Promise<LookupAddress[]>>();

/** In the order of the resolver. A look-up cannot be called off, and a name server that does not answer holds a thread up
 *  for longer than an attempt lasts: of each name one is under way at a time. */
export function addressesOf(host: string): Promise<LookupAddress[]> {
  const known = pending.get(host);
  if (known !== undefined) return known;
  const found = lookup(host, { all: true }).finally(() => pending.delete(host));
  pending.set(host, found);
  return found;
}
