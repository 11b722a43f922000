/** What a node does with invitations: who has a token may have it invite, and who proves to be invited is told the tokens. */
import type { Parameters, Reply } from '../../protocol/api.ts';
import { CryonetError } from '../../protocol/errors.ts';
import type { Hello, Refusal } from '../../protocol/handshake.ts';
import {
  type InvitationStatus,
  mostServers,
  serverUrl,
  type Welcome,
  welcomeMessage,
} from '../../protocol/invitation.ts';
import type { Log } from '../../protocol/log.ts';
import { formatHostPort, isLoopback } from '../config/address.ts';
import type { ControlConfig } from '../config/config.ts';
import { equal, sha256 } from './crypto.ts';
import type { Local } from './handshake.ts';
import { invitationText } from './invitation.ts';
import type { Invitations } from './invitations.ts';

/** Milliseconds after a wrong token for which every token is refused: the group that may ask must not find it out. */
const wrongTokenPause = 1000;

export interface InviterOptions {
  readonly local: Local;
  readonly invitations: Invitations;
  readonly log: Log;
  /** As they are now. */
  readonly given: () => Pick<ControlConfig, 'tokens' | 'wsServers' | 'operators' | 'listen' | 'tls'>;
  /** A machine that calls itself so was let in. */
  readonly used: (id: string) => void;
}

export class Inviter {
  readonly #options: InviterOptions;
  #wrongAt = Number.NEGATIVE_INFINITY;

  constructor(options: InviterOptions) {
    this.#options = options;
  }

  list(): InvitationStatus[] {
    return this.#options.invitations.list();
  }

  /** Throws `unknown_invitation`, `unavailable` or `bad_config`. */
  revoke(name: string): InvitationStatus {
    const revoked = this.#options.invitations.revoke(name);
    this.#options.log.info('invitation revoked', { invitation: name });
    return revoked;
  }

  /** Throws `wrong_token`, `bad_config` or `unavailable`. */
  invite(wish: Parameters<'POST /v1/invitations'>, now = performance.now()): Reply<'POST /v1/invitations'> {
    const { local, invitations, log } = this.#options;
    this.#checkToken(wish.token, now);
    if (!welcomeMessage.safeParse(this.#welcome()).success)
      throw new CryonetError(
        'bad_config',
        'a token of this node is too long for an invitation, or of several lines',
      );
    const { servers = [this.#ownUrl()], id, uses, ttl } = wish;
    const { secret, status } = invitations.invite({ id: id ?? null, uses, ttl });
    const { expires } = status;
    const fingerprint = sha256(local.identity.publicKey);
    log.info('invited', { invitation: status.name, id, uses, expires: new Date(expires).toISOString() });
    return {
      ...status,
      text: invitationText({ secret, inviter: local.id, fingerprint, servers, id, expires }),
    };
  }

  invited(publicKey: Uint8Array): Uint8Array | undefined {
    return this.#options.invitations.keyOf(publicKey);
  }

  /** What is said to a client that has proved to be invited. */
  answer({ id, key }: Hello): Refusal | Welcome {
    const { invitations, log, used } = this.#options;
    const code = invitations.use({ id, key });
    if (code !== undefined) return { code };
    log.info('an invitation was used', { id, invitation: Buffer.from(key).toString('hex').slice(0, 8) });
    used(id);
    return this.#welcome();
  }

  #checkToken(token: string, now: number): void {
    const digest = sha256(Buffer.from(token));
    const isOurs = this.#options.given().tokens.some((each) => equal(sha256(Buffer.from(each)), digest));
    if (isOurs && now - this.#wrongAt >= wrongTokenPause) return;
    if (!isOurs) this.#wrongAt = now;
    const words = isOurs ? 'another one was wrong just now: try again' : 'that is no token of this node';
    throw new CryonetError('wrong_token', words);
  }

  /** Where this node listens, if that is an address that others have for it. */
  #ownUrl(): string {
    const { listen, tls } = this.#options.given();
    const url = `${tls === null ? 'ws' : 'wss'}://${formatHostPort(listen)}`;
    const isEverywhere = ['', '::', '0.0.0.0'].includes(listen.host);
    if (!isEverywhere && !isLoopback(listen.host) && serverUrl.safeParse(url).success) return url;
    const why = isEverywhere ? '' : `; it listens on ${formatHostPort(listen)}, which others do not reach`;
    throw new CryonetError(
      'bad_config',
      `say where others reach this node, by --server ws://… or wss://…${why}`,
    );
  }

  #welcome(): Welcome {
    const { local, given } = this.#options;
    const { tokens, wsServers, operators } = given();
    return {
      type: 'welcome',
      tokens: [...tokens],
      servers: wsServers.filter(isForAll).slice(0, mostServers),
      pins: [{ id: local.id, key: local.identity.publicKey }],
      ...(operators.length === 0
        ? {}
        : { operators: operators.map((key) => new Uint8Array(Buffer.from(key, 'hex'))) }),
    };
  }
}

/** Whether a server may be named to others: a name and password in the URL are this node's own. */
function isForAll(url: string): boolean {
  const { username, password } = new URL(url);
  return username === '' && password === '' && serverUrl.safeParse(url).success;
}
