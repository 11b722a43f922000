/** What operators say in tests, by keys of any name (`environment.ts`). */
import { hex, prefixed } from '../control/core/environment.ts';
import { encode } from '../protocol/msgpack.ts';
import { domain } from '../protocol/signaling.ts';
import type { SignedStatement, Statement } from '../protocol/statement.ts';
import { fingerprintOf, keyOf, testEnvironment } from './environment.ts';

export type Draft = Statement extends infer S ? (S extends Statement ? Omit<S, 'operator'> : never) : never;

/** `signer`: whose key signs, where that is not the operator's. */
export function said(operator: string, draft: Draft, signer = operator): SignedStatement {
  const statement = encode({ ...draft, time: Math.round(draft.time), operator: keyOf(operator) });
  const { sign } = testEnvironment(keyOf(signer), 0);
  return { statement, signature: new Uint8Array(sign(prefixed(domain.statement, statement))) };
}

export function accept(id: string, key: string, time: number): Draft {
  return { kind: 'accept', subject: id, fingerprint: fingerprintOf(keyOf(key)), time };
}

export function revoke(subject: string, time: number): Draft {
  return { kind: 'revoke', subject, time };
}

export function forget(subject: string, time: number): Draft {
  return { kind: 'forget', subject, time };
}

/** As the configuration has them. */
export function operatorKeys(...names: readonly string[]): string[] {
  return names.map((name) => hex(keyOf(name)));
}
