/**
 * What follows from statements of operators. A node that is revoked is cut off: no link, no neighbor, no record, no flood of
 * it. An accepted key is the pin of its ID; a forgotten ID has none.
 */
import { isFingerprint } from '../../protocol/fingerprint.ts';
import {
  operatorText,
  type SignedStatement,
  type Statement,
  shortOperator,
} from '../../protocol/statement.ts';
import { fingerprintOf } from './fingerprint.ts';
import { acceptedBy, settle } from './identity.ts';
import { forget, isOut } from './membership.ts';
import { acceptKey, forgetKey } from './pins.ts';
import { dropChannel, type Mesh, notice, publish, removeLink, type Turn } from './state.ts';
import {
  acceptedFor,
  assess,
  keepStatement,
  replaceOperators,
  revocationOf,
  type Taken,
  verdictOn,
} from './statements.ts';
import { repin } from './strangers.ts';

/** Nodes remembered that were cut off for their key, so that the status shows them. */
const maxCutOff = 256;

/** Takes in a statement: acts on it, and has it kept, if it is news. */
export function takeStatement(turn: Turn, signed: SignedStatement): Taken {
  const { statements } = turn.mesh.membership;
  const { taken, statement } = assess(statements, signed, turn.env);
  if (taken !== 'new' || statement === undefined) return taken;
  const subjects = keepStatement(statements, statement, signed);
  turn.mesh.statementsChanged = true;
  tell(turn, statement);
  if (statement.kind === 'forget') forgetSubject(turn, statement);
  for (const subject of subjects) settleSubject(turn, subject);
  return taken;
}

/** Takes the operators of the configuration. What others have said counts no more, and what these have said is asked for. */
export function takeOperators(turn: Turn): void {
  const { mesh, env } = turn;
  const { operators } = mesh.config;
  const { statements } = mesh.membership;
  if ([...statements.shelves.keys()].join() === operators.join()) return;
  const dropped = replaceOperators(statements, operators);
  if (dropped.size > 0) mesh.statementsChanged = true;
  for (const subject of dropped) settleSubject(turn, subject);
  mesh.aliveAt = env.now;
}

/** Does what follows from all statements about an ID or a fingerprint. */
function settleSubject(turn: Turn, subject: string): void {
  const { mesh, env } = turn;
  const { statements, pins } = mesh.membership;
  sayWhetherRevoked(turn);
  const isId = !isFingerprint(subject);
  if (subject === mesh.self.id) return;
  if (isId && acceptKey(pins, subject, acceptedFor(statements, subject), env.digest)) repin(turn, subject);
  for (const id of isId ? [subject] : knownHere(mesh)) {
    if (isOut(mesh.membership, id, env.digest)) cutOff(turn, id);
    else mesh.cutOff.delete(id);
  }
}

function knownHere({ membership, links, neighbors, cutOff }: Mesh): Set<string> {
  const ids = [...neighbors.values()].map(({ id }) => id);
  return new Set([...membership.members.keys(), ...links.keys(), ...ids, ...cutOff]);
}

function cutOff(turn: Turn, id: string): void {
  const { mesh } = turn;
  settle(turn, id);
  acceptedBy(turn, id);
  // What it has said before stays known, so that nothing of it can be repeated once it is accepted again.
  forget(mesh.membership, id);
  mesh.routes.delete(id);
  removeLink(turn, id, 'revoked by an operator');
  for (const [channel, neighbor] of [...mesh.neighbors]) if (neighbor.id === id) dropChannel(turn, channel);
  if (mesh.cutOff.size < maxCutOff) mesh.cutOff.add(id);
  turn.effects.push({ type: 'refuse-neighbors' });
}

/** A node that is linked stays, and its key is kept again. */
function forgetSubject(turn: Turn, { subject }: Statement): void {
  const { mesh, env, effects } = turn;
  const { pins, statements } = mesh.membership;
  if (subject === mesh.self.id) return;
  acceptKey(pins, subject, acceptedFor(statements, subject), env.digest);
  if (forgetKey(pins, subject)) effects.push({ type: 'pin', id: subject, key: null });
  repin(turn, subject);
}

/** The others refuse a node that is revoked, and its own operator should know why. */
function sayWhetherRevoked({ mesh, env, effects }: Turn): void {
  const { self, membership } = mesh;
  const found = revocationOf(membership.statements, self.id, self.key, env.digest);
  const ours = fingerprintOf(self.key, env.digest);
  const message =
    found === undefined
      ? null
      : `the operator ${operatorText(found.statement.operator)} has revoked this node: the others refuse it; if that is over, have it accepted by: cryoc accept ${self.id} --fingerprint ${ours}`;
  effects.push({ type: 'warning', subject: 'revoked', about: null, message });
}

const events = { accept: 'trust.accepted', revoke: 'trust.revoked', forget: 'trust.forgotten' } as const;

/** Unless a later one counts. */
function tell(turn: Turn, statement: Statement): void {
  const { kind, subject } = statement;
  const { statements } = turn.mesh.membership;
  if (kind !== 'forget' && verdictOn(statements, subject)?.statement !== statement) return;
  const by = shortOperator(operatorText(statement.operator));
  const fingerprint =
    kind === 'accept' ? statement.fingerprint : isFingerprint(subject) ? subject : undefined;
  const about = {
    ...(isFingerprint(subject) ? {} : { peer: subject }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
  publish(turn, { event: events[kind], ...about, reason: `says the operator ${by}` });
  notice(turn, 'info', `operator: ${kind}`, { ...about, by });
}
