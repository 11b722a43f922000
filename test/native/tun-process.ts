/** `open-tun.ts` as a process: one that has the addon to itself, and may be denied what this one has. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

// A sanitizer's library is for the programs that load the addon, and would only slow the others down.
const { LD_PRELOAD: preload, ...environment } = process.env;
delete process.env.LD_PRELOAD;

const program = fileURLToPath(import.meta.resolve('./open-tun.ts'));

/** Starts it in `mode`, behind the words of another command. */
export function openTun(mode: string, ...words: string[]): ChildProcessWithoutNullStreams {
  const [command = '', ...rest] = [...words, process.execPath, program, mode];
  const env = preload === undefined ? environment : { ...environment, LD_PRELOAD: preload };
  return spawn(command, rest, { env, timeout: 30_000, killSignal: 'SIGKILL' });
}

/** The same, and waits for its end: exit code, signal. */
export async function runOpenTun(mode: string, ...words: string[]) {
  const child = openTun(mode, ...words);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      output += text;
    });
  }
  const ended = await once(child, 'close');
  return { output, ended };
}
