/**
 * Credentials of limited time for TURN servers (draft-uberti-behave-turn-rest-00 section 2.2): the user begins with the
 * second until which it is one, and the credential is a MAC over the user, under a secret shared with the server.
 */
import { createHmac } from 'node:crypto';
import type { TurnServer } from './webrtc.ts';

/** What the server is asked with from now on; where it has a secret of ours, made anew. `now`: milliseconds of the clock. */
export function turnCredentials(
  { user, credential, lifetime }: TurnServer,
  now = Date.now(),
): { readonly user: string; readonly credential: string } {
  if (lifetime === undefined) return { user, credential };
  const limited = `${Math.floor(now / 1000) + lifetime}:${user}`;
  return { user: limited, credential: createHmac('sha1', credential).update(limited).digest('base64') };
}

/** Until when credentials are good that somebody made beforehand, milliseconds of the clock; undefined where nothing
 *  says. */
export function turnExpiry({ user, lifetime }: TurnServer): number | undefined {
  const until = /^(\d{9,11})(?::|$)/.exec(user)?.[1];
  return until === undefined || lifetime !== undefined ? undefined : Number(until) * 1000;
}
