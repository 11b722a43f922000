/**
 * Tests that need a network namespace: a test file runs itself again inside one that dies with the process.
 *
 *     file.test.ts ── unshare --net ──▶ the same file, CRYONET_TEST_NAMESPACE set ──TAP──▶ subtests out here
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { test } from 'node:test';

/** True inside the namespace: define the tests. Outside it defines one test that runs `file` inside and has each of
 *  its tests as a subtest, or that is skipped with the reason why there can be no namespace. */
export function inNamespace(file: string, title: string, environment: NodeJS.ProcessEnv = {}): boolean {
  if (process.env.CRYONET_TEST_NAMESPACE !== undefined) return true;
  const prefix = unshare();
  const skip = typeof prefix === 'string' ? prefix : false;
  test(title, { skip }, async (t) => {
    assert(Array.isArray(prefix));
    const { output, failure } = await run(
      [...prefix, process.execPath, '--test-reporter=tap', file],
      environment,
    );
    const sections = output.split(/^# Subtest: /m).slice(1);
    for (const section of sections) {
      const [, not, name = '', skipped] = /^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$/m.exec(section) ?? [];
      await t.test(name, { skip: skipped ?? false }, () => assert(not === undefined, section));
    }
    assert(sections.length > 0 && failure === undefined, `${failure}\n${output.slice(-500)}`);
  });
  return false;
}

/** The command that starts a program in a new network namespace with TUN devices, or why there is none. */
function unshare(): string[] | string {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'no /dev/net/tun: modprobe tun' : `/dev/net/tun may not be opened (${code})`;
  }
  const root = process.getuid?.() === 0;
  const command = ['unshare', '--net', ...(root ? [] : ['--user', '--map-root-user']), '--'];
  const [program = '', ...flags] = command;
  const { error, status, stderr } = spawnSync(program, [...flags, 'true'], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status === 0) return command;
  return `no network namespace of our own${root ? '' : ' (not root)'}: ${error?.message ?? stderr.trim()}`;
}

async function run(command: string[], environment: NodeJS.ProcessEnv) {
  const [program = '', ...flags] = command;
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(program, flags, {
    env: { ...inherited, ...environment, CRYONET_TEST_NAMESPACE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 500_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return await new Promise<{ output: string; failure: string | undefined }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ output, failure: code === 0 ? undefined : `exit ${signal ?? code}` }),
    );
  });
}
