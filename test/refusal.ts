/** A command line that is refused, and files for it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { CryonetError } from '../protocol/errors.ts';
import { temporaryFolder } from './socket-pair.ts';

export type Variables = Record<string, string>;

/** The one line that a bad configuration is refused with. */
export function refusal(argv: readonly string[], env: Variables = {}): string {
  try {
    readConfig(argv, env, 0);
  } catch (error) {
    assert.ok(error instanceof CryonetError && error.code === 'bad_config', String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  assert.fail(`taken: ${argv.join(' ')}`);
}

export function tomlFile(context: TestContext, text: string): string {
  const path = join(temporaryFolder(context), 'cryonet.toml');
  writeFileSync(path, text);
  return path;
}
