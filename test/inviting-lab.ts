/** A bootstrap server that invites, and who comes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { redeem } from '../cli/local/redeem.ts';
import type { Tokens } from '../control/config/token.ts';
import { readInvitation } from '../control/io/invitation.ts';
import { Invitations } from '../control/io/invitations.ts';
import { Inviter } from '../control/io/inviter.ts';
import { Outgoing } from '../control/io/outgoing.ts';
import { noProxies } from '../control/io/proxy.ts';
import { Trust } from '../control/io/trust.ts';
import type { InvitationPayload } from '../protocol/invitation.ts';
import { type Served, serve } from './bootstrap-lab.ts';
import { newLogLines } from './log-lines.ts';
import { temporaryFolder } from './socket-pair.ts';

export const tokens: Tokens = ['the-token-from-now-on-4C', 'the-token-of-before-9B'];
const plainly = new Outgoing({ mark: 0, unmarked: () => {}, trust: new Trust(null), proxies: noProxies });
/** The public key of an operator, in hexadecimal. */
export const operator = '5c'.repeat(32);
export const wish = { token: tokens[0], uses: 1, ttl: 3_600_000 };

export interface Inviting extends Served {
  readonly inviter: Inviter;
  readonly used: string[];
  /** What it has logged, as JSON. */
  logged(): string;
  /** Moves the clock of invitations on. */
  later(milliseconds: number): void;
  invite(more?: object): InvitationPayload;
}

export async function inviting(context: TestContext): Promise<Inviting> {
  const used: string[] = [];
  const { log, lines } = newLogLines();
  let ahead = 0;
  const tell = { set: assert.fail, clear: () => {} };
  const invitations = new Invitations(
    join(temporaryFolder(context), 'invitations'),
    tell,
    () => Date.now() + ahead,
  );
  const served: Served = await serve(context, {
    events: { invited: (key) => inviter.invited(key), welcome: (client) => inviter.answer(client) },
  });
  const inviter: Inviter = new Inviter({
    ...{ local: served.local, invitations, log },
    given: () => ({
      tokens,
      wsServers: ['wss://lima.example.net/', 'wss://user:password@riga.example.net/'],
      listen: { host: '127.0.0.1', port: served.port },
      tls: null,
      operators: [operator],
    }),
    used: (id) => void used.push(id),
  });
  return {
    ...served,
    ...{ inviter, used },
    logged: () => JSON.stringify(lines),
    later: (milliseconds) => {
      ahead += milliseconds;
    },
    invite: (more = {}) => {
      const { text } = inviter.invite({ ...wish, servers: [served.url], ...more }, performance.now());
      return readInvitation(text);
    },
  };
}

export const come = (invitation: InvitationPayload, id = 'osaka') => redeem(invitation, id, plainly);
