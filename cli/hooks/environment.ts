/** What a hook is told: variables, and nothing else of the environment. */
import type { NodeEvent } from '../../protocol/events.ts';
import { printable } from '../printable.ts';

/** `event`: of a later version it may have fields that are not known here; those that are text or numbers are told, too. */
export function environmentOf(
  event: HookEvent,
  known: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const told = Object.entries(event).flatMap(([field, value]) =>
    typeof value === 'string' || typeof value === 'number'
      ? [[variable(field), printable(String(value)).replaceAll('\0', '?')] as const]
      : [],
  );
  const added = Object.entries(known).filter(([, value]) => value !== undefined);
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    ...Object.fromEntries(told),
    ...(Object.fromEntries(added) as Record<string, string>),
  };
}

/** An event of the node, or `hooks.started`: the hooks are run from now on, and what was before is for them to look up. */
export type HookEvent = Omit<NodeEvent, 'event'> & { readonly event: string };

/** `CRYONET_PATH_BEFORE` of `pathBefore`. */
function variable(field: string): string {
  return `CRYONET_${field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
