/** The ID of a node that was given none, from the name of its host. */

/** What is left of the first dot, with `-` for each character that no ID has, cut to 64. Undefined: nothing is left. */
export function idOfHost(name: string): string | undefined {
  const id = name
    .split('.', 1)[0]!
    .replaceAll(/[^A-Za-z0-9_-]/gu, '-')
    .slice(0, 64);
  return id === '' ? undefined : id;
}
