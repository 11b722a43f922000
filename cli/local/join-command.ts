/** What `cryoc join` does: it reads the invitation, shows what will be written and asks, finds out whether it can be written,
 *  redeems the invitation, and writes. Until then nothing is there that was not before. */
import { hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { readCertificates } from '../../control/config/certificates.ts';
import { idOfHost } from '../../control/config/host-id.ts';
import { tokenTag } from '../../control/io/crypto.ts';
import { readInvitation } from '../../control/io/invitation.ts';
import { Outgoing } from '../../control/io/outgoing.ts';
import { readProxies } from '../../control/io/proxy.ts';
import { Trust } from '../../control/io/trust.ts';
import { CryonetError } from '../../protocol/errors.ts';
import { fingerprintText } from '../../protocol/fingerprint.ts';
import type { InvitationPayload } from '../../protocol/invitation.ts';
import { nodeId } from '../../protocol/schema.ts';
import type { Given, Shown } from '../command.ts';
import { printable } from '../printable.ts';
import { fingerprintOf, type Place, placeIn, tryOut, write } from './join-plan.ts';
import { redeem } from './redeem.ts';
import { readSecret } from './secret.ts';

/** Throws `bad_config` for a text that is no invitation, and where nothing can be written; what the inviter refuses for;
 *  `unavailable` where it is not reached. */
export async function joinCommand(
  { args: [argument], options }: Given,
  say = (text: string): void => void process.stderr.write(text),
): Promise<Shown> {
  const text = argument === '-' ? await readSecret('-', 'invitation') : argument!;
  // A process list shows the command line until now.
  process.title = 'cryoc join';
  const invitation = readInvitation(text);
  const place = placeIn(String(options.configDir ?? '/etc/cryonet'), options.force === true);
  const id = idFor(invitation, place, options.id);
  const trust = new Trust(
    options.tlsCa === undefined ? null : readCertificates(String(options.tlsCa), '--tls-ca'),
  );
  say(`${plan(invitation, place, id).map(printable).join('\n')}\n`);
  if (options.yes !== true) await agreed();
  tryOut(place);
  const proxies = readProxies(process.env);
  const outgoing = new Outgoing({ mark: 0, unmarked: () => {}, trust, proxies });
  const welcome = await redeem(invitation, id, outgoing);
  const servers = [...new Set([...invitation.servers, ...welcome.servers])];
  write(place, id, servers, welcome);
  const pins = welcome.pins.map((pin) => ({ id: pin.id, fingerprint: fingerprintOf(pin) }));
  const { tokenFile, configFile } = place;
  const tags = await Promise.all(welcome.tokens.map(tokenTag));
  return {
    json: { id, tokenFile, configFile, tokens: tags, servers, pins },
    text: () => `${told(place).map(printable).join('\n')}\n`,
  };
}

function idFor({ id: invited }: InvitationPayload, { given }: Place, named: unknown): string {
  const id = named ?? invited ?? given.id ?? idOfHost(hostname());
  if (!nodeId.safeParse(id).success)
    throw new CryonetError(
      'bad_config',
      `--id takes 1 to 64 letters, digits, - and _, not ${id ?? 'nothing'}`,
    );
  if (invited !== undefined && id !== invited)
    throw new CryonetError('invitation_other', `the invitation is for the ID ${invited}, not ${id}`);
  return String(id);
}

function plan(
  { inviter, fingerprint, servers, expires }: InvitationPayload,
  place: Place,
  id: string,
): string[] {
  const { tokenFile, configFile, tokenRights, given } = place;
  const operators = given.hasOperators ? '' : ', and of operators whom it names';
  return [
    `Join the mesh of ${inviter}, whose key is ${fingerprintText(fingerprint)}`,
    `  as     ${id}`,
    `  by     ${servers.join(' ')}, and what else ${inviter} names`,
    `  until  ${new Date(expires).toISOString()}`,
    'and write',
    `  ${tokenFile}: the tokens of the mesh, ${tokenRights === undefined ? 'for this user alone' : 'in place of those there'}`,
    `  ${configFile}: ID, servers and the key of ${inviter}${operators}`,
  ];
}

async function agreed(): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CryonetError('bad_config', 'nobody can be asked here: --yes joins without asking');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await new Promise<string>((resolve) => {
    lines.question('Do that? [y/N] ').then(resolve, () => resolve(''));
    lines.once('close', () => resolve(''));
    lines.once('SIGINT', () => lines.close());
  });
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CryonetError('denied', 'nothing was done');
}

function told({ configFile, tokenFile, isService, folder }: Place): string[] {
  const start = isService
    ? 'next: systemctl restart cryonet, then cryoc wait'
    : `next: cryonet --config ${folder}/config.toml, then cryoc wait`;
  return [`wrote ${configFile} and ${tokenFile}`, start];
}
