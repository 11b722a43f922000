/** What checks see of the machine. Nothing here throws, and nothing changes anything. */
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { release } from 'node:os';
import { text } from 'node:stream/consumers';

export interface Machine {
  readonly isRoot: boolean;
  /** Of the kernel, as `uname -r` has it. */
  readonly release: string;
  /** The text of a file; where it cannot be read the name of the error, such as ENOENT. */
  read(path: string): Text;
  /** Undefined where the folder cannot be read. */
  list(path: string): readonly string[] | undefined;
  /** Why the file cannot be opened to read and write, by the name of the error; undefined where it can. */
  whyClosed(path: string): string | undefined;
  /** Major and minor number of a character device; undefined for anything else. */
  device(path: string): string | undefined;
  /** What the program printed where it ended with 0; its complaint where not; `missing` where there is none. */
  run(program: string, args: readonly string[]): Promise<Ran>;
  /** Why nothing can listen there, by the name of the error; undefined where something can. */
  whyTaken(kind: 'udp' | 'tcp', port: number): Promise<string | undefined>;
}

type Text = { readonly text: string } | { readonly lacks: string };
export type Ran = { readonly out: string } | { readonly complaint: string } | 'missing';

/** Milliseconds for a program, and characters of what it prints. */
const runTimeout = 5000;
const maxOutput = 16_777_216;

export const thisMachine: Machine = {
  isRoot: process.getuid?.() === 0,
  release: release(),

  read(path) {
    try {
      return { text: readFileSync(path, 'utf8') };
    } catch (error) {
      return { lacks: codeOf(error) };
    }
  },

  list(path) {
    try {
      return readdirSync(path);
    } catch {
      return undefined;
    }
  },

  whyClosed(path) {
    try {
      closeSync(openSync(path, 'r+'));
      return undefined;
    } catch (error) {
      return codeOf(error);
    }
  },

  device(path) {
    try {
      const { rdev } = statSync(path);
      // makedev(3): for numbers as small as these, major is bits 8 to 19 and minor bits 0 to 7.
      return statSync(path).isCharacterDevice() ? `${(rdev >> 8) & 0xfff}:${rdev & 0xff}` : undefined;
    } catch {
      return undefined;
    }
  },

  async run(program, args) {
    const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
    // The timer of `timeout` would hold this process where there is no such program.
    const signal = AbortSignal.timeout(runTimeout);
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], signal });
    const ended = new Promise<number | null | 'missing'>((resolve) => {
      child.on('error', ({ name }) => resolve(name === 'AbortError' ? null : 'missing'));
      child.on('close', resolve);
    });
    const [code, out, complaint] = await Promise.all([ended, text(child.stdout), text(child.stderr)]).catch(
      () => ['missing', '', ''] as const,
    );
    if (code === 'missing') return 'missing';
    return code === 0 && out.length <= maxOutput ? { out } : { complaint: complaint.trim() };
  },

  whyTaken(kind, port) {
    return new Promise((resolve) => {
      if (kind === 'tcp') {
        const server = createServer();
        server.on('error', (error) => resolve(codeOf(error)));
        server.listen(port, () => server.close(() => resolve(undefined)));
        return;
      }
      const socket = dgram.createSocket({ type: 'udp6' });
      socket.on('error', (error) => {
        socket.close();
        resolve(codeOf(error));
      });
      socket.bind(port, () => socket.close(() => resolve(undefined)));
    });
  },
};

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}
