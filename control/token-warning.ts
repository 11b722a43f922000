/** The warning that a token of the mesh is easy to guess. */
import type { Warnings } from '../protocol/warnings.ts';
import type { ControlConfig } from './config/config.ts';
import { weaknessOf } from './config/token.ts';

/** Sets it for the first token that is weak, or ends it. */
export function warnOfTokens({ tokens, tokenSource }: ControlConfig, warnings: Warnings): void {
  warnings.clear('token');
  for (const [at, token] of tokens.entries()) {
    const weakness = weaknessOf(token);
    if (weakness === undefined) continue;
    const which = tokens.length === 1 ? 'the token' : `token ${at + 1} of ${tokens.length}`;
    const remedy = 'make one by: cryoc token generate';
    warnings.set('token', `${which}, from ${tokenSource}, is weak: ${weakness}; ${remedy}`);
    return;
  }
}
