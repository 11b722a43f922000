/** Statements of operators in the form of the API. */
import type { Reply } from '../protocol/api.ts';
import { CryonetError } from '../protocol/errors.ts';
import { operatorText, type SignedStatement, type Statement } from '../protocol/statement.ts';
import { bytesOf, type Environment } from './core/environment.ts';
import type { MeshEvent } from './core/events.ts';
import type { Mesh } from './core/state.ts';
import { allStatements, assess, countsStill, latestAbout, maxStatements } from './core/statements.ts';

type Listed = Reply<'GET /v1/statements'>;

/** Milliseconds by which an operator's clock may be ahead of ours, or of what it has said before about the subject. */
const mostAhead = 3_600_000;

/** What the control socket asks about statements. */
export interface Saying {
  list(): Listed;
  /** What an operator has signed. Throws what `judgeStatement` throws. */
  hear(signed: SignedStatement): Reply<'POST /v1/statements'>;
}

export function sayingTo(
  mesh: Mesh,
  env: Pick<Environment, 'verify'>,
  take: (event: MeshEvent) => void,
): Saying {
  return {
    list: () => listed(mesh),
    hear(signed) {
      const statement = judgeStatement(mesh, signed, env, Date.now());
      take({ type: 'statement', signed });
      return shown(statement, countsStill(mesh.membership.statements, signed));
    },
  };
}

export function listed({ membership: { statements } }: Mesh): Listed {
  return {
    operators: [...statements.shelves.keys()].map((key) => operatorText(bytesOf(key))),
    statements: [...allStatements(statements)]
      .map(({ statement, signed }) => shown(statement, countsStill(statements, signed)))
      .sort((a, b) => a.time - b.time),
  };
}

/** Lets a statement that somebody brings to the control socket pass, or throws `denied` where its operator is none of ours,
 *  `unavailable` where there is no room for it, `bad_message` where it is none. `clock`: the machine's, in milliseconds. */
export function judgeStatement(
  { membership: { statements } }: Mesh,
  signed: SignedStatement,
  env: Pick<Environment, 'verify'>,
  clock: number,
): Statement {
  const { taken, statement } = assess(statements, signed, env);
  if (taken === 'forged' || statement === undefined)
    throw new CryonetError('bad_message', 'no statement that is signed by the operator key which it names');
  if (taken === 'foreign')
    throw new CryonetError(
      'denied',
      `this node has no such operator: put operators = ["${operatorText(statement.operator)}"] into /etc/cryonet/config.toml of every node, and reload each (cryoc reload)`,
    );
  if (taken === 'full')
    throw new CryonetError(
      'unavailable',
      `this operator has ${maxStatements} later statements, which is all`,
    );
  const about = [statement.subject, ...(statement.kind === 'accept' ? [statement.fingerprint] : [])];
  const before = about.map((each) => latestAbout(statements, each)?.time ?? 0);
  if (taken === 'new' && statement.time > Math.max(clock, ...before) + mostAhead)
    throw new CryonetError(
      'bad_message',
      `its time is ${new Date(statement.time).toISOString()}, more than an hour ahead of the clock here: correct one of the clocks`,
    );
  return statement;
}

export function shown(statement: Statement, counts: boolean): Listed['statements'][number] {
  const { kind, subject, time, operator } = statement;
  return {
    ...{ kind, subject },
    ...(kind === 'accept' ? { fingerprint: statement.fingerprint } : {}),
    ...{ time, operator: operatorText(operator), counts },
  };
}
