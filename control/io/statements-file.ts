/** The file of statements by operators, each a line: its bytes and its signature in base64url. Whoever reads it verifies
 *  them. */
import type { SignedStatement } from '../../protocol/statement.ts';
import { readIfThere, writeWhole } from './kept-files.ts';

const head = '# what operators have said, as `cryoc statements` shows it\n';

/** Bytes: eight operators, as many statements as are kept of each, and their longest lines. */
const maxSize = 16_777_216;

/** Lines that are none are passed over. Throws the system's error if the file cannot be read: without it the node would let
 *  in who was revoked. */
export function readStatements(path: string): SignedStatement[] {
  const lines = (readIfThere(path) ?? '').slice(0, maxSize).split('\n');
  return lines.flatMap((line) => {
    const [, statement, signature] = /^([\w-]{1,700}) ([\w-]{86})$/.exec(line) ?? [];
    if (statement === undefined || signature === undefined) return [];
    return { statement: bytesIn(statement), signature: bytesIn(signature) };
  });
}

export function writeStatements(path: string, all: readonly SignedStatement[]): void {
  writeWhole(
    path,
    head + all.map(({ statement, signature }) => `${textOf(statement)} ${textOf(signature)}\n`).join(''),
  );
}

function bytesIn(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
