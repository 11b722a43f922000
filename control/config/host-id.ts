/** The ID of a service that was given none, made from the host name. */

/** The host name up to its first dot, cut to 64 characters, with `-` for each that no ID may have. Undefined if empty. */
export function idOfHost(name: string): string | undefined {
  const id = name
    .split('.', 1)[0]!
    .replaceAll(/[^A-Za-z0-9_-]/gu, '-')
    .slice(0, 64);
  return id === '' ? undefined : id;
}
