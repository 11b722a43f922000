/** Reads a secret from a file or standard input, never from the command line, which a process list shows. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';

/** Bytes. */
const mostInput = 65_536;

/** The text without white space around it. `-` stands for standard input; on a terminal one line is asked for, and not
 *  shown. Throws `bad_config`. */
export async function readSecret(from: string, what: string): Promise<string> {
  if (from === '-' && process.stdin.isTTY) return (await typed(what)).trim();
  let content: Buffer;
  try {
    content = from === '-' ? await whole(process.stdin) : readFileSync(from);
  } catch (cause) {
    const place = from === '-' ? 'standard input' : from;
    throw new CryonetError('bad_config', `${place} cannot be read: ${reasonOf(cause)}`, { cause });
  }
  return content.toString('utf8').trim();
}

async function whole(input: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    size += chunk.length;
    if (size > mostInput) throw new Error(`more than ${mostInput} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function typed(what: string): Promise<string> {
  process.stderr.write(`${what} (not shown): `);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const interrupted = new Promise<never>((_resolve, reject) =>
    lines.once('SIGINT', () => reject(new CryonetError('bad_config', 'nothing was given'))),
  );
  try {
    return await Promise.race([lines.question(''), interrupted]);
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
