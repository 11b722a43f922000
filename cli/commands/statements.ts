/** `cryoc statements`: what operators have said. */
import type { Reply } from '../../protocol/api.ts';
import { isFingerprint, shortFingerprint } from '../../protocol/fingerprint.ts';
import { shortOperator } from '../../protocol/statement.ts';
import type { Command } from '../command.ts';
import { printable } from '../printable.ts';
import { aligned, type Terminal } from '../terminal.ts';

type Listed = Reply<'GET /v1/statements'>;

export const statements: Command<'GET /v1/statements'> = {
  name: 'statements',
  arguments: {},
  options: [],
  help: 'the operators of the node, and which nodes and keys they have accepted, revoked and had forgotten',
  route: 'GET /v1/statements',
  show(reply) {
    const json = {
      ...reply,
      statements: reply.statements.map((each) => ({ ...each, time: new Date(each.time).toISOString() })),
    };
    return { json, text: (terminal) => `${lines(reply, terminal).map(printable).join('\n')}\n` };
  },
};

function lines({ operators, statements: said }: Listed, { width }: Terminal): string[] {
  if (operators.length === 0)
    return ['no operators: make a key by cryoc operator generate, and put its line into config.toml'];
  const isWide = width > 160;
  const shown = (text: string | undefined) =>
    text !== undefined && isFingerprint(text) && !isWide ? shortFingerprint(text) : (text ?? '');
  const rows = said
    .toReversed()
    .map(({ kind, subject, fingerprint, time, operator, counts }) => [
      new Date(time).toISOString().slice(0, 16).replace('T', ' '),
      counts ? kind : `(${kind})`,
      shown(subject),
      shown(fingerprint),
      isWide ? operator : shortOperator(operator),
    ]);
  const head = ['TIME (UTC)', 'SAYS', 'OF', 'KEY', 'OPERATOR'];
  return [
    ...operators.map((each) => `operator ${each}`),
    ...(rows.length === 0 ? ['nothing said yet'] : ['', ...aligned([head, ...rows], '  ')]),
    ...(said.every(({ counts }) => counts) ? [] : ['', '(in brackets: a later one counts)']),
  ];
}
