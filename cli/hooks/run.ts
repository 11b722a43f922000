/** Runs one hook for one event, and ends it with all of its processes when it takes too long or says too much. */
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { printable } from '../printable.ts';

export interface HookRun {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeout: number;
  /** Takes a line of what it says, or of what became of it. */
  readonly say: (line: string) => void;
}

/** Milliseconds between the request to end and the end. */
const grace = 2000;
/** Lines and characters that are said on, of one run; and bytes after which it is ended. */
const maxLines = 64;
const maxLine = 512;
const maxBytes = 1_048_576;

/** Resolves when the hook and its process group have ended. Never rejects. */
export function runHook({ path, environment, timeout, say }: HookRun): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const name = basename(path);
  // A session of its own, so that its processes can be ended together.
  const child = spawn(path, [], {
    ...{ cwd: '/', env: environment, detached: true },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const signal = (which: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, which);
    } catch {
      // None is left.
    }
  };
  let killTimer: NodeJS.Timeout | undefined;
  let ended: string | undefined;
  const end = (why: string) => {
    if (ended !== undefined) return;
    ended = why;
    signal('SIGTERM');
    killTimer = setTimeout(() => {
      signal('SIGKILL');
      // What has left the process group may hold them open.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    }, grace);
  };
  const timer = setTimeout(() => end(`took longer than ${timeout / 1000} s`), timeout);
  const speech = { lines: 0, bytes: 0 };
  for (const stream of [child.stdout, child.stderr]) {
    lines(stream, speech, (line) => say(`${name}: ${line}`));
    stream.on('data', () => {
      if (speech.bytes > maxBytes) end(`said more than ${maxBytes} bytes`);
    });
  }
  child.on('error', (error) => {
    ended ??= `did not start: ${error.message}`;
  });
  // What it left running holds its output open, and is ended with it.
  child.on('exit', () => end(''));
  child.on('close', (code, died) => {
    clearTimeout(timer);
    clearTimeout(killTimer);
    signal('SIGKILL');
    if (ended) say(`${name} was ended: it ${ended}`);
    else if (code !== 0) say(`${name} failed: ${died === null ? `exit code ${code}` : died}`);
    resolve();
  });
  return promise;
}

function lines(
  stream: Readable,
  speech: { lines: number; bytes: number },
  say: (line: string) => void,
): void {
  let rest = '';
  const tell = (line: string) => {
    speech.lines++;
    if (speech.lines <= maxLines) say(printable(line).slice(0, maxLine));
    else if (speech.lines === maxLines + 1) say('and more, which is left out');
  };
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    speech.bytes += Buffer.byteLength(chunk);
    if (speech.lines > maxLines) return;
    const parts = `${rest}${chunk}`.split('\n');
    rest = parts.pop()!.slice(0, maxLine);
    for (const part of parts) tell(part);
  });
  stream.on('close', () => {
    if (rest !== '') tell(rest);
  });
  stream.on('error', () => {});
}
