/** `cryoc`: asks a running node about itself. */
import { setTimeout as pause } from 'node:timers/promises';
import { CommanderError } from 'commander';
import type { Reply, RouteName } from '../protocol/api.ts';
import { scanCommandLine } from '../protocol/command-line.ts';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { refuseForeign } from '../protocol/own-folder.ts';
import { controlSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { ConfigError, mistakeAt } from '../protocol/problem.ts';
import type { Given, Shown, Wait } from './command.ts';
import { call, isNobody, mayAnswerLater } from './control-client.ts';
import { printable, printableJson } from './printable.ts';
import { type Asked, cryocProgram } from './program.ts';
import { terminalOf } from './terminal.ts';
import { writeWhole } from './whole-file.ts';
import { duration } from './words.ts';

/** Milliseconds between two looks of a command that waits. */
const lookInterval = 200;

const program = cryocProgram(async (command, given, node) => {
  if ('follows' in command) {
    const { watchOn } = await import('./watching.ts');
    return watchOn(command, given, (ask) => atNode(node, ask));
  }
  if ('serve' in command) return command.serve(given, (ask) => atNode(node, ask));
  if ('run' in command) {
    const done = await command.run(
      given,
      (route, parameters, timeout) =>
        atNode(node, (socketPath) => call(socketPath, route, timeout, parameters)),
      (ask) => atNode(node, ask),
    );
    // A question that is still open must not hold the process.
    if (typeof done === 'number') process.exit(done);
    return print(done, given);
  }
  const wait = command.wait?.(given);
  const reply = await (wait === undefined ? ask(command.route, node) : awaited(command.route, node, wait));
  print(command.show(reply, given), given);
});

function print({ json, text, file, exitCode: code = exitCode.ok }: Shown, { options }: Given): void {
  const shown = options.json ? printableJson(json) : text(terminalOf(process.stdout, process.env));
  if (file === undefined) process.stdout.write(shown);
  else writeWhole(file, shown);
  process.exitCode = code;
}

/** Asks until the reply is what is waited for; also a node that is not there yet. Throws `unavailable`. */
async function awaited<Name extends RouteName>(
  route: Name,
  node: Asked,
  wait: Wait<Name>,
): Promise<Reply<Name>> {
  const { timeout, missing } = wait;
  const end = performance.now() + timeout;
  for (;;) {
    const { reply, lacks } = await look(route, node, missing);
    if (lacks === undefined) return reply!;
    if (performance.now() >= end)
      throw new CryonetError('unavailable', `waited ${duration(timeout)} in vain: ${lacks}`);
    await pause(lookInterval);
  }
}

async function look<Name extends RouteName>(route: Name, node: Asked, missing: Wait<Name>['missing']) {
  try {
    const reply = await ask(route, node);
    return { reply, lacks: missing(reply) };
  } catch (error) {
    if (!mayAnswerLater(error)) throw error;
    return { reply: undefined, lacks: reasonOf(error) };
  }
}

function ask<Name extends RouteName>(route: Name, node: Asked): Promise<Reply<Name>> {
  return atNode(node, (socketPath) => call(socketPath, route));
}

/** Asks this user's own node or, if there is none, the service, which members of its group may ask. */
async function atNode<T>({ socket, runtimeDir }: Asked, ask: (socketPath: string) => Promise<T>): Promise<T> {
  if (socket !== undefined) return ask(socket);
  if (runtimeDir !== undefined) return ask(controlSocket(runtimeDir));
  const own = controlSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0));
  const service = controlSocket(defaultRuntimeDirectory({}, 0));
  refuseForeign(own, 'set XDG_RUNTIME_DIR, or name the node by --runtime-dir');
  try {
    return await ask(own);
  } catch (error) {
    if (own === service || !isNobody(error)) throw error;
  }
  return ask(service);
}

try {
  const { missing } = scanCommandLine(process.argv.slice(2), program);
  if (missing !== undefined) throw new CryonetError('bad_config', missing);
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) process.exit(exitCode.ok);
    fail(error.message.replace(/^error: /, ''), exitCode.config);
  }
  if (error instanceof ConfigError && error.mistakes.length > 0) {
    const { file, mistakes } = error;
    for (const each of mistakes) process.stderr.write(`${printable(mistakeAt(file!, each))}\n`);
    process.exit(exitCode.config);
  }
  fail(
    reasonOf(error),
    error instanceof CryonetError && ['bad_config', 'unknown_peer'].includes(error.code)
      ? exitCode.config
      : exitCode.failure,
  );
}

function fail(reason: string, code: number): never {
  process.stderr.write(`cryoc: ${printable(reason)}\n`);
  process.exit(code);
}
