/** What `cryoc accept`, `revoke` and `forget` do: they sign here, and have the node pass it on. The node never sees the key. */
import { type StatementDraft, signStatement } from '../../control/io/operator-key.ts';
import type { Reply } from '../../protocol/api.ts';
import { CryonetError } from '../../protocol/errors.ts';
import { isFingerprint } from '../../protocol/fingerprint.ts';
import { operatorText } from '../../protocol/statement.ts';
import type { Ask, Given, Shown } from '../command.ts';
import { readOperatorFile } from './operator-file.ts';

type Said = Reply<'POST /v1/statements'>;

/** Throws `bad_config` for a bad subject, fingerprint or key, and what the node says is wrong. */
export async function statementCommand(
  kind: Said['kind'],
  { args, options }: Given,
  ask: Ask,
): Promise<Shown> {
  const [subject] = args as [string];
  const fingerprint = typeof options.fingerprint === 'string' ? options.fingerprint : undefined;
  refuseBad(kind, subject, fingerprint);
  // Before a passphrase is asked for: does the node answer, and know later things?
  const { operators, statements } = await ask('GET /v1/statements');
  const key = await readOperatorFile(options);
  const line = operatorText(key.publicKey);
  if (!operators.includes(line)) {
    const has = operators.length === 0 ? 'the node has no operators' : 'this key is no operator of the node';
    throw new CryonetError(
      'bad_config',
      `${has}: put operators = ["${line}"] into /etc/cryonet/config.toml of every node, and reload each (cryoc reload)`,
    );
  }
  const about = statements.filter((each) => [subject, fingerprint].includes(each.subject));
  const time = Math.max(Date.now(), ...about.map((each) => each.time + 1));
  const draft = { kind, subject, time, ...(fingerprint && { fingerprint }) } as StatementDraft;
  const signed = signStatement(key, draft);
  const said = await ask('POST /v1/statements', {
    statement: textOf(signed.statement),
    signature: textOf(signed.signature),
  });
  const json = { ...said, time: new Date(said.time).toISOString() };
  return { json, text: () => `${words(said)}\n` };
}

function refuseBad(kind: Said['kind'], subject: string, fingerprint: string | undefined): void {
  const isId = /^[A-Za-z0-9_-]{1,64}$/.test(subject);
  if (!isId && !(kind === 'revoke' && isFingerprint(subject))) {
    const takes = kind === 'revoke' ? 'an ID or a fingerprint (SHA256:…)' : 'an ID';
    throw new CryonetError('bad_config', `${kind} takes ${takes}, not ${JSON.stringify(subject)}`);
  }
  if (kind === 'accept' && !isFingerprint(fingerprint ?? ''))
    throw new CryonetError(
      'bad_config',
      `accept needs the whole fingerprint of the key: on ${subject}, cryoc status shows it; then cryoc accept ${subject} --fingerprint SHA256:…`,
    );
}

function words({ kind, subject, fingerprint, counts }: Said): string {
  if (!counts) return `a later statement about ${subject} counts: cryoc statements`;
  const everywhere = 'on every node that has this operator, on those that are away at their next contact';
  switch (kind) {
    case 'accept':
      return `accepted: ${fingerprint} speaks for ${subject}, ${everywhere}`;
    case 'revoke':
      return `revoked: ${subject} is out, ${everywhere}\nwhoever has that machine has the token, too, and may come as another node: change it (cryoc token)`;
    case 'forget':
      return `forgotten: the next key for ${subject} is taken, ${everywhere}`;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
