/** What `cryoc invite` does. Who invites shows the node a token of the mesh, which who may ask the node need not know. */
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError } from '../../protocol/errors.ts';
import {
  type InvitationStatus,
  leastTtl,
  mostServers,
  mostTtl,
  mostUses,
  serverUrl,
} from '../../protocol/invitation.ts';
import { nodeId } from '../../protocol/schema.ts';
import type { Ask, Given, Shown } from '../command.ts';
import { aligned } from '../terminal.ts';
import { readSecret } from './secret.ts';
import { readTokenFile } from './token-file.ts';
import { tokenPathAt } from './token-path.ts';

const usualTtl = 3_600_000;

/** Throws `bad_config` for options that are not good, and what the node throws. */
export async function inviteCommand(
  given: Given,
  ask: Ask,
  say = (text: string): void => void process.stderr.write(text),
): Promise<Shown> {
  const { options } = given;
  if (options.list) {
    const { invitations } = await ask('GET /v1/invitations');
    return { json: { invitations: invitations.map(written) }, text: () => table(invitations) };
  }
  if (typeof options.revoke === 'string') {
    if (!/^[0-9a-f]{8}$/.test(options.revoke))
      throw new CryonetError('bad_config', '--revoke takes a name that cryoc invite --list shows');
    const revoked = await ask('DELETE /v1/invitations/{name}', { name: options.revoke });
    return { json: written(revoked), text: () => `revoked ${revoked.name}\n` };
  }
  const wish = wishOf(given);
  const token = await tokenOf(options.tokenFile, ask);
  const { text, ...status } = await ask('POST /v1/invitations', { ...wish, token });
  const { name, expires, uses, id } = status;
  const whom = id ?? (uses === 1 ? 'one machine' : `${uses} machines`);
  // Standard output has the text alone, for a script.
  say(
    `invitation ${name} for ${whom}, good until ${new Date(expires).toISOString()}; there: cryoc join INVITATION\n`,
  );
  return { json: { ...written(status), text }, text: () => `${text}\n` };
}

function wishOf({ options }: Given) {
  const { server, ttl = '', id, uses = '1' } = options;
  const servers = server === undefined ? undefined : [server].flat().map(String);
  const bad = servers?.find((url) => !serverUrl.safeParse(url).success);
  if (bad !== undefined || (servers?.length ?? 1) > mostServers)
    throw new CryonetError(
      'bad_config',
      `--server takes up to ${mostServers} ws:// or wss:// URLs, not ${bad ?? 'more'}`,
    );
  const time = ttl === '' ? usualTtl : parseDuration(String(ttl));
  if (time === undefined || time < leastTtl || time > mostTtl)
    throw new CryonetError('bad_config', `--ttl takes a duration from 1m to 30d, such as 2h, not ${ttl}`);
  if (id !== undefined && !nodeId.safeParse(id).success)
    throw new CryonetError('bad_config', `--id takes 1 to 64 letters, digits, - and _, not ${id}`);
  const count = Number(uses);
  if (!Number.isInteger(count) || count < 1 || count > mostUses)
    throw new CryonetError('bad_config', `--uses takes a number from 1 to ${mostUses}, not ${uses}`);
  return {
    ...(servers === undefined ? {} : { servers }),
    ...(id === undefined ? {} : { id: String(id) }),
    ...{ ttl: time, uses: count },
  };
}

async function tokenOf(named: unknown, ask: Ask): Promise<string> {
  if (named === '-') return readSecret('-', 'token');
  const path =
    typeof named === 'string' ? named : await tokenPathAt(ask, '--token-file - reads it from standard input');
  const [first] = readTokenFile(path).tokens;
  if (first === undefined) throw new CryonetError('bad_config', `${path} has no token`);
  return first;
}

/** As the API writes it. */
function written({ expires, ...rest }: InvitationStatus) {
  return { ...rest, expires: new Date(expires).toISOString() };
}

function table(invitations: readonly InvitationStatus[]): string {
  if (invitations.length === 0) return 'nobody is invited\n';
  const rows = invitations.map(({ name, state, id, used, uses, expires }) => [
    ...[name, state, id ?? 'anybody', `${used} of ${uses}`, new Date(expires).toISOString()],
  ]);
  return `${aligned([['NAME', 'STATE', 'FOR', 'USED', 'EXPIRES'], ...rows], '  ').join('\n')}\n`;
}
