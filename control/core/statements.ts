/**
 * The statements of operators that a node has. Of each operator key it keeps the latest verdict about a subject, `accept` or
 * `revoke`, and the latest `forget`. What holds follows from the set alone, in whatever order it came:
 *
 *     of each operator key, verdicts and forgets ──► the latest by any key ──► who is out, and which key an ID has
 *
 * Whatever is not signed by one of our operators' keys, or not later than what is here, leaves no trace.
 */
import { isFingerprint } from '../../protocol/fingerprint.ts';
import { parse } from '../../protocol/schema.ts';
import { domain } from '../../protocol/signaling.ts';
import {
  type SignedStatement,
  type Statement,
  type StatementDigests,
  statement as schema,
} from '../../protocol/statement.ts';
import { bytesOf, type Environment, hex, prefixed } from './environment.ts';
import { type Digest, fingerprintOf } from './fingerprint.ts';

/** Statements kept of one operator key. Where there are more subjects, the latest are kept, which are the same ones on every
 *  node. */
export const maxStatements = 2048;

export interface KeptStatement {
  readonly statement: Statement;
  readonly signed: SignedStatement;
  /** The bytes of the statement in hexadecimal: one order for all nodes among those of one time. */
  readonly text: string;
}

interface Shelf {
  readonly kept: Map<string, KeptStatement>;
  /** The earliest, while there is no room. */
  earliest: KeptStatement | undefined;
  /** Until it changes. */
  digest: Uint8Array | undefined;
}

export interface Statements {
  /** By operator key, in hexadecimal, in the order of the configuration. */
  shelves: Map<string, Shelf>;
  /** How many of them are about keys. */
  aboutKeys: number;
}

export function newStatements(operators: readonly string[]): Statements {
  return { shelves: new Map(operators.map((key) => [key, newShelf()])), aboutKeys: 0 };
}

/** Why a statement is none for us; `new` if it is one. The signature is looked at last. */
export type Taken = 'new' | 'known' | 'stale' | 'foreign' | 'full' | 'forged';

/** What `keepStatement` would do. Changes nothing. */
export function assess(
  { shelves }: Statements,
  signed: SignedStatement,
  env: Pick<Environment, 'verify'>,
): { taken: Taken; statement?: Statement } {
  const statement = readStatement(signed);
  if (statement === undefined) return { taken: 'forged' };
  const shelf = shelves.get(hex(statement.operator));
  if (shelf === undefined) return { taken: 'foreign', statement };
  const candidate = { statement, signed, text: hex(signed.statement) };
  const before = shelf.kept.get(slotOf(statement));
  if (before?.text === candidate.text) return { taken: 'known', statement };
  if (before !== undefined && !isLater(candidate, before)) return { taken: 'stale', statement };
  if (before === undefined && shelf.earliest !== undefined && !isLater(candidate, shelf.earliest))
    return { taken: 'full', statement };
  const holds = env.verify(
    statement.operator,
    prefixed(domain.statement, signed.statement),
    signed.signature,
  );
  return { taken: holds ? 'new' : 'forged', statement };
}

/** Keeps a statement that `assess` finds new. Returns the subjects about which another one may count now. */
export function keepStatement(
  statements: Statements,
  statement: Statement,
  signed: SignedStatement,
): Set<string> {
  const shelf = statements.shelves.get(hex(statement.operator))!;
  const subjects = new Set([statement.subject]);
  if (!shelf.kept.has(slotOf(statement))) statements.aboutKeys += aboutKey(statement);
  shelf.kept.set(slotOf(statement), { statement, signed, text: hex(signed.statement) });
  if (shelf.kept.size > maxStatements) {
    const { statement: earliest } = shelf.earliest!;
    shelf.kept.delete(slotOf(earliest));
    statements.aboutKeys -= aboutKey(earliest);
    subjects.add(earliest.subject);
  }
  shelf.digest = undefined;
  shelf.earliest = shelf.kept.size < maxStatements ? undefined : earliestOf(shelf);
  return subjects;
}

/** Takes another list of operator keys. Returns the subjects of statements that count no more. */
export function replaceOperators(statements: Statements, operators: readonly string[]): Set<string> {
  const dropped = new Set<string>();
  for (const [key, { kept }] of statements.shelves) {
    if (operators.includes(key)) continue;
    for (const { statement } of kept.values()) dropped.add(statement.subject);
  }
  statements.shelves = new Map(operators.map((key) => [key, statements.shelves.get(key) ?? newShelf()]));
  statements.aboutKeys = [...allStatements(statements)].filter(({ statement }) => aboutKey(statement)).length;
  return dropped;
}

export function* allStatements({ shelves }: Statements): Generator<KeptStatement> {
  for (const { kept } of shelves.values()) yield* kept.values();
}

/** As they came: what is kept on disk. */
export function signedStatements(statements: Statements): SignedStatement[] {
  return [...allStatements(statements)].map(({ signed }) => signed);
}

/** What an operator, named by the first bytes of its key, has said. */
export function statementsOf({ shelves }: Statements, operator: Uint8Array): KeptStatement[] {
  const prefix = hex(operator);
  return [...shelves].flatMap(([key, { kept }]) => (key.startsWith(prefix) ? [...kept.values()] : []));
}

/** The operators of whom somebody with these digests has heard other things than we. */
export function differing(statements: Statements, theirs: StatementDigests, digest: Digest): Uint8Array[] {
  const ours = new Map(digestsOf(statements, digest).map((each) => [hex(each.operator), hex(each.digest)]));
  return theirs
    .filter((each) => {
      const own = ours.get(hex(each.operator));
      return own !== undefined && own !== hex(each.digest);
    })
    .map(({ operator }) => operator);
}

export function digestsOf({ shelves }: Statements, digest: Digest): StatementDigests {
  return [...shelves].map(([key, shelf]) => {
    shelf.digest ??= digest(
      bytesOf(
        [...shelf.kept.values()]
          .map(({ text }) => text)
          .sort()
          .join(''),
      ),
    ).slice(0, 8);
    return { operator: bytesOf(key.slice(0, 16)), digest: shelf.digest };
  });
}

/** Whether it is kept, and no later one has taken its place, by whatever operator. */
export function countsStill(statements: Statements, signed: SignedStatement): boolean {
  const statement = readStatement(signed);
  return statement !== undefined && latest(statements, slotOf(statement))?.text === hex(signed.statement);
}

/** The latest statement about an ID or a fingerprint. */
export function latestAbout(statements: Statements, subject: string): Statement | undefined {
  const [verdict, forgotten] = [verdictOn(statements, subject), latest(statements, `forget ${subject}`)];
  if (verdict === undefined || forgotten === undefined) return (verdict ?? forgotten)?.statement;
  return (isLater(verdict, forgotten) ? verdict : forgotten).statement;
}

/** The latest verdict about an ID or a fingerprint. */
export function verdictOn(statements: Statements, subject: string): KeptStatement | undefined {
  return latest(statements, `verdict ${subject}`);
}

/** The fingerprint of the key that operators have accepted for an ID, unless they had it forgotten since. */
export function acceptedFor(statements: Statements, id: string): string | undefined {
  const verdict = verdictOn(statements, id);
  if (verdict?.statement.kind !== 'accept') return undefined;
  const forgotten = latest(statements, `forget ${id}`);
  const isOver = forgotten !== undefined && forgotten.statement.time > verdict.statement.time;
  return isOver ? undefined : verdict.statement.fingerprint;
}

/** The statement by which a node of this ID with this key is out. A revoked key is so under every ID but one for which it
 *  was accepted later. */
export function revocationOf(
  statements: Statements,
  id: string,
  key: Uint8Array | undefined,
  digest: Digest,
): KeptStatement | undefined {
  const ofId = verdictOn(statements, id);
  if (ofId?.statement.kind === 'revoke') return ofId;
  if (statements.aboutKeys === 0 || key === undefined) return undefined;
  const fingerprint = fingerprintOf(key, digest);
  const ofKey = verdictOn(statements, fingerprint);
  if (ofKey === undefined) return undefined;
  const accepts = ofId?.statement.kind === 'accept' && ofId.statement.fingerprint === fingerprint;
  return accepts && isLater(ofId, ofKey) ? undefined : ofKey;
}

/** Without verifying its signature; undefined for bytes that are no statement. */
function readStatement(signed: SignedStatement): Statement | undefined {
  try {
    return parse(schema, signed.statement);
  } catch {
    return undefined;
  }
}

function latest({ shelves }: Statements, slot: string): KeptStatement | undefined {
  let found: KeptStatement | undefined;
  for (const { kept } of shelves.values()) {
    const each = kept.get(slot);
    if (each !== undefined && (found === undefined || isLater(each, found))) found = each;
  }
  return found;
}

function isLater(one: KeptStatement, other: KeptStatement): boolean {
  const apart = one.statement.time - other.statement.time;
  return apart === 0 ? one.text > other.text : apart > 0;
}

function slotOf({ kind, subject }: Statement): string {
  return `${kind === 'forget' ? kind : 'verdict'} ${subject}`;
}

function earliestOf({ kept }: Shelf): KeptStatement | undefined {
  let found: KeptStatement | undefined;
  for (const each of kept.values()) if (found === undefined || isLater(found, each)) found = each;
  return found;
}

function aboutKey({ subject }: Statement): 0 | 1 {
  return isFingerprint(subject) ? 1 : 0;
}

function newShelf(): Shelf {
  return { kept: new Map(), earliest: undefined, digest: undefined };
}
