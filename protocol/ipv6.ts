/** IPv6 addresses as text (RFC 4291, section 2.2). */

/** The eight 16-bit groups of an address; undefined for anything else, and for an address with a zone. */
export function ipv6Groups(address: string): number[] | undefined {
  if (!address.includes(':') || !URL.canParse(`http://[${address}]/`)) return undefined;
  // The URL parser normalizes: no IPv4 at the end, lower case, one `::` at most.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const groups = (part = '') =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}
