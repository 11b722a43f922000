/** Where the token of the mesh is on this machine. */
import { CryonetError } from '../../protocol/errors.ts';
import { serviceTokenFile } from '../../protocol/paths.ts';
import type { Ask } from '../command.ts';
import { isNobody } from '../control-client.ts';

/** The file of the running node, else that of the service. Throws like `tokenPathAt`. */
export async function tokenPathOf(ask: Ask): Promise<string> {
  try {
    return await tokenPathAt(ask);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return serviceTokenFile(process.env);
  }
}

/** The file of the running node. Throws `bad_config` where that has its token from no file, with `remedy`, and what `ask`
 *  throws. */
export async function tokenPathAt(ask: Ask, remedy?: string): Promise<string> {
  const { tokens } = await ask('GET /v1/status');
  if (tokens === undefined)
    throw new CryonetError('version_mismatch', 'the node does not say where its token is: name the file');
  if (tokens.file !== null) return tokens.file;
  const usual = /credential/.test(tokens.source)
    ? 'change what LoadCredential= or SetCredential= of its unit names, and restart it'
    : 'put it into a file, name that by token-file, and restart the node';
  const words = `the node has its token from ${tokens.source}, which is no file: ${remedy ?? usual}`;
  throw new CryonetError('bad_config', words);
}

/** No node runs there, or it waits for its token. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof CryonetError)) return false;
  return error.code === 'no_token' || (error.code === 'no_control' && isNobody(error));
}
